import { LabelError } from '../errors.js';
import { type Cell, isNumber, MISSING_WORDS, textOf, tidy } from './cell.js';
import type { Columns } from './columns.js';
import { isShares, shareOf } from './columns.js';
import type { LabelTable } from './table.js';

/** What a row says of its image: one label, several, or nothing. An empty text is `''`. */
export type RowLabel = string | readonly string[] | null;

export interface WordOptions {
  /** Words that stand for no label: a list with commas; `none` keeps all words as names. Default: NA, nan, null, None, - and their kin. */
  readonly missingWords?: string;
  /** What stands between the labels of one cell, besides `|`. Default: guessed where the file is plain. */
  readonly labelSeparator?: string;
}

/** The labels of a file, and what was understood, for people. */
export interface RowLabels {
  /** One a row of the table. */
  readonly labels: readonly RowLabel[];
  /** Whether any row may hold several. */
  readonly several: boolean;
  /** ` (labels between commas)`, or nothing. */
  readonly how: string;
  readonly warnings: readonly string[];
}

const SEPARATORS = [
  [',', 'commas'],
  [';', 'semicolons'],
  [' ', 'spaces'],
] as const;
/** Columns called so may hold several labels, so a separator in them is taken for one. */
const PLURAL = /^(labels|tags|classes|categories|targets)$/i;
const COMMA_NUMBER = /^[+-]?\d+(,\d+)?$/;

/**
 * @param name of the file, for messages
 * @throws LabelError with the line for a cell that is no label
 */
export function rowLabels(table: LabelTable, columns: Columns, options: WordOptions, name: string): RowLabels {
  const missing = new Set(wordsOf(options.missingWords));
  const where = (row: number): string => `${name} ${table.unit} ${table.rows[row]?.line}`;
  const [only] = columns.labels;
  if (only === undefined || columns.labels.length > 1) return fromColumns(table, columns.labels, missing, where);
  const title = table.columns?.[only] ?? '';
  const cells = table.rows.map(({ cells: row }, i): RowLabel => {
    const cell: Cell = row[only] ?? null;
    if (Array.isArray(cell)) return listed(cell as readonly string[], where(i));
    if (cell === '') return table.unit === 'line' || missing.has('') ? '' : cell;
    const text = textOf(cell, `${where(i)}: ${title || 'the label'}`);
    if (text === undefined || missing.has(text)) return null;
    const list = writtenList(text);
    return list === null ? text : listed(list, where(i));
  });
  return separated(numbersOf(cells, table, options.labelSeparator, where), title, options.labelSeparator, where);
}

const wordsOf = (asked: string | undefined): readonly string[] =>
  asked === undefined ? MISSING_WORDS : asked === 'none' ? [] : asked.split(',').map(tidy);

/** A list of labels must not hold what joins them. */
function listed(labels: readonly string[], where: string): readonly string[] {
  const wrong = labels.find((label) => label === '' || label.includes('|'));
  if (wrong === undefined) return labels;
  throw new LabelError(`${where}: a label must be text without |, not ${JSON.stringify(wrong)}`);
}

/** @returns a list that was written into a cell, as Python and Label Studio write them; null for other text */
function writtenList(text: string): readonly string[] | null {
  const inside = /^\{\s*"choices"\s*:\s*(\[.*\])\s*\}$/s.exec(text)?.[1] ?? text;
  if (!/^\[.*\]$/s.test(inside)) return null;
  for (const source of [inside, inside.replaceAll('"', '\\"').replaceAll("'", '"')]) {
    try {
      const list: unknown = JSON.parse(source);
      if (Array.isArray(list) && list.every((item) => typeof item === 'string' || typeof item === 'number')) {
        return list.map((item) => tidy(String(item)));
      }
    } catch {
      // Then it is written otherwise, or no list.
    }
  }
  return null;
}

/**
 * Decimal commas, where every cell is such a number, become points.
 * @throws LabelError where fields stand between commas, too, so that it may be a list
 */
function numbersOf(
  labels: readonly RowLabel[],
  { kind }: LabelTable,
  separator: string | undefined,
  where: (row: number) => string,
): readonly RowLabel[] {
  const texts = labels.filter((label): label is string => typeof label === 'string' && label !== '');
  const at = labels.findIndex((label) => typeof label === 'string' && label.includes(','));
  if (at < 0 || separator !== undefined || !texts.every((text) => COMMA_NUMBER.test(text))) return labels;
  if (kind === 'CSV' || kind === 'CSV, no header') {
    throw new LabelError(
      `${where(at)}: ${JSON.stringify(labels[at])} may be a number or two labels: write numbers with points, or use --label-separator ','`,
    );
  }
  return labels.map((label) => (typeof label === 'string' ? label.replace(',', '.') : label));
}

function separated(
  labels: readonly RowLabel[],
  title: string,
  asked: string | undefined,
  where: (row: number) => string,
): RowLabels {
  const texts = new Set(labels.filter((label): label is string => typeof label === 'string'));
  const lists = labels.some((label) => typeof label === 'object' && label !== null);
  const [separator, called] = asked === undefined ? guess(texts, title) : [asked, JSON.stringify(asked)];
  const split = (text: string, i: number): RowLabel => {
    const by = [
      ...(separator !== null && text.includes(separator) ? [separator] : []),
      ...(text.includes('|') ? ['|'] : []),
    ];
    if (by.length === 0) return text;
    const parts = by.reduce<string[]>((all, one) => all.flatMap((part) => part.split(one)), [text]).map(tidy);
    const kept = separator === ' ' ? parts.filter((part) => part !== '') : parts;
    if (kept.some((part) => part === '')) {
      throw new LabelError(`${where(i)}: ${JSON.stringify(text)} holds an empty label between two ${by.at(-1)}`);
    }
    return kept;
  };
  const all = labels.map((label, i) => (typeof label === 'string' ? split(label, i) : label));
  const several = lists || all.some((label) => typeof label === 'object' && label !== null);
  const commas =
    separator === null
      ? SEPARATORS.slice(0, 2).find(([one]) => [...texts].some((text) => text.includes(one)))
      : undefined;
  const count = commas === undefined ? 0 : [...texts].filter((text) => text.includes(commas[0])).length;
  return {
    labels: all,
    several,
    how: separator === null ? '' : ` (several, between ${called})`,
    warnings:
      commas === undefined
        ? []
        : [
            `${count} labels hold ${commas[1]} and are taken as names: use --label-separator '${commas[0]}' if they are several`,
          ],
  };
}

/**
 * A separator is plain where each part also stands alone, or where few parts make many different cells; in a column of plural name
 * a comma or a semicolon always is.
 */
function guess(texts: ReadonlySet<string>, title: string): readonly [string, string] | [null, ''] {
  for (const [separator, called] of SEPARATORS) {
    const held = [...texts].filter((text) => text.includes(separator));
    if (held.length === 0) continue;
    const parts = new Set(held.flatMap((text) => text.split(separator).map(tidy)).filter((part) => part !== ''));
    const alone = [...parts].every((part) => texts.has(part));
    const few = 2 * parts.size <= held.length;
    if (alone || few || (separator !== ' ' && PLURAL.test(title))) return [separator, called];
  }
  return [null, ''];
}

/** Several columns, each a class: of 0 and 1, of -1 and 1, or of shares. */
function fromColumns(
  table: LabelTable,
  places: readonly number[],
  missing: ReadonlySet<string>,
  where: (row: number) => string,
): RowLabels {
  const titles = places.map((k) => table.columns?.[k] ?? `${k + 1}`);
  const values = table.rows.map(({ cells }, i) => {
    const row = places.map((k, at) => {
      const text = textOf(cells[k], `${where(i)}: ${titles[at]}`);
      if (text === undefined || missing.has(text)) return null;
      const value = shareOf(text);
      if (value !== null && value >= -1 && value <= 1) return value;
      throw new LabelError(`${where(i)}: ${titles[at]} must be from 0 to 1, not ${JSON.stringify(text)}`);
    });
    return row.includes(null) ? null : (row as number[]);
  });
  const known = values.filter((row) => row !== null);
  const signed = known.some((row) => row.some((value) => value < 0));
  if (signed && !known.every((row) => isShares(row.map(String)) || row.every((value) => Math.abs(value) === 1))) {
    throw new LabelError(`${where(0)}: columns of classes hold 0 and 1, or -1 and 1, not all of them`);
  }
  const hard = known.every((row) => row.every((value) => value === 0 || Math.abs(value) === 1));
  const sum = (row: readonly number[]): number => row.reduce((total, value) => total + Math.max(0, value), 0);
  const one = known.every((row) => Math.abs(sum(row) - 1) < 0.01);
  const labels = values.map((row): RowLabel => {
    if (row === null) return null;
    if (!one) return titles.filter((_, at) => (row[at] as number) > 0.5);
    const largest = Math.max(...row);
    const first = row.indexOf(largest);
    return row.lastIndexOf(largest) === first ? (titles[first] as string) : null;
  });
  const kind = hard ? '0 and 1' : one ? 'shares, the largest counts' : 'shares, above 0.5 counts';
  const said = new Set(labels.flatMap((label) => label ?? []));
  const bare = titles.filter((title) => !said.has(title));
  const warnings =
    bare.length === 0 ? [] : [`no image is of ${bare.slice(0, 5).join(', ')}${bare.length > 5 ? ', …' : ''}: left out`];
  return { labels, several: !one, how: ` (${places.length} columns of ${kind})`, warnings };
}

/** @returns whether all of some labels are numbers */
export const areNumbers = (labels: readonly RowLabel[]): boolean =>
  labels.every((label) => typeof label === 'string' && isNumber(label));
