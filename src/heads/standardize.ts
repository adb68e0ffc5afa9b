import type { DenseWeights } from '../engine/onnx/head-net.js';

/** `(x - mean) / scale`, one value a feature, fitted on the training vectors. */
export interface Standardization {
  readonly mean: Float32Array;
  readonly scale: Float32Array;
}

/** Share of the mean variance below which no feature's variance is taken: a feature that is as good as constant stays small. */
const VARIANCE_FLOOR = 1e-6;

/**
 * @param x `[n, d]`
 * @returns mean and standard deviation (of the population, as scikit-learn's StandardScaler) of each feature, in float64
 * until the end, with the variance floor: 1e-6 of the mean variance of all features
 */
export function fitStandardization(x: Float32Array, n: number, d: number): Standardization {
  const sum = new Float64Array(d);
  const squares = new Float64Array(d);
  // Sums of differences from the first row, so that a large mean does not swallow a small variance.
  const origin = Float64Array.from(x.subarray(0, d));
  for (let row = 0; row < n; row++) {
    const at = row * d;
    for (let j = 0; j < d; j++) {
      const difference = (x[at + j] as number) - (origin[j] as number);
      sum[j] = (sum[j] as number) + difference;
      squares[j] = (squares[j] as number) + difference * difference;
    }
  }
  const variance = squares.map((square, j) => Math.max(0, square / n - ((sum[j] as number) / n) ** 2));
  const floor = Math.max((VARIANCE_FLOOR * variance.reduce((total, one) => total + one, 0)) / d, 1e-12);
  return {
    mean: Float32Array.from(sum, (total, j) => (origin[j] as number) + total / n),
    scale: Float32Array.from(variance, (one) => Math.sqrt(Math.max(one, floor))),
  };
}

/** @returns weights that give on raw vectors what the given ones give on standardised vectors */
export function foldStandardization(weights: DenseWeights, { mean, scale }: Standardization): DenseWeights {
  const d = mean.length;
  const kernel = new Float32Array(weights.kernel.length);
  const bias = Float32Array.from(weights.bias, (offset, unit) => {
    let folded = offset;
    for (let j = 0; j < d; j++) {
      const weight = (weights.kernel[unit * d + j] as number) / (scale[j] as number);
      kernel[unit * d + j] = weight;
      folded -= weight * (mean[j] as number);
    }
    return folded;
  });
  return { kernel, bias };
}
