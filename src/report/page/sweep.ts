import type { SweepCell, SweepResults } from '../../heads/sweep-results.js';
import { axes, type Figure, figure, plane, svg } from '../charts/frame.js';
import { extent, linear, logarithmic, ordinal, pathOf, px, type Scale } from '../charts/scale.js';
import { counted, figures, short } from '../format.js';
import { type Html, html } from '../html.js';

import { words } from './origin.js';
import { type Cell, type Column, section, table } from './parts.js';

/** Rows that are listed of a larger sweep. */
const MOST_ROWS = 500;
/** Metrics of which the lowest is best. */
const LOW_IS_BEST = ['val_loss', 'val_calibration_error', 'val_mae', 'val_rmse', 'val_hamming_loss'];

/** A column of a sweep, as a scale can have it. */
interface Axis {
  readonly name: string;
  readonly text: string;
  readonly scaleFor: (ends: readonly [number, number]) => Scale;
  /** Of each row; null where there is none. */
  readonly values: readonly (number | null)[];
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const shownCell = (cell: SweepCell): string =>
  cell === null
    ? 'none'
    : typeof cell === 'number'
      ? figures(cell)
      : String(cell).replace(/^\[(.*)\]$/, (_, list) => list || 'none');

/** @returns numbers as they are, on a logarithmic scale where they span powers of ten; all else in the order in which it comes */
function axisOf({ columns, rows }: SweepResults, name: string): Axis {
  const at = columns.indexOf(name);
  const cells = rows.map((row) => row[at] ?? null);
  const text = words(name);
  const numbers = cells.filter((cell): cell is number => typeof cell === 'number');
  const isNumeric = numbers.length > 0 && numbers.length === cells.filter((cell) => cell !== null).length;
  const isOpen = name.startsWith('val_');
  if (isNumeric && (isOpen || numbers.length === cells.length)) {
    const [low, high] = extent(numbers);
    const isLog = !isOpen && low > 0 && high / low >= 50;
    const scaleFor = (ends: readonly [number, number]): Scale =>
      isLog ? logarithmic([low, high], ends) : linear([low, high], ends, { isNice: isOpen });
    return { name, text, scaleFor, values: cells as (number | null)[] };
  }
  const names = [...new Set(cells.map(shownCell))].sort((a, b) => Number(a) - Number(b) || (a < b ? -1 : 1));
  return {
    name,
    text,
    scaleFor: (ends) =>
      ordinal(
        names.map((one) => short(one, 12)),
        ends,
      ),
    values: cells.map((cell) => names.indexOf(shownCell(cell))),
  };
}

/** @returns which heads were trained, the best, and how good each is from 0 to 1 by rank */
function standing({ columns, rows }: SweepResults): (number | null)[] {
  const at = columns.indexOf('rank');
  const ranks = rows.map((row) => row[at] as number | null);
  const most = Math.max(1, ...ranks.map((rank) => rank ?? 0));
  return ranks.map((rank) => (rank === null ? null : most === 1 ? 0 : (rank - 1) / (most - 1)));
}

/** The metric against one option. */
function against(sweep: SweepResults, option: Axis, metric: Axis): Figure {
  const within = plane();
  const [x, y] = [option.scaleFor([within.x[0] + 10, within.x[1] - 10]), metric.scaleFor(within.y)];
  const points = sweep.rows.flatMap((_, i) => {
    const [a, b] = [option.values[i] ?? null, metric.values[i] ?? null];
    return a === null || b === null ? [] : [{ i, cx: x.at(a), cy: y.at(b) }];
  });
  const dots = points.map(({ cx, cy }) => `M${px(cx)} ${px(cy)}h0`).join('');
  const [best] = points;
  const says = `${metric.text} against ${option.text} of ${counted(points.length, 'head')}.`;
  const marks = html`${axes(within, { x, y, xLabel: option.text, yLabel: metric.text })}<path class="dots large s0" d="${dots}"/>${
    best !== undefined && best.i === 0 && html`<circle class="here" cx="${px(best.cx)}" cy="${px(best.cy)}" r="5"/>`
  }`;
  return { title: option.text, says, drawing: svg(says, marks) };
}

/** All options and the metric, a line a head. */
function parallel(sweep: SweepResults, all: readonly Axis[], quality: readonly (number | null)[]): Figure {
  const [width, height] = [800, 340];
  const ends = [height - 40, 46] as const;
  const gap = (width - 140) / Math.max(1, all.length - 1);
  const scales = all.map((axis) => axis.scaleFor(ends));
  const lines = sweep.rows
    .map((_, i) => ({ i, q: quality[i] ?? null }))
    .filter(({ i, q }) => q !== null && all.every(({ values }) => values[i] !== null))
    .reverse() // the best is drawn last, over the others
    .map(({ i, q }) => {
      const points = all.map(({ values }, k): [number, number] => [
        70 + k * gap,
        (scales[k] as Scale).at(values[i] as number),
      ]);
      const look = i === 0 ? 's1 first' : `v${4 - Math.min(4, Math.floor((q as number) * 5))} thin`;
      return html`<path class="line ${look}" d="${pathOf(points)}"/>`;
    });
  const drawn = all.map(({ text }, k) => {
    const x = 70 + k * gap;
    const scale = scales[k] as Scale;
    return html`<path class="axis" d="M${px(x)} ${ends[0]}V${ends[1]}"/><text class="name mid" x="${px(x)}" y="${k % 2 === 0 || all.length <= 6 ? 18 : 34}">${short(text, 20)}</text><g class="halo">${scale.ticks.map(
      ([value, tick]) => html`<text class="end" x="${px(x - 5)}" y="${px(scale.at(value) + 4)}">${tick}</text>`,
    )}</g>`;
  });
  const says = `Every head as a line through its options and its ${all.at(-1)?.text ?? ''}; the table has the same values.`;
  const drawing = html`<div class="parallel" tabindex="0" role="group" aria-label="Parallel coordinates">${svg(says, html`${lines}${drawn}`, width, height)}</div>`;
  return {
    title: 'All options together',
    says,
    drawing,
    isWide: true,
    legend: [
      { look: 's1', text: 'the best', mark: 'line' },
      { look: 'v4', text: 'the better fifth', mark: 'line' },
      { look: 'v0', text: 'the worst fifth', mark: 'line' },
    ],
  };
}

function ranking(sweep: SweepResults): Html {
  const { columns, rows, tried, by } = sweep;
  const shown = columns.filter((name) => name !== 'options' && name !== 'message' && !name.startsWith('fold_'));
  const at = shown.map((name) => columns.indexOf(name));
  const isNumber = (k: number): boolean => rows.every((row) => row[k] === null || typeof row[k] === 'number');
  const metric = `val_${snake(by)}`;
  const head = shown.map(
    (name, k): Column => ({ text: words(name.replace(/^val_/, '')), isNumber: isNumber(at[k] as number) }),
  );
  const body = rows.slice(0, MOST_ROWS).map((row): Cell[] =>
    shown.map((name, k): Cell => {
      const cell = row[at[k] as number] ?? null;
      const isEmpty = cell === null && !tried.includes(name);
      const value = typeof cell === 'boolean' ? String(cell) : cell;
      return { shown: isEmpty ? '–' : shownCell(cell), value, ...(name === metric ? { look: 'best' } : {}) };
    }),
  );
  const more = rows.length > MOST_ROWS ? `, the first ${MOST_ROWS} of ${rows.length}` : '';
  return html`<div class="tall">${table({ caption: `Heads by ${words(by)} on validation${more}`, columns: head, rows: body, isSortable: true })}</div>`;
}

/** What a sweep tried and what came of it. */
export function sweepBody(sweep: SweepResults): Html {
  const metric = axisOf(sweep, `val_${snake(sweep.by)}`);
  const options = sweep.tried.map((name) => axisOf(sweep, name));
  const isLow = LOW_IS_BEST.includes(metric.name);
  const charts = options.map((option) => figure(against(sweep, option, metric)));
  const together = options.length > 1 ? figure(parallel(sweep, [...options, metric], standing(sweep))) : null;
  const note = `${isLow ? 'Lower' : 'Higher'} is better; the ringed head is the best, whose chapter follows.`;
  const body = html`${ranking(sweep)}<div class="charts">${charts}${together}</div>`;
  return section(
    'sweep',
    'What was tried',
    body,
    `${counted(sweep.rows.length, 'head')} ranked by ${words(sweep.by)} on validation. ${note}`,
  );
}
