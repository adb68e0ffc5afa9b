import type { CoverageRule } from '../metrics/conformal.js';
import type { Metrics } from '../metrics/metrics.js';
import type { ThresholdCriterion } from '../metrics/threshold.js';
import type { TrainingEnd } from '../train/run.js';

/** Above which probability a head says yes. */
export interface Threshold {
  /** What it makes largest on validation; `fixed` where it was given, or there was nothing to choose it on. */
  readonly criterion: ThresholdCriterion | 'fixed';
  /** Of the second class of a binary head; of each label of a multilabel head. */
  readonly values: readonly number[];
}

/** One part of a cross-validation. */
export interface Fold {
  readonly train: number;
  readonly val: number;
  readonly bestEpoch: number;
  /** Epochs run; absent of a head that was saved before it was noted. */
  readonly epochs?: number;
  /** On the images of this part, without intervals. */
  readonly metrics: Metrics;
}

/** How far always answering the mean of training is off on validation. */
export interface MeanAnswer {
  readonly mean: number;
  /** Mean absolute error, and root of the mean squared one. */
  readonly mae: number;
  readonly rmse: number;
}

/** What validation can choose: the best of a sweep's options, the epoch, thresholds, a temperature. */
export const CHOICES = ['options', 'epoch', 'threshold', 'temperature'] as const;
export type Choice = (typeof CHOICES)[number];

/** What training a head and judging it on its images told, in the order of `head.json`. */
export interface Learned {
  /** Images trained on. */
  readonly train: number;
  /** Images validated on; of a cross-validation all that were trained on. */
  readonly val: number;
  /** Images tested on. */
  readonly test: number;
  /** Training images a class that were asked for. */
  readonly shots: number | null;
  /** Whether the saved weights were trained on the validation images too, after the metrics were taken without. */
  readonly refit: boolean;
  /** On validation; of a cross-validation on all images, each predicted by a head that did not see it. */
  readonly metrics: Metrics | null;
  /** On the test images, measured once, at the end. */
  readonly testMetrics: Metrics | null;
  /** Accuracy on validation of always answering the commonest class; of one class an image. */
  readonly majority: number | null;
  /** The commonest class of training; of one class an image. Null of a head that was saved before it was noted. */
  readonly commonest: string | null;
  /** Of a regression; null of a head that was saved before it was measured. */
  readonly meanAnswer: MeanAnswer | null;
  /** Of binary and multilabel heads. */
  readonly threshold: Threshold | null;
  /** What logits are divided by, folded into `head.onnx`. */
  readonly temperature: number | null;
  /** What sets of classes are made by; null where none were asked for. */
  readonly coverage: CoverageRule | null;
  readonly folds: readonly Fold[] | null;
  /** What the images that the metrics are from have chosen; null of a head that was saved before it was noted. */
  readonly chosen: readonly Choice[] | null;
  /** Why training ended: `epochs` of a cross-validation where any part ran out of them. Null as above. */
  readonly end: TrainingEnd | null;
  /** The epoch whose weights were kept. */
  readonly bestEpoch: number;
}

/** @returns these fields alone, of something that has more */
export function learnedOf(from: Learned): Learned {
  const { train, val, test, shots, refit, metrics, testMetrics, majority, commonest, meanAnswer } = from;
  const { threshold, temperature, coverage, folds, chosen, end, bestEpoch } = from;
  return {
    ...{ train, val, test, shots, refit, metrics, testMetrics, majority, commonest, meanAnswer },
    ...{ threshold, temperature, coverage, folds, chosen, end, bestEpoch },
  };
}
