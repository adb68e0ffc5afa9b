import { type Matrix, matrix } from './products.js';
import { centre, type Rows } from './rows.js';

/** What discriminants are fitted to. */
export interface LdaProblem {
  readonly rows: Rows;
  /** Class of each row. */
  readonly y: Uint32Array;
  readonly classes: number;
  /** What an image of each class counts; null: all one. */
  readonly weights: Float64Array | null;
  /** Places that are left out together. */
  readonly groups: readonly Uint32Array[];
  /** Those of them whose scores choose a shrinkage and scale probabilities. */
  readonly sample: readonly Uint32Array[];
}

/** Class means and what lies within the classes. */
export interface Moments {
  /** `[classes, d]` */
  readonly means: Matrix;
  readonly counts: Float64Array;
  /** Of each class; they sum to 1. */
  readonly priors: Float64Array;
}

/** @returns the moments; a class without a row has the mean of all and the prior of half an image */
export async function momentsOf({ rows, y, classes, weights }: LdaProblem): Promise<Moments> {
  const { n, d } = rows;
  const means = matrix(classes, d);
  const counts = new Float64Array(classes);
  const all = new Float64Array(d);
  for await (const { places, x } of rows.blocks()) {
    for (const [i, place] of places.entries()) {
      const k = y[place] as number;
      counts[k] = (counts[k] as number) + 1;
      for (let j = 0; j < d; j++) {
        means.values[k * d + j] = (means.values[k * d + j] as number) + (x.values[i * d + j] as number);
      }
    }
  }
  for (let k = 0; k < classes; k++) {
    for (let j = 0; j < d; j++) all[j] = (all[j] as number) + (means.values[k * d + j] as number) / n;
  }
  for (let k = 0; k < classes; k++) {
    const count = counts[k] as number;
    for (let j = 0; j < d; j++) {
      const at = k * d + j;
      means.values[at] = count === 0 ? (all[j] as number) : (means.values[at] as number) / count;
    }
  }
  return { means, counts, priors: priorsOf(counts, weights) };
}

/** @returns shares of the classes, by what their images count */
export function priorsOf(counts: Float64Array, weights: Float64Array | null): Float64Array {
  const shares = counts.map((count, k) => Math.max(count, 0.5) * (weights?.[k] ?? 1));
  const total = shares.reduce((sum, one) => sum + one, 0);
  return shares.map((one) => one / total);
}

/** What a row of a class counts in the scatter, so that the scatter over n is the mean of the classes' covariances by their priors. */
export const rowWeight = ({ counts, priors }: Moments, n: number, k: number): number =>
  (n * (priors[k] as number)) / Math.max(counts[k] as number, 0.5);

/** @returns rows `[places, d]` less the means of their classes, times the roots of what they count: their squares sum to the scatter */
export async function takeCentred({ rows, y }: LdaProblem, moments: Moments, places: Uint32Array): Promise<Matrix> {
  const x = await rows.take(places);
  const weight = moments.counts.map((_, k) => Math.sqrt(rowWeight(moments, rows.n, k)));
  const classOf = (i: number): number => y[places[i] as number] as number;
  centre(x, moments.means, classOf, (i) => weight[classOf(i)] as number);
  return x;
}

/** A sum of squares of rows, and what is added on its diagonal. */
export interface Scatter {
  /** `Z'Z`; null where `Z` itself is there. */
  readonly square: Matrix | null;
  /** `Z`, where its rows are no more than the features. */
  readonly few: Matrix | null;
}
