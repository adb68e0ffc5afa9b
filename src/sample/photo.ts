import type { Random } from '../random.js';
import { clamp, direction, Noise, smoothstep } from './noise.js';
import { type Color, PIXELS, SIDE, type Surface } from './surface.js';

/** Lets the light of one lamp and of the room fall on the surface. @returns linear red, green and blue planes */
function shade(surface: Surface, random: Random): [Float32Array, Float32Array, Float32Array] {
  const [dx, dy] = direction(random);
  const away = random.uniform(90, 380);
  const lampX = SIDE / 2 + dx * away;
  const lampY = SIDE / 2 + dy * away;
  const lampZ = random.uniform(150, 320);
  const room = random.uniform(0.2, 0.45);
  const shadowed = random.uniform() < 0.4 ? random.uniform(0.35, 0.75) : 0;
  const [edgeX, edgeY] = direction(random);
  const edge = random.uniform(-70, 70);
  const soft = random.uniform(6, 45);
  const waves = new Noise(random);
  // Below 0 the lamp's own fall-off is what is left at the edges.
  const vignette = random.uniform(-0.25, 0.45);
  const planes: [Float32Array, Float32Array, Float32Array] = [
    new Float32Array(PIXELS),
    new Float32Array(PIXELS),
    new Float32Array(PIXELS),
  ];
  const { height } = surface;
  for (let y = 0; y < SIDE; y++) {
    const above = (y > 0 ? y - 1 : y) * SIDE;
    const below = (y < SIDE - 1 ? y + 1 : y) * SIDE;
    for (let x = 0; x < SIDE; x++) {
      const i = y * SIDE + x;
      const slopeX = ((height[x < SIDE - 1 ? i + 1 : i] as number) - (height[x > 0 ? i - 1 : i] as number)) / 2;
      const slopeY = ((height[below + x] as number) - (height[above + x] as number)) / 2;
      const normal = 1 / Math.sqrt(slopeX * slopeX + slopeY * slopeY + 1);
      const toX = lampX - x;
      const toY = lampY - y;
      const distance = Math.sqrt(toX * toX + toY * toY + lampZ * lampZ);
      const facing = Math.max(0, ((lampZ - slopeX * toX - slopeY * toY) * normal) / distance);
      // The mirrored lamp (Blinn 1977), seen from straight above.
      const halfZ = lampZ / distance + 1;
      const half = Math.sqrt((toX * toX + toY * toY) / (distance * distance) + halfZ * halfZ);
      const mirror = Math.max(0, ((halfZ - (slopeX * toX + slopeY * toY) / distance) * normal) / half);
      const square = mirror * mirror;
      const fourth = square * square;
      const eighth = fourth * fourth;
      const fromX = x - SIDE / 2;
      const fromY = y - SIDE / 2;
      const past = edgeX * fromX + edgeY * fromY - edge + 12 * waves.at(x / 60, y / 60);
      const lit = (lampZ / distance) * (1 - shadowed * smoothstep(-soft, soft, past));
      const lens = 1 - (vignette * (fromX * fromX + fromY * fromY)) / 2e4;
      const diffuse = (room * normal + 1.4 * lit * facing) * lens;
      const specular = 2 * (surface.gloss[i] as number) * lit * eighth * eighth * lens;
      planes[0][i] = (surface.red[i] as number) * diffuse + specular;
      planes[1][i] = (surface.green[i] as number) * diffuse + specular;
      planes[2][i] = (surface.blue[i] as number) * diffuse + specular;
    }
  }
  return planes;
}

/** Blurs a plane in place with [side, 1 − 2·side, side], along rows and columns. */
function blur(plane: Float32Array, side: number): void {
  const line = new Float32Array(SIDE);
  for (const [step, stride] of [
    [1, SIDE],
    [SIDE, 1],
  ] as const) {
    for (let n = 0; n < SIDE; n++) {
      for (let k = 0; k < SIDE; k++) line[k] = plane[n * stride + k * step] as number;
      for (let k = 0; k < SIDE; k++) {
        const before = line[k > 0 ? k - 1 : k] as number;
        const after = line[k < SIDE - 1 ? k + 1 : k] as number;
        plane[n * stride + k * step] = (line[k] as number) * (1 - 2 * side) + side * (before + after);
      }
    }
  }
}

/** @returns roughly normal noise of deviation 1, from the four bytes of one random number */
function grain(random: Random): number {
  const bits = random.uint32();
  return ((bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24) - 510) / 147.8;
}

/** Rolls highlights off towards white, as film and cameras do, so that few pixels clip. */
const shoulder = (value: number): number => (value <= 195 ? value : 195 + (60 * (value - 195)) / (value - 135));

/**
 * Photographs a surface: light, lens, exposure, white balance, sensor noise.
 * @param tint mean colour that the exposure is set for, whatever the surface shows: the mean of a picture tells nothing
 * @returns `[SIDE, SIDE, 3]`, flat
 */
export function photograph(surface: Surface, tint: Color, random: Random): Uint8Array {
  const planes = shade(surface, random);
  // No channel's mean may come near white, or the tint would shift where it clips.
  const brightest = Math.sqrt(Math.max(...tint));
  const exposure = clamp(random.uniform(0.72, 1.3), 0.2 / brightest, 0.72 / brightest);
  const warmth = random.uniform(-0.1, 0.1);
  const green = random.uniform(-0.03, 0.03);
  const balance = [1 + warmth, 1 + green, 1 - warmth];
  const side = random.uniform(0.08, 0.24);
  const passes = 1 + random.below(2);
  const noise = random.uniform(0.8, 4);
  const gains = planes.map((plane, channel) => {
    for (let n = 0; n < passes; n++) blur(plane, side);
    let sum = 0;
    for (let i = 0; i < PIXELS; i++) {
      const encoded = Math.sqrt(plane[i] as number);
      plane[i] = encoded;
      sum += encoded;
    }
    const wanted = Math.sqrt(tint[channel] as number) * exposure * (balance[channel] as number);
    return (255 * wanted * PIXELS) / sum;
  });
  const pixels = new Uint8Array(PIXELS * 3);
  for (let i = 0; i < PIXELS; i++) {
    const shared = noise * grain(random);
    for (let channel = 0; channel < 3; channel++) {
      const value = shoulder(((planes[channel] as Float32Array)[i] as number) * (gains[channel] as number));
      pixels[3 * i + channel] = clamp(value + shared + 0.4 * noise * grain(random), 0, 255) + 0.5;
    }
  }
  return pixels;
}
