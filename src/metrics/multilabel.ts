import type { Statistics } from './bootstrap.js';
import { calibrationBins, calibrationError } from './calibration.js';
import { areaSides, CLASS_NAMES, column, eachClass, eachShare } from './classification.js';
import { rank } from './ranking.js';
import { Samples } from './samples.js';
import { logLoss, meanDefined, precisionRecallF1, weightedMean } from './shared.js';

/** What is measured for a multilabel head as a whole. */
export const MULTILABEL_NAMES = [
  'accuracy',
  'hammingLoss',
  'precision',
  'recall',
  'f1',
  'microF1',
  'auc',
  'averagePrecision',
  'loss',
  'calibrationError',
] as const;

/** @returns `[n, classes]`, 1 where the head says the label: its probability is above the label's threshold */
export function labelsSaid(probabilities: Float32Array, thresholds: readonly number[]): Uint8Array {
  const classes = thresholds.length;
  return Uint8Array.from(probabilities, (p, at) => (p > (thresholds[at % classes] as number) ? 1 : 0));
}

/**
 * Any number of labels an example. Accuracy counts examples whose labels are all right; `hammingLoss` is the share of single
 * labels that are wrong; the loss is the mean over labels, as in Keras; precision, recall, F1, AUC and average precision are means
 * over the labels (those that can be measured), `microF1` counts all labels together; the calibration error takes all together.
 * @param probabilities `[n, classes]`
 * @param y `[n, classes]`, 1 for a label that the example has
 */
export function multilabelStatistics(
  probabilities: Float32Array,
  y: ArrayLike<number>,
  thresholds: readonly number[],
): Statistics {
  const classes = thresholds.length;
  const n = probabilities.length / classes;
  const said = labelsSaid(probabilities, thresholds);
  const wrong = new Float64Array(n);
  const losses = new Float64Array(n);
  for (let at = 0; at < n * classes; at++) {
    const i = Math.floor(at / classes);
    const p = probabilities[at] as number;
    if (said[at] !== y[at]) wrong[i] = (wrong[i] as number) + 1;
    losses[i] = (losses[i] as number) + logLoss(y[at] === 1 ? p : 1 - p) / classes;
  }
  const exact = Float64Array.from(wrong, (count) => (count === 0 ? 1 : 0));
  const hamming = wrong.map((count) => count / classes);
  const rankings = Array.from({ length: classes }, (_, k) =>
    rank(column(probabilities, classes, k), (i) => y[i * classes + k] === 1),
  );
  const samples = new Samples(n, rankings);
  const bins = calibrationBins(probabilities);
  const gaps = Float64Array.from(probabilities, (p, at) => p - (y[at] === 1 ? 1 : 0));
  const counts = (k: number, is: (at: number) => boolean): number => {
    let sum = 0;
    for (let at = k; at < n * classes; at += classes) if (is(at)) sum += 1;
    return sum;
  };
  const tallies = rankings.map((_, k) => ({
    hits: counts(k, (at) => said[at] === 1 && y[at] === 1),
    said: counts(k, (at) => said[at] === 1),
    is: counts(k, (at) => y[at] === 1),
  }));
  return {
    n,
    work: 4 * classes + 3,
    names: [...MULTILABEL_NAMES, ...eachClass(classes)],
    shares: new Map<string, readonly [number, number]>([
      ['accuracy', [exact.reduce((sum, one) => sum + one, 0), n]],
      ...tallies.flatMap((one, k) => eachShare(k, one.hits, one.said, one.is)),
    ]),
    sides: areaSides(
      tallies.map(({ is }) => Math.min(is, n - is)),
      false,
    ),
    counts: samples.counts,
    measure() {
      const found = rankings.map((_, k) => samples.areas(k));
      return [valuesOf(0), valuesOf(1)];

      function valuesOf(sample: 0 | 1): Float64Array {
        const counts = samples.counts[sample];
        const each = found.map((areas, k) => {
          let [hits, extra, missed] = [0, 0, 0];
          for (let i = 0; i < n; i++) {
            const at = i * classes + k;
            const count = counts[i] as number;
            if (said[at] === 1 && y[at] === 1) hits += count;
            else if (said[at] === 1) extra += count;
            else if (y[at] === 1) missed += count;
          }
          const [precision, recall, f1] = precisionRecallF1(hits, extra, missed);
          return { precision, recall, f1, ...areas[sample], hits, extra, missed };
        });
        const total = (of: (one: (typeof each)[number]) => number): number =>
          each.reduce((sum, one) => sum + of(one), 0);
        const [, , microF1] = precisionRecallF1(
          total((one) => one.hits),
          total((one) => one.extra),
          total((one) => one.missed),
        );
        return Float64Array.of(
          weightedMean(exact, counts),
          weightedMean(hamming, counts),
          total((one) => one.precision) / classes,
          total((one) => one.recall) / classes,
          total((one) => one.f1) / classes,
          microF1,
          meanDefined(each.map((one) => one.auc)),
          meanDefined(each.map((one) => one.averagePrecision)),
          weightedMean(losses, counts),
          calibrationError(bins, gaps, counts, classes),
          ...each.flatMap((one) => CLASS_NAMES.map((name) => one[name])),
        );
      }
    },
  };
}
