import type { Targets } from '../../labels/targets.js';
import { counted, percent, whole } from '../format.js';
import type { Html } from '../html.js';
import { countCell, matrixTable, shade } from './matrix.js';
import { type Cell, table } from './parts.js';

/** Labels of which every pair is a cell. */
const MOST_IN_TABLE = 20;
const MOST_PAIRS = 40;

/** How often two labels are on one image; on the diagonal how often each is there. */
export function togetherTable(labels: readonly string[], y: Targets): Html {
  const k = labels.length;
  const together = labels.map(() => labels.map(() => 0));
  for (let start = 0; start < y.length; start += k) {
    const there = labels.flatMap((_, at) => (y[start + at] === 1 ? [at] : []));
    for (const a of there)
      for (const b of there) (together[a] as number[])[b] = ((together[a] as number[])[b] as number) + 1;
  }
  if (k > MOST_IN_TABLE) return pairTable(labels, together);
  const rows = together.map((row, a) => {
    const all = row[a] as number;
    return row.map((count, b) => ({
      look: a === b ? 'self' : shade(count, all, true),
      inner: countCell(count, a === b || all === 0 ? '' : percent(count / all)),
    }));
  });
  const caption = 'Images that have both labels, and their share of those that have the row’s.';
  return matrixTable({ says: 'Labels that go together', caption, corner: 'has \\ has too', names: labels, rows });
}

function pairTable(labels: readonly string[], together: readonly (readonly number[])[]): Html {
  const all = together
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
