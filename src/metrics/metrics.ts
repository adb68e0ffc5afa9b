import { atOnce, type Steps } from '../breathe.js';
import { type BootstrapOptions, once, type Statistics } from './bootstrap.js';
import { answersOf, classificationInSteps, confusionOf } from './classification.js';
import { type Intervals, intervalsInSteps } from './intervals.js';
import { multilabelStatistics } from './multilabel.js';
import { regressionStatistics } from './regression.js';
import { orNull } from './shared.js';

/** One class against the rest, or one label. Null where these examples do not define it. */
export interface ClassMetrics {
  /** Examples of the class. */
  readonly support: number;
  /** 0 where the class is never said. */
  readonly precision: number;
  /** 0 where there is none of the class. */
  readonly recall: number;
  readonly f1: number;
  readonly auc: number | null;
  readonly averagePrecision: number | null;
}

interface CommonMetrics {
  /** Mean log loss in nats, probabilities clipped to [e, 1 - e] with float32's e = 2^-23, as scikit-learn does. */
  readonly loss: number;
  /** Means over the classes. */
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Area under the ROC curve; of more than two classes the mean of one against the rest over those that can be measured. */
  readonly auc: number | null;
  /** Area under the precision-recall curve (average precision), likewise. */
  readonly averagePrecision: number | null;
  /** Expected calibration error, 15 bins of equal width; null of a head saved before it was measured. */
  readonly calibrationError: number | null;
  /** In the head's order. */
  readonly classes: readonly ClassMetrics[];
  /** Of all of the above at 95 %, `0.f1` being the F1 of the first class; null when not asked for. */
  readonly intervals: Intervals | null;
}

/** How well a head of one class an image does. */
export interface ClassificationMetrics extends CommonMetrics {
  /** Share of images whose class the head says: the likeliest, of a binary head by its threshold. */
  readonly accuracy: number;
  /** Mean recall of the classes that are there. */
  readonly balancedAccuracy: number;
  /** Images by true class (row) and answer (column). */
  readonly confusion: readonly (readonly number[])[];
}

/** How well a multilabel head does. The loss is the mean over labels. */
export interface MultilabelMetrics extends CommonMetrics {
  /** Share of images all of whose labels are right. */
  readonly accuracy: number;
  /** Share of single labels that are wrong. */
  readonly hammingLoss: number;
  /** F1 of all labels counted together. */
  readonly microF1: number;
}

/** How well a regression does. */
export interface RegressionMetrics {
  /** Mean squared error. */
  readonly loss: number;
  /** Null where all labels are the same. */
  readonly r2: number | null;
  /** Mean absolute error. */
  readonly mae: number;
  /** Root of the mean squared error. */
  readonly rmse: number;
  /** At 95 %; null when not asked for. */
  readonly intervals: Intervals | null;
}

/** Which of the three depends on the task. */
export type Metrics = ClassificationMetrics | MultilabelMetrics | RegressionMetrics;

const valuesOf = (statistics: Statistics): Record<string, number> => {
  for (const counts of statistics.counts) counts.fill(1);
  const [values] = statistics.measure();
  return Object.fromEntries(statistics.names.map((name, k) => [name, values[k] as number]));
};

function commonOf(values: Record<string, number>, support: readonly number[], intervals: Intervals | null) {
  const number = (name: string): number => values[name] as number;
  return {
    loss: number('loss'),
    precision: number('precision'),
    recall: number('recall'),
    f1: number('f1'),
    auc: orNull(values.auc),
    averagePrecision: orNull(values.averagePrecision),
    calibrationError: number('calibrationError'),
    classes: support.map((count, k) => ({
      support: count,
      precision: number(`${k}.precision`),
      recall: number(`${k}.recall`),
      f1: number(`${k}.f1`),
      auc: orNull(values[`${k}.auc`]),
      averagePrecision: orNull(values[`${k}.averagePrecision`]),
    })),
    intervals,
  };
}

/**
 * Measures a head of one class an image.
 * @param probabilities `[n, classes]`, two columns for a binary head too
 * @param y `[n]`, class numbers, n at least 1
 * @param threshold of a binary head. Default 0.5
 */
export function* measureClassesInSteps(
  probabilities: Float32Array,
  y: ArrayLike<number>,
  classes: number,
  threshold = 0.5,
  options: BootstrapOptions = {},
): Steps<ClassificationMetrics> {
  const statistics = yield* classificationInSteps(probabilities, y, classes, threshold);
  const values = valuesOf(statistics);
  const answers = answersOf(probabilities, classes, threshold);
  const flat = Array.from(confusionOf(answers, y, classes, once(y.length)));
  const confusion = Array.from({ length: classes }, (_, k) => flat.slice(k * classes, (k + 1) * classes));
  const support = confusion.map((row) => row.reduce((sum, count) => sum + count, 0));
  return {
    accuracy: values.accuracy as number,
    balancedAccuracy: values.balancedAccuracy as number,
    ...commonOf(values, support, yield* intervalsInSteps(statistics, options)),
    confusion,
  };
}

/**
 * Measures a multilabel head.
 * @param probabilities `[n, classes]`
 * @param y `[n, classes]`, 0 or 1, n at least 1
 * @param thresholds one a label
 */
export function* measureLabelsInSteps(
  probabilities: Float32Array,
  y: ArrayLike<number>,
  thresholds: readonly number[],
  options: BootstrapOptions = {},
): Steps<MultilabelMetrics> {
  const statistics = multilabelStatistics(probabilities, y, thresholds);
  const values = valuesOf(statistics);
  const support = thresholds.map(() => 0);
  for (let at = 0; at < y.length; at++) {
    const k = at % support.length;
    support[k] = (support[k] as number) + (y[at] as number);
  }
  return {
    accuracy: values.accuracy as number,
    hammingLoss: values.hammingLoss as number,
    microF1: values.microF1 as number,
    ...commonOf(values, support, yield* intervalsInSteps(statistics, options)),
  };
}

/**
 * Measures a regression.
 * @param values `[n]`, what the head says
 * @param y `[n]`, n at least 1
 */
export function* measureValuesInSteps(
  values: Float32Array,
  y: ArrayLike<number>,
  options: BootstrapOptions = {},
): Steps<RegressionMetrics> {
  const statistics = regressionStatistics(values, y);
  const { r2, mae, rmse, loss } = valuesOf(statistics) as Record<'r2' | 'mae' | 'rmse' | 'loss', number>;
  return { loss, r2: orNull(r2), mae, rmse, intervals: yield* intervalsInSteps(statistics, options) };
}

type AtOnce<Given extends readonly unknown[], T> = (...given: Given) => T;

/** `measureClassesInSteps` at one go. */
export const measureClasses: AtOnce<Parameters<typeof measureClassesInSteps>, ClassificationMetrics> = (...given) =>
  atOnce(measureClassesInSteps(...given));

/** `measureLabelsInSteps` at one go. */
export const measureLabels: AtOnce<Parameters<typeof measureLabelsInSteps>, MultilabelMetrics> = (...given) =>
  atOnce(measureLabelsInSteps(...given));

/** `measureValuesInSteps` at one go. */
export const measureValues: AtOnce<Parameters<typeof measureValuesInSteps>, RegressionMetrics> = (...given) =>
  atOnce(measureValuesInSteps(...given));
