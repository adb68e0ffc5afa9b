import type { HeadInfo } from '../../heads/head-info.js';
import type { Metrics } from '../../metrics/metrics.js';
import { decimals, interval, type Maybe, measured, percent } from '../format.js';
import { type Html, html } from '../html.js';
import type { OnData } from '../model.js';
import { type Cell, type Column, table } from './parts.js';

/** How a metric is shown. */
export interface Shown {
  readonly name: string;
  readonly text: string;
  readonly of: (value: Maybe) => string;
  readonly hint: string;
}

const share = (name: string, text: string, hint: string): Shown => ({ name, text, of: percent, hint });
const plain = (name: string, text: string, hint: string): Shown => ({ name, text, of: decimals, hint });
const unit = (name: string, text: string, hint: string): Shown => ({ name, text, of: measured, hint });

const LOSS = plain('loss', 'Log loss', 'mean, in nats; lower is better');
const AREAS = [
  plain('auc', 'AUC', 'area under the ROC curve; of several classes the mean of one against the rest'),
  plain('averagePrecision', 'Average precision', 'area under the precision-recall curve'),
];
const MEANS = [
  plain('precision', 'Precision', 'mean over the classes'),
  plain('recall', 'Recall', 'mean over the classes'),
  plain('f1', 'F1', 'mean over the classes'),
];
const CALIBRATION = plain('calibrationError', 'Calibration error', 'expected, over 15 bins; lower is better');

const CLASSIFICATION: readonly Shown[] = [
  share('accuracy', 'Accuracy', 'share of images whose class the head says'),
  share('balancedAccuracy', 'Balanced accuracy', 'mean recall of the classes'),
  ...AREAS,
  LOSS,
  ...MEANS,
  CALIBRATION,
];
const MULTILABEL: readonly Shown[] = [
  share('accuracy', 'All labels right', 'share of images all of whose labels are right'),
  share('hammingLoss', 'Single labels wrong', 'share of labels, over all images'),
  plain('microF1', 'Micro F1', 'of all labels counted together'),
  ...MEANS,
  ...AREAS,
  LOSS,
  CALIBRATION,
];
const REGRESSION: readonly Shown[] = [
  plain('r2', 'R²', 'share of the variance that is explained; 0 is no better than the mean'),
  unit('mae', 'Mean error', 'mean absolute error, in the unit of the labels'),
  unit('rmse', 'Root mean square', 'of the errors, in the unit of the labels'),
  unit('loss', 'Mean square', 'of the errors'),
];

/** @returns the metrics of a task, in the order in which they are shown */
export const shownOf = ({ task }: Pick<HeadInfo, 'task'>): readonly Shown[] =>
  task === 'regression' ? REGRESSION : task === 'multilabel' ? MULTILABEL : CLASSIFICATION;

export const metricOf = (metrics: Metrics, name: string): number | null =>
  (metrics as unknown as Readonly<Record<string, number | null | undefined>>)[name] ?? null;

/** @returns its interval; none of the calibration error, of which heads of before have one that may lie beside the value */
const endsOf = (metrics: Metrics, name: string): readonly [number, number] | null =>
  name === CALIBRATION.name ? null : (metrics.intervals?.of[name] ?? null);

/** Metrics of a head, and where they were measured. */
interface MeasuredAt {
  readonly text: string;
  readonly metrics: Metrics;
}

/** @returns what a head's metrics are, wherever they were measured; those that tell most first */
export const measuredAt = (info: HeadInfo, onData: OnData | null): MeasuredAt[] => {
  const validation = info.folds === null ? 'validation, at training' : 'cross-validation, at training';
  return [
    ...(onData === null ? [] : [{ text: 'here', metrics: onData.metrics }]),
    ...(info.testMetrics === null ? [] : [{ text: 'test, at training', metrics: info.testMetrics }]),
    ...(info.metrics === null ? [] : [{ text: validation, metrics: info.metrics }]),
  ];
};

/** The metrics that tell most, where there are any: measured here, on the test images, or on validation. */
export const mainMetrics = (info: HeadInfo, onData: OnData | null): Metrics | null =>
  measuredAt(info, onData)[0]?.metrics ?? null;

/** The few numbers that tell how good a head is, large. */
export function keyFigures(info: HeadInfo, onData: OnData | null): Html | null {
  const metrics = mainMetrics(info, onData);
  if (metrics === null) return null;
  const names =
    info.task === 'regression'
      ? ['r2', 'mae', 'rmse']
      : ['accuracy', info.task === 'multilabel' ? 'microF1' : 'auc', 'loss'];
  const each = shownOf(info).filter(({ name }) => names.includes(name));
  const order = each.sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name));
  return html`<dl class="key">${order.map(({ name, text, of }) => {
    const ends = endsOf(metrics, name);
    return html`<div><dt>${text}</dt><dd><span class="big">${of(metricOf(metrics, name))}</span>${
      ends !== null && html` <span class="ends">${interval(ends, of)}</span>`
    }</dd></div>`;
  })}</dl>`;
}

/** All numbers of a head, wherever they were measured. */
export function metricsTable(name: string, info: HeadInfo, onData: OnData | null): Html | null {
  const all = measuredAt(info, onData);
  if (all.length === 0) return null;
  const columns: Column[] = [
    { text: 'Metric' },
    ...all.flatMap(({ text }): Column[] => [
      { text, isNumber: true },
      { text: '95 %', isNumber: true },
    ]),
  ];
  const rows = shownOf(info)
    .filter(({ name: one }) => all.some(({ metrics }) => metricOf(metrics, one) !== null))
    .map(({ name: one, text, of, hint }): Cell[] => [
      { shown: html`<abbr title="${hint}">${text}</abbr>` },
      ...all.flatMap(({ metrics }): Cell[] => {
        const value = metricOf(metrics, one);
        return [
          { shown: of(value), value, metric: one },
          { shown: interval(endsOf(metrics, one), of), look: 'quiet' },
        ];
      }),
    ]);
  return table({ caption: `Metrics of ${name}`, columns, rows });
}

/** Rows of which a table is moved by itself. */
const MANY = 40;

/** Each class or label: how many, how many found, how sure that is. */
export function classTable(name: string, info: HeadInfo, metrics: Metrics): Html | null {
  if (!('classes' in metrics)) return null;
  const limits = info.task === 'multilabel' ? info.threshold?.values : undefined;
  const columns: Column[] = [
    { text: info.task === 'multilabel' ? 'Label' : 'Class' },
    { text: 'Images', isNumber: true },
    ...(limits === undefined ? [] : [{ text: 'Threshold', isNumber: true }]),
    ...['Precision', 'Recall'].flatMap((text): Column[] => [
      { text, isNumber: true },
      { text: '95 %', isNumber: true },
    ]),
    { text: 'F1', isNumber: true },
    { text: 'AUC', isNumber: true },
    { text: 'AP', isNumber: true, hint: 'average precision' },
  ];
  const rows = metrics.classes.map((one, k): Cell[] => {
    const number = (metric: 'precision' | 'recall' | 'f1' | 'auc' | 'averagePrecision'): Cell => ({
      shown: decimals(one[metric]),
      value: one[metric],
      metric: `${k}.${metric}`,
    });
    const ends = (metric: string): Cell => ({ shown: interval(endsOf(metrics, `${k}.${metric}`)), look: 'quiet' });
    return [
      { shown: info.classes[k] ?? '', value: info.classes[k] ?? '' },
      { shown: String(one.support), value: one.support, metric: `${k}.support` },
      ...(limits === undefined ? [] : [{ shown: decimals(limits[k]), value: limits[k] ?? null }]),
      number('precision'),
      ends('precision'),
      number('recall'),
      ends('recall'),
      number('f1'),
      number('auc'),
      number('averagePrecision'),
    ];
  });
  const what = info.task === 'multilabel' ? 'labels' : 'classes';
  return table({
    caption: `${what === 'labels' ? 'Labels' : 'Classes'} of ${name}`,
    columns,
    rows,
    isSortable: true,
    isTall: metrics.classes.length > MANY,
  });
}
