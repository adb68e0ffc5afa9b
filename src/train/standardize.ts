import type { VectorSource } from './vectors.js';

/** `(x - mean) / scale`, one value a feature, fitted on the training vectors. */
export interface Standardization {
  readonly mean: Float32Array;
  readonly scale: Float32Array;
}

/** Share of the mean variance below which no feature's variance is taken: a feature that is as good as constant stays small. */
const VARIANCE_FLOOR = 1e-6;

/**
 * @returns mean and standard deviation (of the population, as scikit-learn's StandardScaler) of each feature, in float64
 * until the end, with the variance floor: 1e-6 of the mean variance of all features
 */
export async function fitStandardization(vectors: VectorSource, rows: Uint32Array): Promise<Standardization> {
  const { d } = vectors;
  const n = rows.length;
  const sum = new Float64Array(d);
  const squares = new Float64Array(d);
  // Sums of differences from the first row, so that a large mean does not swallow a small variance.
  let origin: Float64Array | undefined;
  for await (const { x, at } of vectors.blocks(rows)) {
    for (let i = 0; i < at.length; i++) {
      const from = (at[i] as number) * d;
      origin ??= Float64Array.from(x.subarray(from, from + d));
      for (let j = 0; j < d; j++) {
        const difference = (x[from + j] as number) - (origin[j] as number);
        sum[j] = (sum[j] as number) + difference;
        squares[j] = (squares[j] as number) + difference * difference;
      }
    }
  }
  const variance = squares.map((square, j) => Math.max(0, square / n - ((sum[j] as number) / n) ** 2));
  const floor = Math.max((VARIANCE_FLOOR * variance.reduce((total, one) => total + one, 0)) / d, 1e-12);
  return {
    mean: Float32Array.from(sum, (total, j) => (origin?.[j] ?? 0) + total / n),
    scale: Float32Array.from(variance, (one) => Math.sqrt(Math.max(one, floor))),
  };
}
