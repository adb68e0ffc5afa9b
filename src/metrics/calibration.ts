/** Bins of the calibration error, of equal width. */
export const CALIBRATION_BINS = 15;

/** @returns the bin of each probability: (0, 1/15], (1/15, 2/15], …, with 0 in the first, as scikit-learn's `calibration_curve` */
export function calibrationBins(probabilities: Float32Array): Uint8Array {
  return Uint8Array.from(probabilities, (p) => {
    const bin = Math.max(0, Math.ceil(p * CALIBRATION_BINS) - 1);
    return Math.min(bin, CALIBRATION_BINS - 1);
  });
}

/**
 * The expected calibration error (Guo et al. 2017): over the bins, the distance between mean probability and share of events,
 * weighted by the bin's share of examples.
 * @param bins of each probability
 * @param gaps the probability less 1 for an event, less 0 for none
 * @param counts how often each example counts, of `perExample` probabilities one after the other
 */
export function calibrationError(bins: Uint8Array, gaps: Float64Array, counts: Uint32Array, perExample = 1): number {
  const sums = new Float64Array(CALIBRATION_BINS);
  let total = 0;
  for (let i = 0, at = 0; i < counts.length; i++) {
    const count = counts[i] as number;
    total += count;
    for (const end = at + perExample; at < end; at++) {
      const bin = bins[at] as number;
      sums[bin] = (sums[bin] as number) + count * (gaps[at] as number);
    }
  }
  return calibrationOf(sums, total * perExample);
}

/**
 * @param sums of the gaps in each bin
 * @param total probabilities counted
 */
export const calibrationOf = (sums: Float64Array, total: number): number =>
  sums.reduce((sum, one) => sum + Math.abs(one), 0) / total;
