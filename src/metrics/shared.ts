/** float32's e, to which scikit-learn clips float32 probabilities before it takes their logarithm. */
const EPSILON = 2 ** -23;

/** @returns the log loss of an event that had this probability, in nats; probabilities are clipped to [2^-23, 1 - 2^-23] */
export const logLoss = (probability: number): number =>
  -Math.log(Math.min(Math.max(probability, EPSILON), 1 - EPSILON));

/** @returns 0 where nothing is counted, as scikit-learn's `zero_division=0` */
export const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/** Precision, recall and F1 of what was said (`hits + wrong`) against what is (`hits + missed`). */
export function precisionRecallF1(hits: number, wrong: number, missed: number): [number, number, number] {
  return [ratio(hits, hits + wrong), ratio(hits, hits + missed), ratio(2 * hits, 2 * hits + wrong + missed)];
}

/** @returns the mean of the values that are defined, NaN where none is */
export function meanDefined(values: readonly number[]): number {
  const defined = values.filter((value) => !Number.isNaN(value));
  return defined.reduce((sum, value) => sum + value, 0) / defined.length;
}

/** @returns the mean of one value an example, each counted as often as it is drawn */
export function weightedMean(values: Float64Array, counts: Uint32Array): number {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    const count = counts[i] as number;
    sum += count * (values[i] as number);
    total += count;
  }
  return sum / total;
}

/** NaN cannot stand in JSON. */
export const orNull = (value: number | undefined): number | null =>
  value === undefined || Number.isNaN(value) ? null : value;
