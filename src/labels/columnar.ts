import { type Table, tableFromIPC } from 'apache-arrow';
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { DataError } from '../errors.js';
import { readCompressed } from '../formats/arrow/codecs.js';
import { cellOf } from './cell.js';
import type { LabelTable, TableRow } from './table.js';

/** Rows and unpacked bytes of the largest file that is read. */
const MOST = { rows: 2 ** 25, bytes: 2 ** 30 };

/** @throws DataError when it cannot be read */
export async function parquetTable(bytes: Uint8Array, name: string): Promise<LabelTable> {
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  try {
    const { schema, row_groups: groups, num_rows: count } = parquetMetadata(file);
    const bytesInside = groups.reduce((sum, group) => sum + Number(group.total_byte_size), 0);
    if (Number(count) > MOST.rows || bytesInside > MOST.bytes) {
      throw new RangeError(`at most ${MOST.rows} rows and ${MOST.bytes} bytes are read`);
    }
    const objects = await parquetReadObjects({ file, compressors });
    const names = objects[0] ? Object.keys(objects[0]) : schema.slice(1).map((column) => column.name);
    return {
      kind: 'Parquet',
      unit: 'row',
      columns: names,
      rows: objects.map(
        (object, i): TableRow => ({ line: i + 1, cells: names.map((column) => cellOf(object[column])) }),
      ),
    };
  } catch (error) {
    throw unreadable(error, name, 'Parquet');
  }
}

/** Of the file or the stream format. @throws DataError when it cannot be read */
export function arrowTable(bytes: Uint8Array, name: string): LabelTable {
  readCompressed();
  let table: Table;
  try {
    table = tableFromIPC(bytes);
    const names = table.schema.fields.map((field) => field.name);
    const columns = names.map((column) => table.getChild(column));
    return {
      kind: 'Arrow',
      unit: 'row',
      columns: names,
      rows: Array.from({ length: table.numRows }, (_, i) => ({
        line: i + 1,
        cells: columns.map((column) => cellOf(plain(column?.get(i)))),
      })),
    };
  } catch (error) {
    throw unreadable(error, name, 'Arrow');
  }
}

/** Lists come as vectors. */
const plain = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'toArray' in value && Symbol.iterator in value
    ? [...(value as Iterable<unknown>)]
    : value;

function unreadable(error: unknown, name: string, kind: string): DataError {
  const reason = error instanceof Error ? error.message : String(error);
  return new DataError(`label file ${name} begins like ${kind} and cannot be read as such (${reason})`, {
    cause: error,
  });
}
