import { LabelError } from '../errors.js';

/** What stands in one place of a label file: text (numbers and booleans as text), a list of texts, nothing, or what is none of these. */
export type Cell = string | readonly string[] | null | { readonly unreadable: string };

/** Words that mean that nothing is known, as pandas reads them; in this spelling only, as `none` may well be a class. */
export const MISSING_WORDS: readonly string[] = [
  '-',
  '#N/A',
  '#NA',
  '<NA>',
  'N/A',
  'n/a',
  'NA',
  'NaN',
  'nan',
  'NAN',
  'NULL',
  'Null',
  'null',
  'None',
];

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** @returns whether a text is a decimal number that float32 can hold */
export const isNumber = (text: string): boolean => NUMBER.test(text) && Number.isFinite(Math.fround(Number(text)));

/** Names that look the same become the same: no space around them, composed characters (NFC). */
export const tidy = (text: string): string => text.trim().normalize('NFC');

/** @returns a value of JSON, Arrow or Parquet as a cell */
export function cellOf(value: unknown): Cell {
  switch (typeof value) {
    case 'string':
      return tidy(value);
    case 'number':
      return Number.isNaN(value) ? null : String(value);
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'undefined':
      return null;
  }
  if (value === null) return null;
  if (Array.isArray(value)) {
    const items = value.map(cellOf);
    if (items.every((item) => typeof item === 'string')) return items as string[];
  }
  return { unreadable: shorten(JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? String(one) : one))) };
}

const shorten = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

/**
 * @param where of the cell, for the message
 * @returns the one text of a cell; undefined for an empty one
 * @throws LabelError for a list or an object
 */
export function textOf(cell: Cell | undefined, where: string): string | undefined {
  if (cell === null || cell === undefined || cell === '') return undefined;
  if (typeof cell === 'string') return cell;
  const found = 'unreadable' in cell ? cell.unreadable : JSON.stringify(cell);
  throw new LabelError(`${where} must be text, not ${found}`);
}
