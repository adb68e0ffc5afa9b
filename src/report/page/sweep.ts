import { isLowBest, validationColumn } from '../../heads/sweep-ranking.js';
import type { SweepCell, SweepResults } from '../../heads/sweep-results.js';
import { axes, type Figure, figure, plane, svg } from '../charts/frame.js';
import { extent, linear, logarithmic, ordinal, pathOf, px, type Scale } from '../charts/scale.js';
import { counted, figures, measured, short } from '../format.js';
import { type Html, html } from '../html.js';

import { words } from './origin.js';
import { type Cell, type Column, section, table } from './parts.js';

/** Rows that are listed of a larger sweep. */
const MOST_ROWS = 500;

/** A column of a sweep, as a scale can have it. */
interface Axis {
  readonly text: string;
  readonly scaleFor: (ends: readonly [number, number]) => Scale;
  /** Of each row, within the scale; null where there is none. */
  readonly values: readonly (number | null)[];
  /** Heads that lie beyond the scale, and are drawn at its end. */
  readonly beyond: number;
}

/** Different values of which each has a place of its own, whatever lies between them. */
const FEW = 8;

const shownCell = (cell: SweepCell): string =>
  cell === null
    ? 'none'
    : typeof cell === 'number'
      ? figures(cell)
      : String(cell).replace(/^\[(.*)\]$/, (_, list) => list || 'none');

const cellsOf = ({ columns, rows }: SweepResults, name: string): SweepCell[] => {
  const at = columns.indexOf(name);
  return rows.map((row) => row[at] ?? null);
};

/** A few heads that are far worse would press all others together: those lie at the end of the scale. */
function metricAxis(sweep: SweepResults): Axis {
  const { by } = sweep;
  const values = cellsOf(sweep, validationColumn(by)).map((cell) => (typeof cell === 'number' ? cell : null));
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  const quarter = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
  const [low, high] = extent(sorted);
  const room = 3 * Math.max(quarter(0.75) - quarter(0.25), 1e-9);
  const ends: [number, number] = isLowBest(by)
    ? [low, Math.min(high, quarter(0.75) + room)]
    : [Math.max(low, quarter(0.25) - room), high];
  const within = (value: number | null): number | null =>
    value === null ? null : Math.min(ends[1], Math.max(ends[0], value));
  const beyond = sorted.filter((value) => value < ends[0] || value > ends[1]).length;
  return {
    text: `validation ${words(by)}`,
    scaleFor: (at) => linear(ends, at, { isNice: true }),
    values: values.map(within),
    beyond,
  };
}

/** @returns few values each at its own place; many numbers as they are, on a logarithmic scale where they span powers of ten */
function optionAxis(sweep: SweepResults, name: string): Axis {
  const cells = cellsOf(sweep, name);
  const text = words(name);
  const numbers = cells.filter((cell) => typeof cell === 'number');
  if (numbers.length === cells.length && new Set(numbers).size > FEW) {
    const [low, high] = extent(numbers);
    const scaleFor = (ends: readonly [number, number]): Scale =>
      low > 0 && high / low >= 50 ? logarithmic([low, high], ends) : linear([low, high], ends);
    return { text, scaleFor, values: numbers, beyond: 0 };
  }
  const order = (cell: SweepCell): number =>
    typeof cell === 'number'
      ? cell
      : shownCell(cell) === 'none'
        ? -1
        : Number.parseFloat(String(cell).replace('[', ''));
  const names = [...new Map(cells.map((cell) => [shownCell(cell), order(cell)]))]
    .sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1))
    .map(([shown]) => shown);
  const shorter = names.map((one) => short(one, 12));
  return {
    ...{ text, beyond: 0 },
    scaleFor: (ends) => ordinal(shorter, ends),
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
  const note =
    metric.beyond === 0 ? {} : { note: `${counted(metric.beyond, 'head')} far worse: drawn at the end of the scale.` };
  return { title: option.text, says, drawing: svg(says, marks), ...note };
}

/** All options and the metric, a line a head. */
function parallel(sweep: SweepResults, all: readonly Axis[], quality: readonly (number | null)[]): Figure {
  const [width, height] = [800, 330];
  const ends = [height - 16, 46] as const;
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
    note: 'A line is a head.',
    legend: [
      { look: 's1', text: 'the best', mark: 'line' },
      { look: 'v4', text: 'the best fifth', mark: 'line' },
      { look: 'v0', text: 'the worst fifth', mark: 'line' },
    ],
  };
}

function ranking(sweep: SweepResults): Html {
  const { columns, rows, tried, by } = sweep;
  const whole = ['rank', 'status', ...tried, 'epochs', 'best_epoch'];
  const shown = columns.filter((name) => whole.includes(name) || name.startsWith('val_'));
  const at = shown.map((name) => columns.indexOf(name));
  const isNumber = (k: number): boolean => rows.every((row) => row[k] === null || typeof row[k] === 'number');
  const metric = validationColumn(by);
  const head = shown.map(
    (name, k): Column => ({ text: words(name.replace(/^val_/, '')), isNumber: isNumber(at[k] as number) }),
  );
  const body = rows.slice(0, MOST_ROWS).map((row): Cell[] =>
    shown.map((name, k): Cell => {
      const cell = row[at[k] as number] ?? null;
      const isEmpty = cell === null && !tried.includes(name);
      const value = typeof cell === 'boolean' ? String(cell) : cell;
      const shown = name.startsWith('val_') && typeof cell === 'number' ? measured(cell) : shownCell(cell);
      return { shown: isEmpty ? '–' : shown, value, ...(name === metric ? { look: 'best' } : {}) };
    }),
  );
  const more = rows.length > MOST_ROWS ? `, the first ${MOST_ROWS} of ${rows.length}` : '';
  return html`<div class="tall">${table({ caption: `Heads by ${words(by)} on validation${more}`, columns: head, rows: body, isSortable: true })}</div>`;
}

/** What a sweep tried and what came of it. */
export function sweepBody(sweep: SweepResults): Html {
  const metric = metricAxis(sweep);
  const options = sweep.tried.map((name) => optionAxis(sweep, name));
  const charts = options.map((option) => figure(against(sweep, option, metric)));
  const together = options.length > 1 ? figure(parallel(sweep, [...options, metric], standing(sweep))) : null;
  const note = `${isLowBest(sweep.by) ? 'Lower' : 'Higher'} is better; the ringed head is the best, whose chapter follows.`;
  const body = html`${ranking(sweep)}<div class="charts">${charts}${together}</div>`;
  return section(
    'sweep',
    'What was tried',
    body,
    `${counted(sweep.rows.length, 'head')} ranked by ${words(sweep.by)} on validation. ${note}`,
  );
}
