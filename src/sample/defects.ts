import type { Random } from '../random.js';
import type { Material } from './materials.js';
import { clamp, direction, Noise, pick, smoothstep, type Vector } from './noise.js';
import {
  type Color,
  color,
  eachInSpot,
  eachOnLine,
  PIXELS,
  type Point,
  SIDE,
  type Surface,
  type View,
  wander,
} from './surface.js';

type Draw = (surface: Surface, random: Random, view: View) => void;

const place = (random: Random, margin: number): { x: number; y: number } => ({
  x: random.uniform(margin, SIDE - margin),
  y: random.uniform(margin, SIDE - margin),
});

/** @returns the colour of the bare material under the surface: clearly lighter or clearly darker */
function bare(surface: Surface, random: Random): Color {
  const mean = surface.mean();
  const grey = (mean[0] + mean[1] + mean[2]) / 3;
  // Black leather cannot get much darker, nor white marble lighter.
  const lighter = random.uniform(0.1, 0.4) > grey;
  const factor = lighter ? random.uniform(2, 3) : random.uniform(0.1, 0.28);
  // Paler than the surface, too, or the bare red of red leather would hardly show.
  return mean.map((value) => clamp((lighter ? 0.06 : 0) + factor * (0.5 * value + 0.5 * grey))) as unknown as Color;
}

/** A groove with raised lips, whose sides catch or lose the light. */
function carve(surface: Surface, points: readonly Point[], depth: number, paint: Color, alpha: number): void {
  eachOnLine(points, 2.6, (i, d) => {
    const groove = 1 - smoothstep(0.2, 1.2, d);
    const lip = smoothstep(0.9, 1.5, d) * (1 - smoothstep(1.5, 2.6, d));
    surface.raise(i, depth * (0.3 * lip - groove));
    surface.cover(i, paint, alpha * groove);
  });
}

const scratch: Draw = (surface, random) => {
  const paint = bare(surface, random);
  const [dx, dy] = direction(random);
  const at = place(random, 28);
  for (let n = 2 + random.below(3); n > 0; n--) {
    const tilt = random.uniform(-0.25, 0.25);
    const norm = Math.sqrt(1 + tilt * tilt);
    const start: Vector = [(dx - tilt * dy) / norm, (dy + tilt * dx) / norm];
    const from = { x: at.x + random.uniform(-16, 16), y: at.y + random.uniform(-16, 16) };
    const line = { length: random.uniform(100, 190), width: random.uniform(2.3, 3.8), curl: 0.05, step: 8 };
    carve(surface, wander(random, from, start, line), random.uniform(2.2, 3.8), paint, random.uniform(0.75, 0.95));
  }
};

const crack: Draw = (surface, random) => {
  const paint = color('#16130f');
  const depth = random.uniform(1.4, 2.6);
  const start = direction(random);
  const line = { length: random.uniform(90, 180), width: random.uniform(1.2, 2.3), curl: 0.55, step: 6 };
  const trunk = wander(random, place(random, 45), start, line);
  carve(surface, trunk, depth, paint, 0.85);
  for (let n = 1 + random.below(3); n > 0; n--) {
    const root = pick(random, trunk.slice(2, -2));
    const side = random.uniform() < 0.5 ? 1 : -1;
    const [dx, dy] = start;
    const [x, y] = [dx - side * dy, dy + side * dx];
    const heading: Vector = [x / Math.SQRT2, y / Math.SQRT2];
    const length = random.uniform(25, 60);
    const middle = { x: root.x + (heading[0] * length) / 2, y: root.y + (heading[1] * length) / 2 };
    carve(surface, wander(random, middle, heading, { ...line, length, width: 0.7 * line.width }), depth, paint, 0.8);
  }
};

/** A crack that follows the grain. */
const split: Draw = (surface, random, view) => {
  const line = { length: random.uniform(90, 170), width: random.uniform(3, 5), curl: 0.3, step: 7 };
  const points = wander(random, place(random, 45), view.grain, line);
  const torn = surface.mean().map((value) => Math.min(1, 1.9 * value)) as unknown as Color;
  eachOnLine(points, 1.9, (i, d) => surface.cover(i, torn, 0.75 * (1 - smoothstep(1.2, 1.9, d))));
  carve(surface, points, 3.2, color('#120d09'), 0.95);
};

const dent: Draw = (surface, random) => {
  const radius = random.uniform(17, 30);
  const depth = radius * random.uniform(0.5, 0.75) * (random.uniform() < 0.75 ? -1 : 1);
  const spot = { ...place(random, 18), radius, wobble: 0.15, stretch: random.uniform(1, 1.5) };
  eachInSpot(random, spot, 1, (i, d) => {
    const bowl = 1 - d * d;
    surface.raise(i, depth * bowl * bowl);
  });
};

const pits: Draw = (surface, random) => {
  const { x, y } = place(random, 28);
  const paint = random.uniform() < 0.6 ? color('#1a1612') : bare(surface, random);
  for (let n = 5 + random.below(9); n > 0; n--) {
    const radius = random.uniform(3, 6.5);
    const at = { x: x + random.uniform(-34, 34), y: y + random.uniform(-34, 34) };
    eachInSpot(random, { ...at, radius, wobble: 0.4, stretch: random.uniform(1, 1.5) }, 1.3, (i, d) => {
      const inside = 1 - smoothstep(0.5, 1.15, d);
      surface.raise(i, -0.8 * radius * inside);
      surface.cover(i, paint, 0.8 * inside);
    });
  }
};

const chip: Draw = (surface, random) => {
  const radius = random.uniform(15, 26);
  const paint = bare(surface, random);
  const rough = new Noise(random);
  const spot = { ...place(random, 18), radius, wobble: 0.6, stretch: random.uniform(1, 1.7) };
  eachInSpot(random, spot, 1.2, (i, d) => {
    const inside = 1 - smoothstep(0.85, 1.05, d);
    const grit = rough.fractal((i % SIDE) / 5, i / SIDE / 5, 3);
    surface.raise(i, inside * (3.5 * grit - 4.5));
    surface.cover(i, paint, inside * (0.65 + 0.3 * grit));
    surface.gloss[i] = (surface.gloss[i] as number) * (1 - inside);
  });
};

const burn: Draw = (surface, random) => {
  const radius = random.uniform(12, 21);
  const [char, scorch] = [color('#17110d'), color('#553216')];
  const rough = new Noise(random);
  const spot = { ...place(random, 18), radius, wobble: 0.4, stretch: random.uniform(1, 1.5) };
  eachInSpot(random, spot, 1.8, (i, d) => {
    const core = 1 - smoothstep(0.6, 1.05, d);
    surface.cover(i, scorch, 0.7 * (1 - smoothstep(0.8, 1.8, d)));
    surface.cover(i, char, 0.92 * core);
    surface.raise(i, core * (1.5 * rough.fractal((i % SIDE) / 4, i / SIDE / 4, 2) - 1.5));
    surface.gloss[i] = (surface.gloss[i] as number) * (1 - core);
  });
};

/** A hole with frayed threads around it. */
const hole: Draw = (surface, random) => {
  const radius = random.uniform(13, 21);
  const paint = color(pick(random, ['#12110f', '#c9c1b0']));
  const thread = surface.mean().map((value) => Math.min(1, value * 1.4)) as unknown as Color;
  const spot = { ...place(random, 18), radius, wobble: 0.5, stretch: random.uniform(1, 1.6) };
  eachInSpot(random, spot, 1.4, (i, d) => {
    const inside = 1 - smoothstep(0.85, 1.05, d);
    const lip = smoothstep(0.9, 1.1, d) * (1 - smoothstep(1.1, 1.4, d));
    surface.height[i] = (1 - inside) * (surface.height[i] as number) + 2 * lip - 3 * inside;
    surface.cover(i, paint, 0.95 * inside);
    // What lies behind is in the shade of the edge.
    surface.tone(i, 1 - 0.55 * inside * d * d);
  });
  for (let n = 4 + random.below(6); n > 0; n--) {
    const [dx, dy] = direction(random);
    const at = { x: spot.x + dx * radius * 0.8, y: spot.y + dy * radius * 0.8 };
    const frayed = wander(random, at, [dx, dy], { length: radius * 0.8, width: 0.9, curl: 0.4, step: 2 });
    eachOnLine(frayed, 1.6, (i, d) => surface.cover(i, thread, 0.8 * (1 - smoothstep(0.6, 1.6, d))));
  }
};

/** A slit that gapes, with curled edges. */
const cut: Draw = (surface, random) => {
  const line = { length: random.uniform(60, 115), width: random.uniform(4, 7), curl: 0.08, step: 5 };
  const points = wander(random, place(random, 28), direction(random), line);
  const paint = color(pick(random, ['#12110f', '#1d1813', '#d8cdbb']));
  eachOnLine(points, 2.4, (i, d) => {
    const inside = 1 - smoothstep(0.7, 1.05, d);
    const lip = smoothstep(0.7, 1.2, d) * (1 - smoothstep(1.2, 2.4, d));
    surface.raise(i, 2.5 * lip - 3 * inside);
    surface.cover(i, paint, 0.92 * inside);
  });
};

/** A thread that is missing: a ladder along the weave. */
const ladder: Draw = (surface, random, view) => {
  const [along, across] = random.uniform() < 0.5 ? [view.u, view.v] : [view.v, view.u];
  const { x, y } = place(random, 28);
  const middle = Math.round(y) * SIDE + Math.round(x);
  const half = random.uniform(60, 110);
  const width = random.uniform(7, 10);
  const gap = color('#14120f');
  for (let i = 0; i < PIXELS; i++) {
    const d = Math.abs((across[i] as number) - (across[middle] as number)) / width;
    if (d > 1.8) continue;
    const from = Math.abs((along[i] as number) - (along[middle] as number));
    const open = 1 - smoothstep(half - 8, half, from);
    const rung = ((along[i] as number) + 1000) / 7;
    const thread = Math.abs(2 * (rung - Math.floor(rung)) - 1);
    const inside = open * (1 - smoothstep(0.7, 1.05, d));
    const lip = open * smoothstep(0.8, 1.2, d) * (1 - smoothstep(1.2, 1.8, d));
    surface.raise(i, 2 * lip - 2.5 * inside * thread);
    surface.cover(i, gap, 0.92 * inside * smoothstep(0.1, 0.45, thread));
  }
};

const DEFECTS: Record<Material, readonly Draw[]> = {
  metal: [scratch, dent, pits],
  stone: [crack, chip, pits],
  wood: [split, burn, chip],
  cloth: [hole, cut, ladder, burn],
  leather: [cut, scratch, burn, chip],
};

/** Damages the surface as its material is damaged, in the nth of the ways; now and then with a second defect of any kind. */
export function addDefect(surface: Surface, material: Material, n: number, random: Random, view: View): void {
  const kinds = DEFECTS[material];
  (kinds[n % kinds.length] as Draw)(surface, random, view);
  if (random.uniform() < 0.4) pick(random, kinds)(surface, random, view);
}
