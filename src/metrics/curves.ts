import { CALIBRATION_BINS, calibrationBins } from './calibration.js';
import type { Ranking } from './ranking.js';
import { tally } from './tally.js';
import { wilson } from './wilson.js';

/** A point of a curve: x, then y. */
export type Point = readonly [x: number, y: number];

/**
 * The ROC curve: share of negatives taken for positives, share of positives found, as scikit-learn's `roc_curve` with
 * `drop_intermediate=False`; equal scores give one point.
 * @returns from (0, 0) to (1, 1); empty where positives or negatives are missing
 */
export function rocCurve({ tied, positive }: Ranking): Point[] {
  const positives = positive.reduce((sum, one) => sum + one, 0);
  const negatives = positive.length - positives;
  if (positives === 0 || negatives === 0) return [];
  const points: Point[] = [[0, 0]];
  let hits = 0;
  for (const [at, one] of positive.entries()) {
    hits += one;
    if (tied[at] !== 1) points.push([(at + 1 - hits) / negatives, hits / positives]);
  }
  return points;
}

/**
 * The precision-recall curve: recall, precision, as scikit-learn's `precision_recall_curve` from the highest threshold down; equal
 * scores give one point.
 * @returns from recall 0, with the first precision, to recall 1; empty without positives
 */
export function precisionRecallCurve({ tied, positive }: Ranking): Point[] {
  const positives = positive.reduce((sum, one) => sum + one, 0);
  if (positives === 0) return [];
  const points: Point[] = [];
  let hits = 0;
  for (const [at, one] of positive.entries()) {
    hits += one;
    if (tied[at] === 1) continue;
    const precision = hits / (at + 1);
    if (points.length === 0) points.push([0, precision]);
    points.push([hits / positives, precision]);
    if (hits === positives) break;
  }
  return points;
}

/** What was predicted with about one probability, and how often it was so. */
export interface ReliabilityBin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** Mean of the predicted probabilities; null where the bin is empty, as the next two. */
  readonly mean: number | null;
  /** Share that was so. */
  readonly share: number | null;
  /** Wilson's, at 95 %. */
  readonly interval: readonly [number, number] | null;
}

/** @returns the bins of the calibration error, of equal width, lowest first */
export function reliability(probabilities: Float32Array, isEvent: (example: number) => boolean): ReliabilityBin[] {
  const bins = calibrationBins(probabilities);
  const sums = new Float64Array(CALIBRATION_BINS);
  const [counts, events] = [new Uint32Array(CALIBRATION_BINS), new Uint32Array(CALIBRATION_BINS)];
  for (const [i, bin] of bins.entries()) {
    tally(sums, bin, probabilities[i] as number);
    tally(counts, bin, 1);
    if (isEvent(i)) tally(events, bin, 1);
  }
  return Array.from(counts, (count, bin) => {
    const hits = events[bin] as number;
    const ends = { from: bin / CALIBRATION_BINS, to: (bin + 1) / CALIBRATION_BINS, count };
    if (count === 0) return { ...ends, mean: null, share: null, interval: null };
    return { ...ends, mean: (sums[bin] as number) / count, share: hits / count, interval: wilson(hits, count) };
  });
}

/** Of one threshold: positives that are said, and negatives that are. */
export interface SaidAt {
  readonly threshold: number;
  readonly hits: number;
  readonly wrong: number;
}

/** @returns what is said above each threshold: a probability equal to it is not */
export function saidAt(
  scores: Float32Array,
  isPositive: (example: number) => boolean,
  thresholds: readonly number[],
): SaidAt[] {
  const positives: number[] = [];
  const negatives: number[] = [];
  for (const [i, score] of scores.entries()) (isPositive(i) ? positives : negatives).push(score);
  for (const list of [positives, negatives]) list.sort((a, b) => a - b);
  return thresholds.map((threshold) => ({
    threshold,
    hits: positives.length - notAbove(positives, threshold),
    wrong: negatives.length - notAbove(negatives, threshold),
  }));
}

/** @returns how many of ascending values are not above a limit */
function notAbove(sorted: readonly number[], limit: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
