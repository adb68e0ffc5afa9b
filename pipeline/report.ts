import type { TrainResult } from '../src/commands/train.js';
import type { Intervals } from '../src/metrics/bootstrap.js';
import type { Metrics } from '../src/metrics/metrics.js';
import { table } from './table.js';

export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const decimals = (value: number): string => value.toFixed(3);

/** A value with its interval, where both are there: `AUC 0.982 [0.961, 0.997]`. */
function measured(
  what: string,
  value: number | null | undefined,
  interval: readonly [number, number] | null | undefined,
  show: (value: number) => string = decimals,
): string {
  if (value === null || value === undefined) return '';
  const ends = interval ? ` [${interval.map((end) => show(end).replace(' %', '')).join(', ')}]` : '';
  return `${what} ${show(value)}${ends}`;
}

/** @returns what a head is told by in one line, by the kind of its metrics; intervals in brackets */
export function metricsLine(metrics: Metrics, majority: number | null = null): string {
  const of = (name: string) => (metrics.intervals as Intervals | null)?.of[name];
  const beside = majority === null ? '' : ` (always the commonest class: ${percent(majority)})`;
  const parts =
    'r2' in metrics
      ? [
          measured('R²', metrics.r2, of('r2')),
          measured('mean error', metrics.mae, of('mae')),
          measured('root mean square', metrics.rmse, of('rmse')),
        ]
      : 'hammingLoss' in metrics
        ? [
            measured('all labels right', metrics.accuracy, of('accuracy'), percent),
            measured('single labels wrong', metrics.hammingLoss, of('hammingLoss'), percent),
            measured('mean F1', metrics.f1, of('f1')),
            measured('mean AUC', metrics.auc, of('auc')),
            measured('mean average precision', metrics.averagePrecision, of('averagePrecision')),
            measured('log loss', metrics.loss, of('loss')),
          ]
        : [
            `${measured('accuracy', metrics.accuracy, of('accuracy'), percent)}${beside}`,
            measured('AUC', metrics.auc, of('auc')),
            measured('log loss', metrics.loss, of('loss')),
          ];
  return parts.filter((part) => part !== '').join(', ');
}

/** What people read at the end of a training. */
export function trainReport(result: TrainResult): string[] {
  const { task, classes, metrics, testMetrics, majority, threshold, temperature, folds, epochs, bestEpoch } = result;
  const what = task === 'regression' ? 'regression head' : `${task} head ${shortList(classes)}`;
  const sides = folds === null ? `${result.val} to validate` : `${folds.length} parts, each predicted by the others`;
  const best = folds === null ? `best of ${epochs} epochs is ${bestEpoch}, ` : '';
  const lines = [`${what}: ${result.train} images to train on, ${sides}, ${best}${result.seconds.toFixed(1)} s`];
  if (metrics) {
    lines.push(`${folds === null ? 'validation' : 'cross-validation'}: ${metricsLine(metrics, majority)}`);
    if (folds === null && !testMetrics)
      lines.push('these images also chose the epoch, so expect a little less on new ones');
    if (task === 'binary' && threshold && threshold.criterion !== 'fixed') {
      lines.push(
        `${classes[1]} is said above ${decimals(threshold.values[0] ?? 0.5)} (${threshold.criterion} on validation)`,
      );
    }
    if (temperature !== null) lines.push(`temperature ${decimals(temperature)}, folded in`);
    if ('confusion' in metrics && classes.length <= 12) lines.push(...confusion(classes, metrics.confusion));
  } else {
    lines.push('no validation images: every epoch was run and nothing is measured');
  }
  if (result.refit) lines.push('trained anew on training and validation images');
  if (testMetrics) lines.push(`test (${result.test} images): ${metricsLine(testMetrics)}`);
  return lines;
}

const shortList = (classes: readonly string[]): string =>
  classes.length <= 12 ? classes.join(' / ') : `of ${classes.length} classes`;

function confusion(classes: readonly string[], matrix: readonly (readonly number[])[]): string[] {
  const names = classes.map((name) => name.slice(0, 20));
  const rows = matrix.map((counts, i) => ({ cells: [names[i] ?? '', ...counts.map(String)] }));
  return table(['is \\ said', ...names], rows).map((line) => `  ${line}`);
}
