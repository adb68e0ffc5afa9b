import type { Targets } from '../../labels/targets.js';
import { counted, percent, short, whole } from '../format.js';
import { type Html, html } from '../html.js';
import { type Cell, table } from './parts.js';

/** Labels of which every pair is a cell. */
const MOST_IN_TABLE = 20;
const MOST_PAIRS = 40;

/** How often two labels are on one image; on the diagonal how often each is there. */
export function togetherTable(labels: readonly string[], y: Targets): Html {
  const k = labels.length;
  const counts = labels.map(() => labels.map(() => 0));
  for (let start = 0; start < y.length; start += k) {
    const there = labels.flatMap((_, at) => (y[start + at] === 1 ? [at] : []));
    for (const a of there)
      for (const b of there) (counts[a] as number[])[b] = ((counts[a] as number[])[b] as number) + 1;
  }
  if (k > MOST_IN_TABLE) return pairTable(labels, counts);
  const rows = counts.map((row, a) => {
    const all = row[a] as number;
    return html`<tr><th scope="row">${short(labels[a] ?? '', 24)}</th>${row.map((count, b) => {
      const look =
        a === b ? 'self' : count === 0 ? 'empty' : `right${Math.max(1, Math.ceil((count / Math.max(1, all)) * 9))}`;
      return html`<td class="${look}"><span class="count">${whole(count)}</span> <span class="share">${a === b || all === 0 ? '' : percent(count / all)}</span></td>`;
    })}</tr>`;
  });
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Labels that go together"><table class="matrix"><caption>Images that have both labels, and their share of those that have the row’s.</caption><thead><tr><th scope="col">has \\ has too</th>${labels.map(
    (name) => html`<th scope="col">${short(name, 24)}</th>`,
  )}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

function pairTable(labels: readonly string[], counts: readonly (readonly number[])[]): Html {
  const all = counts
    .flatMap((row, a) => row.slice(0, a).map((count, b) => ({ a, b, count })))
    .filter(({ count }) => count > 0)
    .sort((x, z) => z.count - x.count || x.a - z.a || x.b - z.b);
  const rows = all
    .slice(0, MOST_PAIRS)
    .map(({ a, b, count }): Cell[] => [
      { shown: labels[b] ?? '' },
      { shown: labels[a] ?? '' },
      { shown: whole(count), value: count },
    ]);
  return table({
    caption: `Pairs of labels by ${counted(all.length, 'pair')} that are on one image`,
    columns: [{ text: 'Label' }, { text: 'and' }, { text: 'Images', isNumber: true }],
    rows,
    isSortable: true,
    isTall: true,
  });
}
