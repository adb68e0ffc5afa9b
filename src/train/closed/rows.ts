import type { Standardization } from '../standardize.js';
import type { VectorSource } from '../vectors.js';
import { type Matrix, matrix } from './products.js';

/** Numbers of one block of rows in float64: 32 MiB. */
const BLOCK = 2 ** 22;
/** Length below which a vector is not scaled up to 1. */
const SHORTEST = 1e-12;

/** Vectors as the closed forms take them: some rows of a source, scaled, in float64. Rows are known by their place in the list. */
export class Rows {
  readonly n: number;
  readonly d: number;

  constructor(
    private readonly vectors: VectorSource,
    /** Rows of the source, ascending. */
    private readonly list: Uint32Array,
    private readonly scaling: { readonly normalize: boolean; readonly standardization: Standardization | null },
    /** Called between blocks; what it throws ends the fit. */
    private readonly afterBlock: () => void = () => {},
  ) {
    this.n = list.length;
    this.d = vectors.d;
  }

  /** Rows that fit into one block. */
  get most(): number {
    return Math.max(1, Math.floor(BLOCK / this.d));
  }

  /**
   * @param places ascending
   * @returns `[places, d]`
   */
  async take(places: Uint32Array): Promise<Matrix> {
    const { d } = this;
    const { normalize, standardization } = this.scaling;
    const { values } = matrix(places.length, d);
    const wanted = places.map((place) => this.list[place] as number);
    let to = 0;
    for await (const { x, at } of this.vectors.blocks(wanted)) {
      for (const row of at) {
        const vector = x.subarray(row * d, (row + 1) * d);
        let length = 1;
        if (normalize) length = Math.max(Math.sqrt(vector.reduce((sum, one) => sum + one * one, 0)), SHORTEST);
        if (standardization === null) {
          for (let j = 0; j < d; j++) values[to++] = (vector[j] as number) / length;
        } else {
          const { mean, scale } = standardization;
          for (let j = 0; j < d; j++) {
            values[to++] = ((vector[j] as number) - (mean[j] as number)) / (scale[j] as number);
          }
        }
      }
    }
    this.afterBlock();
    return matrix(places.length, d, values);
  }

  /** Goes through some rows, a block at a time. @param places ascending; default all */
  async *blocks(places: Uint32Array = places1(this.n)): AsyncGenerator<{ places: Uint32Array; x: Matrix }> {
    for (let from = 0; from < places.length; from += this.most) {
      const part = places.subarray(from, from + this.most);
      yield { places: part, x: await this.take(part) };
    }
  }
}

const places1 = (n: number): Uint32Array => Uint32Array.from({ length: n }, (_, i) => i);

/**
 * Subtracts from each row the mean of its class, and multiplies it by a weight, in place.
 * @param means `[classes, d]`
 */
export function centre(
  { values, rows, columns: d }: Matrix,
  means: Matrix,
  classOf: (row: number) => number,
  weightOf: (row: number) => number,
): void {
  for (let i = 0, at = 0; i < rows; i++) {
    const mean = classOf(i) * d;
    const weight = weightOf(i);
    for (let j = 0; j < d; j++, at++) {
      values[at] = weight * ((values[at] as number) - (means.values[mean + j] as number));
    }
  }
}

/** @returns the sum of the squares of all values */
export function squaresOf(values: Float64Array): number {
  let sum = 0;
  for (const one of values) sum += one * one;
  return sum;
}

/** Places by group, in the order in which the groups first appear. @param groups a number for each place; null: each alone */
export function gathered(groups: Uint32Array | null, n: number): Uint32Array[] {
  if (groups === null) return Array.from({ length: n }, (_, i) => Uint32Array.of(i));
  const places = new Map<number, number[]>();
  groups.forEach((group, place) => {
    const known = places.get(group);
    if (known === undefined) places.set(group, [place]);
    else known.push(place);
  });
  return [...places.values()].map((one) => Uint32Array.from(one));
}
