import { type Content, type Html, html } from '../html.js';
import { px, type Scale } from './scale.js';

/** Units of a drawing, which is as wide as the page lets it be. */
const WIDTH = 400;
export const HEIGHT = 270;
const MARGIN = { top: 10, right: 12, bottom: 40, left: 52 };

/** Where marks are drawn: x from left to right, y from bottom to top. */
export interface Plane {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

export const plane = (width = WIDTH, height = HEIGHT, margin: Partial<typeof MARGIN> = {}): Plane => {
  const room = { ...MARGIN, ...margin };
  return { x: [room.left, width - room.right], y: [height - room.bottom, room.top] };
};

/** A drawing with its words, for the eye and for screen readers. */
export interface Figure {
  readonly title: string;
  /** What it shows, in a sentence or two; read aloud in the place of the drawing. */
  readonly says: string;
  readonly drawing: Html;
  /** Beneath the drawing. */
  readonly note?: Content;
  /** What its colours mean. */
  readonly legend?: readonly LegendItem[];
  /** Whether it takes the room of two. */
  readonly isWide?: boolean;
}

export interface LegendItem {
  /** Of its marks: `s0` … `s7` for series, or another of the style sheet. */
  readonly look: string;
  readonly text: string;
  readonly mark: 'line' | 'square' | 'dot';
}

const key = ({ look, text, mark }: LegendItem): Html => {
  const drawn =
    mark === 'square'
      ? html`<rect x="1" y="2" width="12" height="10" class="fill ${look}"/>`
      : mark === 'dot'
        ? html`<circle cx="7" cy="7" r="4" class="fill ${look}"/>`
        : html`<path d="M0 7H14" class="line ${look}"/>`;
  return html`<li><svg viewBox="0 0 14 14" width="14" height="14" aria-hidden="true">${drawn}</svg> ${text}</li>`;
};

/** @returns the figure with its caption */
export const figure = ({ title, drawing, note = null, legend = [], isWide = false }: Figure): Html =>
  html`<figure class="chart${isWide ? ' wide' : ''}"><figcaption><p class="title">${title}</p>${
    legend.length > 0 && html`<ul class="legend">${legend.map(key)}</ul>`
  }</figcaption>${drawing}${note !== null && html`<p class="note">${note}</p>`}</figure>`;

/** @returns a drawing that a screen reader reads as one picture */
export const svg = (says: string, marks: Content, width = WIDTH, height = HEIGHT): Html =>
  html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${says}">${marks}</svg>`;

export interface Axes {
  readonly x: Scale;
  readonly y: Scale;
  readonly xLabel: string;
  readonly yLabel: string;
}

/** Lines behind the marks, ticks and names of both axes. */
export function axes(within: Plane, { x, y, xLabel, yLabel }: Axes): Html {
  const [left, right] = within.x;
  const [bottom, top] = within.y;
  const middle = (top + bottom) / 2;
  return html`<g class="grid"><path d="${y.ticks.map(([value]) => `M${px(left)} ${px(y.at(value))}H${px(right)}`).join('')}"/></g><g class="tick">${y.ticks.map(
    ([value, text]) => html`<text x="${px(left - 6)}" y="${px(y.at(value) + 4)}" class="end">${text}</text>`,
  )}${x.ticks.map(
    ([value, text]) => html`<text x="${px(x.at(value))}" y="${px(bottom + 16)}" class="mid">${text}</text>`,
  )}</g><path class="axis" d="M${px(left)} ${px(bottom)}H${px(right)}"/><text class="name mid" x="${px((left + right) / 2)}" y="${HEIGHT - 6}">${xLabel}</text><text class="name mid" transform="translate(12 ${px(middle)}) rotate(-90)">${yLabel}</text>`;
}
