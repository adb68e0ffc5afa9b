import { Random } from '../random.js';

// Only +, −, ×, ÷ and square roots, here and in all that draws the sample: IEEE 754 fixes their last bit, so the pictures are
// the same on every machine. Sines, exponentials and powers may differ from one to the next.

export const clamp = (x: number, low = 0, high = 1): number => Math.min(Math.max(x, low), high);

/** @returns 0 below `from`, 1 above `to`, and a smooth step between them */
export function smoothstep(from: number, to: number, x: number): number {
  const t = clamp((x - from) / (to - from));
  return t * t * (3 - 2 * t);
}

export type Vector = readonly [x: number, y: number];

/** @returns a unit vector in any direction, all equally likely */
export function direction(random: Random): Vector {
  for (;;) {
    const x = random.uniform(-1, 1);
    const y = random.uniform(-1, 1);
    const square = x * x + y * y;
    if (square > 0.01 && square <= 1) return [x / Math.sqrt(square), y / Math.sqrt(square)];
  }
}

/** @returns one of the items, all equally likely */
export function pick<T>(random: Random, items: readonly T[]): T {
  return items[random.below(items.length)] as T;
}

const TILE = 256;
const MASK = TILE - 1;
const lattice = (() => {
  const random = new Random('lattice');
  return Float32Array.from({ length: TILE * TILE }, () => random.uniform(-1, 1));
})();

/** Value noise: smooth, about one bump a unit, in [-1, 1]. Each one reads the shared lattice from its own place. */
export class Noise {
  private readonly x: number;
  private readonly y: number;

  constructor(random: Random) {
    this.x = random.uniform(0, TILE);
    this.y = random.uniform(0, TILE);
  }

  at(u: number, v: number): number {
    const x = u + this.x;
    const y = v + this.y;
    const column = Math.floor(x);
    const row = Math.floor(y);
    const s = x - column;
    const t = y - row;
    const a = s * s * s * (s * (s * 6 - 15) + 10);
    const b = t * t * t * (t * (t * 6 - 15) + 10);
    const left = column & MASK;
    const right = (column + 1) & MASK;
    const top = (row & MASK) * TILE;
    const bottom = ((row + 1) & MASK) * TILE;
    const topLeft = lattice[top + left] as number;
    const bottomLeft = lattice[bottom + left] as number;
    const upper = topLeft + ((lattice[top + right] as number) - topLeft) * a;
    const lower = bottomLeft + ((lattice[bottom + right] as number) - bottomLeft) * a;
    return upper + (lower - upper) * b;
  }

  /** @returns the sum of `octaves` noises, each twice as fine and half as strong, turned so that no grid shows; about [-1, 1] */
  fractal(u: number, v: number, octaves: number): number {
    let x = u;
    let y = v;
    let weight = 0.6;
    let sum = 0;
    for (let octave = 0; octave < octaves; octave++) {
      sum += weight * this.at(x, y);
      const turned = 2 * (0.8 * x - 0.6 * y) + 17.3;
      y = 2 * (0.6 * x + 0.8 * y) + 5.9;
      x = turned;
      weight /= 2;
    }
    return sum;
  }
}

/** Cellular noise (Worley 1996): one feature point in each unit square. After `at`, the fields hold the answer. */
export class Cells {
  /** Distances to the nearest point and to the next one. */
  first = 0;
  second = 0;
  /** A number in [-1, 1) of the nearest point's own. */
  tone = 0;
  private readonly x: number;
  private readonly y: number;

  constructor(random: Random) {
    this.x = random.below(TILE);
    this.y = random.below(TILE);
  }

  at(u: number, v: number): void {
    const x = u + this.x;
    const y = v + this.y;
    const column = Math.floor(x);
    const row = Math.floor(y);
    let first = 9;
    let second = 9;
    let nearest = 0;
    for (let i = row - 1; i <= row + 1; i++) {
      for (let j = column - 1; j <= column + 1; j++) {
        const cell = (i & MASK) * TILE + (j & MASK);
        const dx = j + 0.5 + 0.45 * (lattice[cell] as number) - x;
        const dy = i + 0.5 + 0.45 * (lattice[cell ^ 0x5a5a] as number) - y;
        const square = dx * dx + dy * dy;
        if (square < first) {
          second = first;
          first = square;
          nearest = cell;
        } else if (square < second) second = square;
      }
    }
    this.first = Math.sqrt(first);
    this.second = Math.sqrt(second);
    this.tone = lattice[nearest ^ 0x3c33] as number;
  }
}
