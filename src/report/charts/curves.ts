import type { Point } from '../../metrics/curves.js';
import { type Html, html } from '../html.js';
import { axes, type Figure, type LegendItem, plane, svg } from './frame.js';
import { linear, pathOf, px } from './scale.js';

/** A line of a chart. */
export interface Series {
  readonly points: readonly Point[];
  /** `s0` … `s7`, or `quiet` for one among many. */
  readonly look: string;
  /** Null for one among many. */
  readonly text: string | null;
}

const lineOf = ({ points, look }: Series, at: (point: Point) => Point): Html =>
  html`<path class="line ${look}" d="${pathOf(points.map(at))}"/>`;

const legendOf = (series: readonly Series[]): LegendItem[] =>
  series.flatMap(({ look, text }) => (text === null ? [] : [{ look, text, mark: 'line' as const }]));

/** Curves of shares against shares: ROC, precision and recall. */
export function shareCurves(
  words: { title: string; says: string; xLabel: string; yLabel: string; note?: string },
  series: readonly Series[],
  { hasDiagonal = false, dot = null as Point | null } = {},
): Figure {
  const within = plane();
  const [x, y] = [linear([0, 1], within.x), linear([0, 1], within.y)];
  const at = ([a, b]: Point): Point => [x.at(a), y.at(b)];
  const marks = html`${axes(within, { x, y, ...words })}${
    hasDiagonal && html`<path class="rule dash" d="M${px(x.at(0))} ${px(y.at(0))}L${px(x.at(1))} ${px(y.at(1))}"/>`
  }${series.map((one) => lineOf(one, at))}${
    dot !== null && html`<circle class="here" cx="${px(x.at(dot[0]))}" cy="${px(y.at(dot[1]))}" r="4.5"/>`
  }`;
  const { title, says, note } = words;
  return { title, says, drawing: svg(says, marks), legend: legendOf(series), ...(note === undefined ? {} : { note }) };
}

/** Values over epochs. */
export function overEpochs(
  words: { title: string; says: string; yLabel: string; xLabel: string; note?: string },
  series: readonly Series[],
  best: number | null,
): Figure {
  const within = plane();
  const all = series.flatMap(({ points }) => points);
  const epochs = all.map(([epoch]) => epoch);
  const [first, last] = [Math.min(...epochs), Math.max(...epochs)];
  const values = all.map(([, value]) => value).sort((a, b) => a - b);
  // A first loss that is far above the rest would flatten all that follows.
  const most = values[Math.floor(0.995 * (values.length - 1))] as number;
  const low = values[0] as number;
  const x = linear([first, Math.max(last, first + 1)], within.x);
  const y = linear([low, Math.max(most, low + 1e-9)], within.y, { isNice: true });
  const top = y.domain[1];
  const at = ([epoch, value]: Point): Point => [x.at(epoch), y.at(Math.min(value, top))];
  const marks = html`${axes(within, { x: { ...x, ticks: x.ticks.filter(([value]) => Number.isInteger(value)) }, y, ...words })}${
    best !== null &&
    html`<path class="rule" d="M${px(x.at(best))} ${within.y[0]}V${within.y[1]}"/><text class="${x.at(best) > (within.x[0] + within.x[1]) / 2 ? 'end' : ''}" x="${px(x.at(best) + (x.at(best) > (within.x[0] + within.x[1]) / 2 ? -5 : 5))}" y="${within.y[1] + 10}">best: ${best}</text>`
  }${series.map((one) => (one.points.length === 1 ? dotsOf(one, at) : lineOf(one, at)))}`;
  const { title, says, note } = words;
  return { title, says, drawing: svg(says, marks), legend: legendOf(series), ...(note === undefined ? {} : { note }) };
}

const dotsOf = ({ points, look }: Series, at: (point: Point) => Point): Html =>
  html`${points.map(at).map(([x, y]) => html`<circle class="fill ${look}" cx="${px(x)}" cy="${px(y)}" r="4"/>`)}`;
