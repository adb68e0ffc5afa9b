import { isLowBest } from '../../heads/sweep-ranking.js';
import type { Comparison } from '../comparison.js';
import { counted, figures, four, interval, whole } from '../format.js';
import { type Html, html } from '../html.js';
import type { HeadReport } from '../model.js';
import { measuredAt, metricOf, shownOf } from './metrics.js';
import { type Cell, type Column, table } from './parts.js';

/** Heads beside each other, with where each was measured; the best of every column stands out where that is the same for all. */
export function headsTable(heads: readonly HeadReport[], anchors: readonly (string | null)[]): Html {
  const tasks = [...new Set(heads.map(({ info }) => info.task))];
  const all = tasks.flatMap((task) => shownOf({ task }));
  const shown = [...new Map(all.map((one) => [one.name, one])).values()].filter(
    ({ name }) => !['precision', 'recall', 'microF1', 'hammingLoss'].includes(name),
  );
  const measured = heads.map(({ info, onData }) => measuredAt(info, onData)[0] ?? null);
  const isAlike = tasks.length === 1 && new Set(measured.flatMap((one) => one?.text ?? [])).size === 1;
  const values = measured.map((one) => shown.map(({ name }) => (one === null ? null : metricOf(one.metrics, name))));
  const best = shown.map(({ name }, k) => {
    const column = values.flatMap((row) => (row[k] === null || row[k] === undefined ? [] : [row[k]]));
    return column.length < 2 ? null : isLowBest(name) ? Math.min(...column) : Math.max(...column);
  });
  const columns: Column[] = [
    { text: 'Head' },
    { text: 'Task' },
    { text: 'Trained on', isNumber: true },
    { text: 'Measured' },
    ...shown.map(({ text, hint }): Column => ({ text, isNumber: true, hint })),
    { text: 'Epoch', isNumber: true, hint: 'whose weights were kept' },
  ];
  const rows = heads.map(({ name, info }, i): Cell[] => [
    { shown: anchors[i] ? html`<a href="#${anchors[i]}">${name}</a>` : name, value: name },
    { shown: info.task },
    { shown: whole(info.train), value: info.train },
    { shown: measured[i]?.text ?? '–' },
    ...shown.map(({ of, name: metric }, k): Cell => {
      const value = values[i]?.[k] ?? null;
      const isBest = value !== null && value === best[k] && isAlike;
      return { shown: of(value), value, metric, ...(isBest ? { look: 'best' } : {}) };
    }),
    { shown: whole(info.bestEpoch), value: info.bestEpoch },
  ]);
  return table({ caption: `${heads.length} heads`, columns, rows, isSortable: true });
}

/** Each head with each: how they differ on the same images, and whether that may be chance. */
export function pairsTable({ images, pairs }: Comparison): Html {
  const isError = pairs[0]?.of === 'mae';
  const columns: Column[] = [
    { text: 'Head' },
    { text: 'less' },
    { text: isError ? 'Mean error' : 'Accuracy', isNumber: true },
    { text: '95 %', isNumber: true },
    ...(isError
      ? []
      : [
          {
            text: 'p',
            isNumber: true,
            hint: 'McNemar’s exact test: how often as uneven a split would come of two heads as good',
          },
        ]),
  ];
  const rows = pairs.map(({ a, b, difference, interval: ends, p }): Cell[] => {
    const isSure = ends !== null && (ends[0] > 0 || ends[1] < 0);
    const show = isError ? figures : four;
    return [
      { shown: a },
      { shown: b },
      {
        shown: `${difference > 0 ? '+' : ''}${show(difference)}`,
        value: difference,
        ...(isSure ? { look: 'best' } : {}),
      },
      { shown: interval(ends, show), look: 'quiet' },
      ...(isError ? [] : [{ shown: four(p), value: p }]),
    ];
  });
  return table({
    caption: `Pairs of heads on ${counted(images, 'image')}`,
    columns,
    rows,
    isSortable: true,
  });
}
