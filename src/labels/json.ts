import { LabelError } from '../errors.js';
import { linesOf } from '../formats/csv.js';
import { type Cell, cellOf } from './cell.js';
import { isLabelName, isPathName } from './column-names.js';
import { isLabelStudio, labelStudioTable, withoutChoices } from './label-studio.js';
import type { LabelTable, TableRow } from './table.js';

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Reads JSON: an array of objects, one object a line, a mapping of paths to labels, or an export of Label Studio (JSON, JSON-MIN).
 * @param name for messages
 * @throws LabelError with the line or the item for what is none of these
 */
export function jsonTable(text: string, name: string): LabelTable {
  const whole = parsed(text);
  if (whole === undefined) return linesTable(text, name);
  if (Array.isArray(whole)) {
    if (isLabelStudio(whole)) return labelStudioTable(whole, name);
    const kind = whole.some((item) => isFields(item) && 'annotation_id' in item && 'lead_time' in item)
      ? 'Label Studio JSON-MIN'
      : 'JSON array';
    return tableOf(whole, kind, 'item', name);
  }
  if (isFields(whole)) {
    const names = Object.keys(whole);
    if (names.some(isPathName) && names.some(isLabelName)) return tableOf([whole], 'JSON lines', 'line', name);
    const rows = Object.entries(whole).map(([path, label], i) => ({
      line: i + 1,
      cells: [cellOf(path), cellOf(label)],
    }));
    if (rows.length > 0 && rows.every(({ cells }) => isPlain(cells[1] ?? null))) {
      return { kind: 'JSON mapping of path to label', unit: 'item', columns: ['path', 'label'], rows };
    }
  }
  throw new LabelError(`${name}: expected an array of objects, one object a line, or a mapping of paths to labels`);
}

const isPlain = (cell: Cell): boolean => cell === null || typeof cell === 'string' || Array.isArray(cell);

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function linesTable(text: string, name: string): LabelTable {
  const items: unknown[] = [];
  const lines: number[] = [];
  for (const [line, source] of linesOf(text)) {
    if (source.trim() === '') continue;
    try {
      items.push(JSON.parse(source));
    } catch (error) {
      throw new LabelError(`${name} line ${line} is not JSON: expected one object a line, or an array of objects`, {
        cause: error,
      });
    }
    lines.push(line);
  }
  return tableOf(items, 'JSON lines', 'line', name, lines);
}

function tableOf(
  items: readonly unknown[],
  kind: string,
  unit: LabelTable['unit'],
  name: string,
  lines: readonly number[] = items.map((_, i) => i + 1),
): LabelTable {
  const columns = new Map<string, number>();
  const rows = items.map((item, i): TableRow => {
    const line = lines[i] ?? i + 1;
    if (!isFields(item)) {
      throw new LabelError(`${name} ${unit} ${line} is not an object: expected path or sha256, and label`);
    }
    const cells: Cell[] = [];
    for (const [column, value] of Object.entries(item)) {
      if (!columns.has(column)) columns.set(column, columns.size);
      cells[columns.get(column) ?? 0] = cellOf(withoutChoices(value));
    }
    return { line, cells };
  });
  return { kind, unit, columns: [...columns.keys()], rows };
}
