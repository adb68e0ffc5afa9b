import { basename } from 'node:path';
import { DataError } from '../errors.js';
import { readNamed, whyUnreadable } from '../files/index.js';
import { delimitedTable } from './delimited.js';
import { jsonTable } from './json.js';
import type { LabelTable } from './table.js';

/** Bytes of the largest label file that is read. */
const LARGEST = 2 ** 27;

const startsWith = (bytes: Uint8Array, ...first: readonly number[]): boolean =>
  first.every((byte, i) => bytes[i] === byte);
const ascii = (text: string): number[] => [...Buffer.from(text, 'latin1')];

/**
 * Reads a label file, told by its content: Parquet, Arrow (file or stream), JSON, or text with separators.
 * @throws DataError when it cannot be read, LabelError with the line for what it holds
 */
export async function readTable(file: string): Promise<LabelTable> {
  const name = basename(file);
  const bytes = await readBytes(file);
  if (startsWith(bytes, ...ascii('PAR1'))) return (await import('./columnar.js')).parquetTable(bytes, name);
  if (startsWith(bytes, ...ascii('ARROW1')) || startsWith(bytes, 0xff, 0xff, 0xff, 0xff)) {
    return (await import('./columnar.js')).arrowTable(bytes, name);
  }
  if (startsWith(bytes, 0x1f, 0x8b)) throw new DataError(`label file ${file} is gzipped: unpack it`);
  if (startsWith(bytes, ...ascii('PK\x03\x04'))) {
    throw new DataError(`label file ${file} is a zip archive or a spreadsheet: save it as CSV`);
  }
  const text = textOf(bytes, file);
  return /^\s*[[{]/.test(text) ? jsonTable(text, name) : delimitedTable(text, name);
}

/** UTF-8, or what spreadsheets save as Unicode text: UTF-16 with its mark. */
function textOf(bytes: Uint8Array, file: string): string {
  const encoding = startsWith(bytes, 0xff, 0xfe) ? 'utf-16le' : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (error) {
    throw new DataError(`label file ${file} is not UTF-8 text: save it as UTF-8, or give Parquet or Arrow`, {
      cause: error,
    });
  }
}

async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readNamed(file, LARGEST);
  } catch (error) {
    throw new DataError(`label file ${file} ${whyUnreadable(error)}: give a CSV, JSON, Parquet or Arrow file`, {
      cause: error,
    });
  }
}
