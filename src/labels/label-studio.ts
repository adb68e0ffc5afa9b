import { LabelError } from '../errors.js';
import { type Cell, cellOf } from './cell.js';
import type { LabelTable, TableRow } from './table.js';

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Kinds of results that say something of a whole image, and under which name. */
const KINDS = ['choices', 'taxonomy', 'rating', 'number'] as const;

/** @returns whether this is what Label Studio exports as JSON: tasks with `data` and annotations */
export const isLabelStudio = (items: readonly unknown[]): boolean =>
  items.length > 0 &&
  items.every(
    (item) =>
      isFields(item) && isFields(item.data) && (Array.isArray(item.annotations) || Array.isArray(item.completions)),
  );

/** @returns `choices` of Label Studio's short exports as a list; other values as they are */
export const withoutChoices = (value: unknown): unknown =>
  isFields(value) && Object.keys(value).length === 1 && Array.isArray(value.choices) ? value.choices : value;

/**
 * Reads Label Studio's JSON export: the fields of `data`, and of each annotation what was chosen under each `from_name`. A task of
 * several annotations is a row for each; one without any, or whose annotations were cancelled, has no label.
 * @see https://labelstud.io/guide/export
 */
export function labelStudioTable(items: readonly unknown[], name: string): LabelTable {
  const columns = new Map<string, number>();
  const rows: TableRow[] = [];
  const others = new Set<string>();
  const placed = (values: ReadonlyMap<string, Cell>): Cell[] => {
    const cells: Cell[] = [];
    for (const [column, cell] of values) {
      if (!columns.has(column)) columns.set(column, columns.size);
      cells[columns.get(column) ?? 0] = cell;
    }
    return cells;
  };
  const chosen = new Set<string>();
  for (const [i, item] of items.entries()) {
    const { data, annotations, completions } = item as Fields;
    const about = Object.entries(data as Fields).map(([column, value]) => [column, cellOf(value)] as const);
    const given = ((annotations ?? completions) as readonly unknown[])
      .filter(isFields)
      .filter((one) => one.was_cancelled !== true && Array.isArray(one.result));
    const seen = new Set<string>();
    for (const { result } of given.length > 0 ? given : [{ result: [] }]) {
      const results = (result as readonly unknown[]).filter(isFields);
      const says = new Map<string, Cell>();
      for (const one of results) {
        const column = typeof one.from_name === 'string' ? one.from_name : 'choice';
        const cell = resultOf(one);
        if (cell === undefined) {
          if (typeof one.type === 'string') others.add(one.type);
          continue;
        }
        chosen.add(column);
        says.set(column, cell);
      }
      const cells = placed(new Map<string, Cell>([...about, ...says]));
      const key = JSON.stringify(cells);
      if (!seen.has(key)) rows.push({ line: i + 1, cells });
      seen.add(key);
    }
  }
  if (chosen.size === 0) {
    throw new LabelError(
      others.size > 0
        ? `${name}: a Label Studio export of ${[...others].join(', ')}, which say nothing of whole images: expected choices`
        : `${name}: a Label Studio export without any annotation: annotate some images`,
    );
  }
  // Whatever `data` holds besides the image is no label: what was chosen is.
  const about = [...columns.keys()].filter((column) => !chosen.has(column));
  return { kind: 'Label Studio JSON', unit: 'item', columns: [...columns.keys()], rows, bookkeeping: about };
}

/** @returns what was chosen: one text, or several; undefined for a result that says nothing of a whole image */
function resultOf({ type, value }: Fields): Cell | undefined {
  const kind = KINDS.find((one) => one === type);
  if (kind === undefined || !isFields(value)) return undefined;
  const found = value[kind];
  if (kind === 'taxonomy' && Array.isArray(found)) {
    return single(found.map((path) => (Array.isArray(path) ? path.join('/') : path)));
  }
  return single(found);
}

const single = (found: unknown): Cell =>
  Array.isArray(found) && found.length === 1 ? cellOf(found[0]) : cellOf(found);
