import { atOnce, type Steps } from '../breathe.js';
import type { Targets, Task } from '../labels/targets.js';
import type { BootstrapOptions } from '../metrics/bootstrap.js';
import { column } from '../metrics/classification.js';
import { type CoverageRule, fitCoverage } from '../metrics/conformal.js';
import { type Metrics, measureClassesInSteps, measureLabelsInSteps, measureValuesInSteps } from '../metrics/metrics.js';
import { fitTemperature } from '../metrics/temperature.js';
import { chooseThreshold } from '../metrics/threshold.js';
import { endingOf, unitsOf } from '../train/net.js';
import type { ResolvedFit } from './fit-options.js';
import type { Threshold } from './learned.js';

/** What a head says of some examples, and what it should say. */
export interface Answers {
  readonly task: Task;
  /** Number of classes; 0 of a regression. */
  readonly classes: number;
  /** Probabilities `[n, classes]`, both columns of a binary head; of a regression values `[n]`. */
  readonly scores: Float32Array;
  readonly y: Targets;
}

/**
 * @param logits `[n, units]`
 * @returns the temperature of the lowest loss; null where none is asked for or there is nothing to fit it on
 */
export function temperatureOf(
  task: Task,
  classes: number,
  logits: Float32Array,
  y: Targets,
  { calibrate }: ResolvedFit,
): number | null {
  const ending = endingOf(task);
  if (!calibrate || ending === 'linear' || logits.length === 0) return null;
  return fitTemperature(logits, y, unitsOf(task, classes), ending);
}

/** @returns the threshold of a binary or multilabel head, chosen on these answers where it is not given; null of other tasks */
export function thresholdOf({ task, classes, scores, y }: Answers, fit: ResolvedFit): Threshold | null {
  if (task === 'regression' || task === 'multiclass') return null;
  const labels = task === 'binary' ? [1] : Array.from({ length: classes }, (_, k) => k);
  if (typeof fit.threshold === 'number' || scores.length === 0) {
    const value = typeof fit.threshold === 'number' ? fit.threshold : 0.5;
    return { criterion: 'fixed', values: labels.map(() => value) };
  }
  const criterion = fit.threshold ?? (task === 'binary' ? 'youden' : 'f1');
  const isYes = (k: number) => (i: number) => (task === 'binary' ? y[i] === 1 : y[i * classes + k] === 1);
  return { criterion, values: labels.map((k) => chooseThreshold(column(scores, classes, k), isYes(k), criterion)) };
}

/** @returns what makes sets of classes by these answers; null where none are asked for, or there are none */
export function coverageOf({ classes, scores, y }: Answers, { coverage }: ResolvedFit): CoverageRule | null {
  return coverage === null || scores.length === 0 ? null : fitCoverage(scores, y, classes, coverage);
}

/** @returns how well these answers do; null for none */
export const metricsOf = (answers: Answers, threshold: Threshold | null, options: BootstrapOptions): Metrics | null =>
  atOnce(metricsInSteps(answers, threshold, options));

/** As `metricsOf`. */
export function* metricsInSteps(
  answers: Answers,
  threshold: Threshold | null,
  options: BootstrapOptions,
): Steps<Metrics | null> {
  const { task, classes, scores, y } = answers;
  if (scores.length === 0) return null;
  if (task === 'regression') return yield* measureValuesInSteps(scores, y, options);
  const values = threshold?.values ?? [];
  return task === 'multilabel'
    ? yield* measureLabelsInSteps(scores, y, values, options)
    : yield* measureClassesInSteps(scores, y, classes, values[0] ?? 0.5, options);
}
