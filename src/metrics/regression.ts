import { oneByOne, type Statistics } from './bootstrap.js';

/** What is measured for a regression. */
export const REGRESSION_NAMES = ['r2', 'mae', 'rmse', 'loss'] as const;

/**
 * The loss is the mean squared error. R² is not defined where all labels are the same.
 * @param values `[n]`, what the head says
 * @param y `[n]`
 */
export function regressionStatistics(values: Float32Array, y: ArrayLike<number>): Statistics {
  const n = y.length;
  return {
    n,
    work: 2,
    names: REGRESSION_NAMES,
    shares: new Map(),
    ...oneByOne(n, (counts) => {
      let [total, sum, absolute, squared, spread] = [0, 0, 0, 0, 0];
      for (let i = 0; i < n; i++) {
        total += counts[i] as number;
        sum += (counts[i] as number) * (y[i] as number);
      }
      const mean = sum / total;
      for (let i = 0; i < n; i++) {
        const count = counts[i] as number;
        const error = (values[i] as number) - (y[i] as number);
        absolute += count * Math.abs(error);
        squared += count * error * error;
        spread += count * ((y[i] as number) - mean) ** 2;
      }
      const r2 = spread > 0 ? 1 - squared / spread : Number.NaN;
      return Float64Array.of(r2, absolute / total, Math.sqrt(squared / total), squared / total);
    }),
  };
}
