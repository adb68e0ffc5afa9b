import type { ReliabilityBin } from '../../metrics/curves.js';
import { counted, decimals } from '../format.js';
import { html } from '../html.js';
import { axes, type Figure, HEIGHT, type LegendItem, plane, svg } from './frame.js';
import { linear, px } from './scale.js';

/** Values of one kind, in bars. */
export interface Heap {
  readonly values: Iterable<number>;
  readonly look: string;
  readonly text: string;
}

const heights = (values: Iterable<number>, [low, high]: readonly [number, number], bins: number): number[] => {
  const counts = Array.from({ length: bins }, () => 0);
  for (const value of values) {
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(((value - low) / (high - low)) * bins)));
    counts[bin] = (counts[bin] as number) + 1;
  }
  return counts;
};

/** How values are spread: one heap upwards, a second one, where there is any, downwards. */
export function histogram(
  words: { title: string; says: string; xLabel: string; yLabel: string; note?: string },
  heaps: readonly Heap[],
  domain: readonly [number, number],
  { bins = 30, mark = null as number | null, markText = '' } = {},
): Figure {
  const within = plane();
  const counts = heaps.map(({ values }) => heights(values, domain, bins));
  const [up = [], down = []] = counts;
  const x = linear(domain, within.x);
  const least = down.length === 0 ? 0 : -Math.max(...down, 1);
  const y = linear([least, Math.max(...up, 1)], within.y, { isNice: true, count: 4 });
  const ticks = y.ticks
    .filter(([value]) => Number.isInteger(value))
    .map(([value]) => [value, String(Math.abs(value))] as const);
  const width = (within.x[1] - within.x[0]) / bins;
  const bar = (count: number, bin: number, sign: number): string => {
    const [from, to] = [y.at(0), y.at(sign * count)];
    const left = within.x[0] + bin * width + 0.5;
    return count === 0 ? '' : `M${px(left)} ${px(from)}V${px(to)}H${px(left + width - 1)}V${px(from)}Z`;
  };
  const bars = counts.map(
    (list, k) =>
      html`<path class="fill ${heaps[k]?.look ?? ''}" d="${list.map((count, bin) => bar(count, bin, k === 0 ? 1 : -1)).join('')}"/>`,
  );
  const marks = html`${axes(within, { ...words, x, y: { ...y, ticks } })}${bars}<path class="axis" d="M${px(within.x[0])} ${px(y.at(0))}H${px(within.x[1])}"/>${
    mark !== null &&
    html`<path class="rule dash" d="M${px(x.at(mark))} ${within.y[0]}V${within.y[1]}"/><text class="${x.at(mark) > 300 ? 'end' : ''}" x="${px(x.at(mark) + (x.at(mark) > 300 ? -5 : 5))}" y="${within.y[1] + 10}">${markText}</text>`
  }`;
  const legend = heaps.length > 1 ? heaps.map(({ look, text }): LegendItem => ({ look, text, mark: 'square' })) : [];
  const { title, says, note } = words;
  return { title, says, drawing: svg(says, marks), legend, ...(note === undefined ? {} : { note }) };
}

/** Predicted probability against what was so, with the counts beneath. */
export function calibrationChart(
  words: { title: string; says: string; xLabel: string; yLabel: string; note: string },
  bins: readonly ReliabilityBin[],
): Figure {
  const upper = plane(undefined, HEIGHT - 50);
  const lower = { x: upper.x, y: [HEIGHT - 40, HEIGHT - 84] } as const;
  const within = { x: upper.x, y: [HEIGHT - 96, upper.y[1]] } as const;
  const [x, y] = [linear([0, 1], within.x), linear([0, 1], within.y, { count: 4 })];
  const most = Math.max(1, ...bins.map(({ count }) => count));
  const filled = bins.filter(({ mean }) => mean !== null);
  const dots = filled.map(({ mean, share, interval, count }) => {
    const [cx, cy] = [px(x.at(mean as number)), px(y.at(share as number))];
    const [low, high] = interval ?? [share as number, share as number];
    return html`<g><title>${counted(count, 'answer')} of about ${decimals(mean)}: ${decimals(share)} were so</title><path class="line s0" d="M${cx} ${px(y.at(low))}V${px(y.at(high))}"/><circle class="fill s0" cx="${cx}" cy="${cy}" r="3.5"/></g>`;
  });
  const bars = bins.map(({ from, to, count }) => {
    const top = lower.y[0] - (count / most) * (lower.y[0] - lower.y[1]);
    return count === 0 ? '' : `M${px(x.at(from) + 1)} ${lower.y[0]}V${px(top)}H${px(x.at(to) - 1)}V${lower.y[0]}Z`;
  });
  const frame = axes(within, { x: { ...x, ticks: [] }, y, xLabel: '', yLabel: words.yLabel });
  const marks = html`${frame}<path class="rule dash" d="M${px(x.at(0))} ${px(y.at(0))}L${px(x.at(1))} ${px(y.at(1))}"/>${dots}<path class="fill quiet" d="${bars.join('')}"/><path class="axis" d="M${px(lower.x[0])} ${lower.y[0]}H${px(lower.x[1])}"/><g class="tick"><text class="end" x="${lower.x[0] - 6}" y="${lower.y[1] + 8}">${most}</text>${x.ticks.map(
    ([value, text]) => html`<text class="mid" x="${px(x.at(value))}" y="${lower.y[0] + 16}">${text}</text>`,
  )}</g><text class="name mid" x="${px((lower.x[0] + lower.x[1]) / 2)}" y="${HEIGHT - 6}">${words.xLabel}</text>`;
  return { title: words.title, says: words.says, drawing: svg(words.says, marks), note: words.note };
}
