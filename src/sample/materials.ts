import type { Random } from '../random.js';
import { Cells, clamp, Noise, pick, smoothstep } from './noise.js';
import { type Color, color, PIXELS, Surface, type View } from './surface.js';

type Palette = readonly [dark: Color, light: Color];
const palettes = (...pairs: readonly (readonly [string, string])[]): readonly Palette[] =>
  pairs.map(([dark, light]) => [color(dark), color(light)]);

const METALS = palettes(
  ['#6f7478', '#bcc1c5'],
  ['#8f9496', '#d8dbdc'],
  ['#8a6f33', '#dcc27e'],
  ['#8a4f35', '#db9f7c'],
  ['#34383d', '#666d74'],
  ['#5d6f80', '#a9bac8'],
);
const STONES = palettes(
  ['#77756f', '#b9b6ae'],
  ['#8f8877', '#d3cab5'],
  ['#7d5a48', '#c19a82'],
  ['#4b4e52', '#85898c'],
  ['#8d9590', '#dadfd9'],
  ['#9a9184', '#e4ddd0'],
);
const WOODS = palettes(
  ['#7a5230', '#c89a62'],
  ['#94703f', '#e2c08a'],
  ['#4a2f20', '#8a6142'],
  ['#6e3a22', '#b87650'],
  ['#8b7a66', '#cfc0a8'],
  ['#5d4a38', '#a78a68'],
);
const CLOTHS = palettes(
  ['#26395a', '#9fb0c8'],
  ['#7c2630', '#b8545a'],
  ['#8a7f6a', '#d8ccb4'],
  ['#3c5a45', '#86a488'],
  ['#4a4a4e', '#96979c'],
  ['#a87b2c', '#e0bd72'],
  ['#b6b4ae', '#efeee9'],
);
const LEATHERS = palettes(
  ['#4a2b1a', '#94603c'],
  ['#26211f', '#56504d'],
  ['#8a5a30', '#cb9a66'],
  ['#551f22', '#984a48'],
  ['#35424f', '#74879a'],
  ['#b3a48c', '#e6dcc8'],
  ['#8c3a16', '#dd7d3e'],
);

function metal(random: Random, view: View): Surface {
  const surface = new Surface();
  const [dark, light] = pick(random, METALS);
  const [fine, coarse, broad, sheen] = [new Noise(random), new Noise(random), new Noise(random), new Noise(random)];
  const brush = random.uniform(0.5, 1.2);
  const gloss = random.uniform(0.1, 0.35);
  for (let i = 0; i < PIXELS; i++) {
    const u = view.u[i] as number;
    const v = view.v[i] as number;
    const streak = 0.5 * fine.at(u / 90, v / 1.3) + 0.35 * coarse.at(u / 45, v / 2.9) + 0.3 * broad.at(u / 220, v / 9);
    const mix = 0.5 + 0.3 * brush * streak + 0.3 * sheen.at(u / 260, v / 80);
    surface.set(i, dark, light, clamp(mix));
    surface.height[i] = 0.22 * brush * streak;
    surface.gloss[i] = gloss;
  }
  return surface;
}

function stone(random: Random, view: View): Surface {
  const surface = new Surface();
  const [dark, light] = pick(random, STONES);
  const [clouds, grain, cells] = [new Noise(random), new Noise(random), new Cells(random)];
  const kind = pick(random, ['cast', 'layered', 'speckled'] as const);
  const size = random.uniform(45, 90);
  const rough = random.uniform(0.5, 1.1);
  const flatness = kind === 'layered' ? 5 : 1;
  const cell = kind === 'speckled' ? random.uniform(3.5, 7) : 24;
  for (let i = 0; i < PIXELS; i++) {
    const u = view.u[i] as number;
    const v = view.v[i] as number;
    const cloud = clouds.fractal(u / size, (v * flatness) / size, 5);
    const grit = grain.at(u / 1.5, v / 1.5);
    let mix = 0.5 + 0.45 * cloud + 0.14 * grit;
    let height = rough * (0.9 * cloud + 0.25 * grit);
    cells.at(u / cell, v / cell);
    if (kind === 'speckled') {
      mix += 0.32 * cells.tone * smoothstep(0, 0.2, cells.second - cells.first);
    } else if (cells.tone > 0.7) {
      // The pinholes that air leaves in a cast: harmless, in both classes.
      const pinhole = 1 - smoothstep(0.4, 1, (cells.first * cell) / (0.6 + 1.2 * (cells.tone - 0.6)));
      mix -= 0.6 * pinhole;
      height -= pinhole;
    }
    surface.set(i, dark, light, clamp(mix));
    surface.height[i] = height;
    surface.gloss[i] = 0.02;
  }
  return surface;
}

function wood(random: Random, view: View): Surface {
  const surface = new Surface();
  const [dark, light] = pick(random, WOODS);
  const [warp, fibres, pores, clouds] = [new Noise(random), new Noise(random), new Noise(random), new Noise(random)];
  const period = random.uniform(9, 24);
  const contrast = random.uniform(0.35, 0.65);
  const gloss = random.uniform(0.02, 0.12);
  const knot = random.uniform() < 0.15;
  const knotU = random.uniform(-90, 90);
  const knotV = random.uniform(-90, 90);
  for (let i = 0; i < PIXELS; i++) {
    const u = view.u[i] as number;
    const v = view.v[i] as number;
    let across = v + 22 * warp.fractal(u / 190, v / 70, 2);
    let core = 0;
    if (knot) {
      const square = ((u - knotU) / 1.7) ** 2 + (v - knotV) ** 2;
      across += 2.6 * period * (260 / (260 + square));
      core = 45 / (45 + square);
    }
    const turns = across / period + 40;
    const t = turns - Math.floor(turns);
    const late = t < 0.82 ? (t / 0.82) * (t / 0.82) : 1 - smoothstep(0.82, 1, t);
    const fibre = fibres.at(u / 45, v / 1.2);
    const pore = smoothstep(0.5, 0.8, pores.at(u / 18, v / 1.1));
    const mix =
      0.82 - contrast * late + 0.16 * fibre + 0.2 * clouds.fractal(u / 120, v / 40, 3) - 0.35 * pore - 0.5 * core;
    surface.set(i, dark, light, clamp(mix));
    surface.height[i] = 0.12 * fibre - 0.35 * pore + 0.1 * late;
    surface.gloss[i] = gloss;
  }
  return surface;
}

function cloth(random: Random, view: View): Surface {
  const surface = new Surface();
  const [dark, light] = pick(random, CLOTHS);
  const [warp, tones, fibres, clouds] = [new Noise(random), new Noise(random), new Noise(random), new Noise(random)];
  const period = random.uniform(6, 9.5);
  const twill = random.uniform() < 0.5;
  // How much the threads that cross differ in colour, as in denim.
  const contrast = random.uniform(0.1, 0.6);
  for (let i = 0; i < PIXELS; i++) {
    const u = view.u[i] as number;
    const v = view.v[i] as number;
    const x = (u + 2.2 * warp.at(u / 40, v / 40)) / period;
    const y = (v + 2.2 * warp.at(u / 40 + 50, v / 40)) / period;
    const column = Math.floor(x);
    const row = Math.floor(y);
    const lengthwise = twill ? ((column + row) & 3) < 2 : ((column + row) & 1) === 0;
    const s = 2 * (x - column) - 1;
    const t = 2 * (y - row) - 1;
    const [across, along, thread] = lengthwise ? [s, t, column] : [t, s, row + 300];
    const round = (1 - across * across) * (1 - (twill ? 0.25 : 0.5) * along * along);
    const twist = fibres.at((u + v) / 1.7, (u - v) / 5);
    const tone = 0.2 * tones.at(thread * 1.7, 0.5) + 0.12 * twist + 0.22 * clouds.fractal(u / 90, v / 90, 2);
    surface.set(i, dark, light, clamp(0.5 + (lengthwise ? contrast : -contrast) / 2 + tone));
    surface.tone(i, 0.5 + 0.5 * round);
    surface.height[i] = (period / 5) * round + 0.15 * twist;
    surface.gloss[i] = 0.01;
  }
  return surface;
}

function leather(random: Random, view: View): Surface {
  const surface = new Surface();
  const [dark, light] = pick(random, LEATHERS);
  const [clouds, warp, cells] = [new Noise(random), new Noise(random), new Cells(random)];
  // Fine pebbles are the moulded grain of plastic, coarse ones are hide.
  const size = random.uniform(4, 11);
  const depth = random.uniform(0.5, 1);
  const gloss = random.uniform(0.03, 0.16);
  for (let i = 0; i < PIXELS; i++) {
    const u = view.u[i] as number;
    const v = view.v[i] as number;
    const cloud = clouds.fractal(u / 70, v / 70, 4);
    const bend = 0.5 * warp.at(u / 16, v / 16);
    cells.at(u / size + bend, v / size - bend);
    const pebble = smoothstep(0, 0.42, cells.second - cells.first);
    surface.set(i, dark, light, clamp(0.3 + 0.32 * pebble + 0.4 * cloud + 0.08 * cells.tone));
    surface.height[i] = depth * (0.16 * size * pebble + 0.8 * cloud);
    surface.gloss[i] = gloss;
  }
  return surface;
}

export const MATERIALS = ['metal', 'stone', 'wood', 'cloth', 'leather'] as const;
export type Material = (typeof MATERIALS)[number];

const MAKE: Record<Material, (random: Random, view: View) => Surface> = { metal, stone, wood, cloth, leather };

/** @returns a clean piece of the material, as the view shows it */
export function makeSurface(material: Material, random: Random, view: View): Surface {
  return MAKE[material](random, view);
}
