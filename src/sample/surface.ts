import type { Random } from '../random.js';
import { direction, Noise, type Vector } from './noise.js';

/** Width and height of a sample picture, in pixels. */
export const SIDE = 200;
export const PIXELS = SIDE * SIDE;

/** Linear light, 0 to 1 a channel. */
export type Color = readonly [red: number, green: number, blue: number];

/** @param hex as in `#7a8c9f`; gamma is taken as 2, whose inverse is a square root */
export function color(hex: string): Color {
  const channel = (at: number): number => (Number.parseInt(hex.slice(at, at + 2), 16) / 255) ** 2;
  return [channel(1), channel(3), channel(5)];
}

/** Where each pixel lies on the material, in pixels along the grain (`u`) and across it (`v`). */
export class View {
  readonly u = new Float32Array(PIXELS);
  readonly v = new Float32Array(PIXELS);
  /** The direction of the grain in the picture. */
  readonly grain: Vector;

  constructor(random: Random) {
    const [cosine, sine] = direction(random);
    const zoom = random.uniform(0.75, 1.3);
    const tiltX = random.uniform(-0.0016, 0.0016);
    const tiltY = random.uniform(-0.0016, 0.0016);
    this.grain = [cosine, sine];
    for (let i = 0; i < PIXELS; i++) {
      const x = (i % SIDE) - SIDE / 2;
      const y = Math.floor(i / SIDE) - SIDE / 2;
      const scale = zoom / (1 + tiltX * x + tiltY * y);
      this.u[i] = (cosine * x + sine * y) * scale;
      this.v[i] = (cosine * y - sine * x) * scale;
    }
  }
}

/** What the camera looks at, pixel by pixel. */
export class Surface {
  readonly red = new Float32Array(PIXELS);
  readonly green = new Float32Array(PIXELS);
  readonly blue = new Float32Array(PIXELS);
  /** In pixels, towards the camera. */
  readonly height = new Float32Array(PIXELS);
  /** How strongly light is mirrored. */
  readonly gloss = new Float32Array(PIXELS);

  /** Sets a pixel to a colour between two, `mix` of the way. */
  set(i: number, from: Color, to: Color, mix: number): void {
    this.red[i] = from[0] + (to[0] - from[0]) * mix;
    this.green[i] = from[1] + (to[1] - from[1]) * mix;
    this.blue[i] = from[2] + (to[2] - from[2]) * mix;
  }

  /** Lays a colour over a pixel. */
  cover(i: number, paint: Color, alpha: number): void {
    const rest = 1 - alpha;
    this.red[i] = rest * (this.red[i] as number) + alpha * paint[0];
    this.green[i] = rest * (this.green[i] as number) + alpha * paint[1];
    this.blue[i] = rest * (this.blue[i] as number) + alpha * paint[2];
  }

  /** Makes a pixel darker or lighter. */
  tone(i: number, factor: number): void {
    this.red[i] = (this.red[i] as number) * factor;
    this.green[i] = (this.green[i] as number) * factor;
    this.blue[i] = (this.blue[i] as number) * factor;
  }

  raise(i: number, by: number): void {
    this.height[i] = (this.height[i] as number) + by;
  }

  /** @returns the colour of the surface over all its pixels */
  mean(): Color {
    const average = (plane: Float32Array): number => plane.reduce((sum, value) => sum + value, 0) / PIXELS;
    return [average(this.red), average(this.green), average(this.blue)];
  }
}

export interface Spot {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  /** How ragged the outline is: 0 for an ellipse. */
  readonly wobble: number;
  /** Longer axis ÷ shorter axis. */
  readonly stretch: number;
}

/**
 * Visits the pixels of a ragged ellipse that lies in any direction.
 * @param reach how far out to go; the outline is at 1
 * @param paint called with the pixel and its distance from the middle (0) to the outline (1) and on
 */
export function eachInSpot(random: Random, spot: Spot, reach: number, paint: (i: number, d: number) => void): void {
  const [cosine, sine] = direction(random);
  const noise = new Noise(random);
  const far = spot.radius * spot.stretch * reach * (1 + spot.wobble);
  for (let y = Math.max(0, Math.ceil(spot.y - far)); y <= Math.min(SIDE - 1, spot.y + far); y++) {
    for (let x = Math.max(0, Math.ceil(spot.x - far)); x <= Math.min(SIDE - 1, spot.x + far); x++) {
      const dx = x - spot.x;
      const dy = y - spot.y;
      const along = (cosine * dx + sine * dy) / spot.stretch;
      const across = cosine * dy - sine * dx;
      const ragged = 1 + spot.wobble * noise.fractal((dx * 1.6) / spot.radius, (dy * 1.6) / spot.radius, 3);
      const d = Math.sqrt(along * along + across * across) / (spot.radius * ragged);
      if (d < reach) paint(y * SIDE + x, d);
    }
  }
}

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Half the width of the line here, in pixels. */
  readonly width: number;
}

/**
 * Visits the pixels near a line through points, each once.
 * @param reach how many half widths to go out
 * @param paint called with the pixel and its distance from the line in half widths
 */
export function eachOnLine(points: readonly Point[], reach: number, paint: (i: number, d: number) => void): void {
  const nearest = new Map<number, number>();
  for (let k = 1; k < points.length; k++) {
    const a = points[k - 1] as Point;
    const b = points[k] as Point;
    const far = Math.max(a.width, b.width) * reach;
    const lengthX = b.x - a.x;
    const lengthY = b.y - a.y;
    const square = Math.max(1e-9, lengthX * lengthX + lengthY * lengthY);
    const right = Math.min(SIDE - 1, Math.max(a.x, b.x) + far);
    const bottom = Math.min(SIDE - 1, Math.max(a.y, b.y) + far);
    for (let y = Math.max(0, Math.ceil(Math.min(a.y, b.y) - far)); y <= bottom; y++) {
      for (let x = Math.max(0, Math.ceil(Math.min(a.x, b.x) - far)); x <= right; x++) {
        const t = Math.min(1, Math.max(0, ((x - a.x) * lengthX + (y - a.y) * lengthY) / square));
        const dx = x - a.x - t * lengthX;
        const dy = y - a.y - t * lengthY;
        const d = Math.sqrt(dx * dx + dy * dy) / (a.width + (b.width - a.width) * t);
        const i = y * SIDE + x;
        if (d < reach && d < (nearest.get(i) ?? reach)) nearest.set(i, d);
      }
    }
  }
  for (const [i, d] of nearest) paint(i, d);
}

/**
 * @param start direction at the first point
 * @param width half width at the middle of the line; it narrows towards both ends
 * @param curl how much the direction changes at each step
 * @returns a line that wanders, a point every `step` pixels, its middle at (x, y) if it were straight
 */
export function wander(
  random: Random,
  at: { readonly x: number; readonly y: number },
  start: Vector,
  line: { readonly length: number; readonly width: number; readonly curl: number; readonly step: number },
): Point[] {
  const steps = Math.max(3, Math.round(line.length / line.step));
  let [dx, dy] = start;
  let x = at.x - (dx * line.length) / 2;
  let y = at.y - (dy * line.length) / 2;
  const points: Point[] = [];
  for (let k = 0; k <= steps; k++) {
    const ends = 1 - Math.abs((2 * k) / steps - 1);
    points.push({ x, y, width: line.width * (0.35 + 0.65 * Math.sqrt(ends)) * random.uniform(0.85, 1.15) });
    const turn = random.uniform(-line.curl, line.curl);
    const norm = Math.sqrt(1 + turn * turn);
    [dx, dy] = [(dx - turn * dy) / norm, (dy + turn * dx) / norm];
    x += dx * line.step;
    y += dy * line.step;
  }
  return points;
}
