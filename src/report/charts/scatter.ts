import { type Html, html } from '../html.js';
import { axes, type Figure, type LegendItem, plane, svg } from './frame.js';
import { extent, linear, px, type Scale } from './scale.js';

/** Points of one kind: how they look, and where they are. */
export interface Cloud {
  readonly look: string;
  readonly text: string | null;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** `o`: circles; `x`: crosses. */
  readonly mark?: 'o' | 'x';
}

/** Points are one path a kind: thousands of elements are slow to lay out. */
function drawn({ look, points, mark = 'o' }: Cloud, x: Scale, y: Scale, size: number): Html {
  const shape = (a: number, b: number): string =>
    mark === 'x'
      ? `M${px(a - size)} ${px(b - size)}l${2 * size} ${2 * size}m0 ${-2 * size}l${-2 * size} ${2 * size}`
      : `M${px(a)} ${px(b)}h0`;
  const path = points.map(([a, b]) => shape(x.at(a), y.at(b))).join('');
  return html`<path class="${mark === 'x' ? 'cross' : `dots${size > 2.5 ? ' large' : ''}`} ${look}" d="${path}"/>`;
}

export interface ScatterWords {
  readonly title: string;
  readonly says: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly note?: string;
}

/** Units of a chart of a plane. */
const [PLANE_WIDTH, PLANE_HEIGHT] = [800, 460];

/** @returns where a chart of a plane puts each point, in its units */
export function placesIn(points: readonly (readonly [number, number])[]): [number, number][] {
  const x = linear(extent(points.map(([value]) => value)), [10, PLANE_WIDTH - 10]);
  const y = linear(extent(points.map(([, value]) => value)), [PLANE_HEIGHT - 10, 10]);
  return points.map(([a, b]) => [Math.round(x.at(a)), Math.round(y.at(b))]);
}

/** Points in a plane whose units mean nothing, as those of principal components: a frame, and no ticks. */
export function planeChart(
  { title, says, note }: Pick<ScatterWords, 'title' | 'says' | 'note'>,
  clouds: readonly Cloud[],
  data: Html,
): Figure {
  const itself: Scale = { domain: [0, 1], at: (value) => value, ticks: [] };
  const marks = html`<rect class="frame" x="0.5" y="0.5" width="${PLANE_WIDTH - 1}" height="${PLANE_HEIGHT - 1}"/>${clouds.map(
    (cloud) => drawn(cloud, itself, itself, 3),
  )}`;
  const drawing = html`<div class="map">${svg(says, marks, PLANE_WIDTH, PLANE_HEIGHT)}${data}</div>`;
  return { title, says, drawing, legend: legendOf(clouds), isWide: true, ...(note === undefined ? {} : { note }) };
}

const legendOf = (clouds: readonly Cloud[]): LegendItem[] =>
  clouds.flatMap(({ look, text }) => (text === null ? [] : [{ look, text, mark: 'dot' as const }]));

/** What is said against what is, or what is off against what is. */
export function scatter(
  words: ScatterWords,
  clouds: readonly Cloud[],
  { isSquare = false, hasZero = false } = {},
): Figure {
  const within = plane();
  const all = clouds.flatMap(({ points }) => points);
  const xs = all.map(([value]) => value);
  const ys = all.map(([, value]) => value);
  const both = extent([...xs, ...ys]);
  const x = linear(isSquare ? both : extent(xs), within.x, { isNice: true });
  const y = linear(isSquare ? both : extent(hasZero ? [...ys, 0] : ys), within.y, { isNice: true });
  const [low, high] = x.domain;
  const rule = isSquare
    ? html`<path class="rule dash" d="M${px(x.at(low))} ${px(y.at(low))}L${px(x.at(high))} ${px(y.at(high))}"/>`
    : hasZero && html`<path class="rule dash" d="M${px(x.at(low))} ${px(y.at(0))}H${px(x.at(high))}"/>`;
  const marks = html`${axes(within, { x, y, ...words })}${rule}${clouds.map((cloud) => drawn(cloud, x, y, all.length > 400 ? 2 : 3))}`;
  const { title, says, note } = words;
  return {
    title,
    says,
    drawing: svg(words.says, marks),
    legend: legendOf(clouds),
    ...(note === undefined ? {} : { note }),
  };
}
