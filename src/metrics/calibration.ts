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
 */
export class CalibrationError {
  private readonly sums = new Float64Array(CALIBRATION_BINS);
  private total = 0;

  add(bin: number, probability: number, event: boolean, count: number): void {
    this.sums[bin] = (this.sums[bin] as number) + count * (probability - (event ? 1 : 0));
    this.total += count;
  }

  get value(): number {
    return this.sums.reduce((sum, one) => sum + Math.abs(one), 0) / this.total;
  }
}
