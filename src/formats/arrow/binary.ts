import { DataType } from 'apache-arrow';
import { unpacked } from './codecs.js';
import type { Column, Compression } from './columns.js';
import { Misfit } from './footer.js';

/** Bytes of one row of a column; null where it has none. */
export type RowBytes = (row: number) => Uint8Array | null;

/** Bytes of a value of a column of views, and how many of a value lie in it. */
const VIEW = { size: 16, inline: 12 };

/** @returns whether a type holds bytes or text of any length, not coded by a dictionary */
export const isBinary = (type: DataType): boolean =>
  DataType.isBinary(type) || DataType.isLargeBinary(type) || DataType.isBinaryView(type);
export const isText = (type: DataType): boolean =>
  DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isUtf8View(type);

/**
 * The values of a column of bytes or text, as views of its batch.
 * @throws Misfit, here or when a row is asked for, where its buffers do not hold what they say
 */
export function rowBytes(type: DataType, column: Column, rows: number, compression: Compression): RowBytes {
  const [validity, ...rest] = column.buffers.map((bytes) =>
    compression === null ? bytes : unpacked(bytes, compression),
  );
  const [, nulls = 0] = column.nodes[0] ?? [];
  const bits = validity ?? new Uint8Array(0);
  const isNull = (row: number): boolean => nulls !== 0 && ((bits[row >> 3] ?? 0) & (1 << (row & 7))) === 0;
  if (nulls !== 0 && bits.length < Math.ceil(rows / 8)) throw new Misfit('the nulls of a column are not all there');
  const isView = DataType.isBinaryView(type) || DataType.isUtf8View(type);
  const isLarge = DataType.isLargeBinary(type) || DataType.isLargeUtf8(type);
  const value = isView ? ofViews(rest, rows) : ofOffsets(rest, rows, isLarge);
  return (row) => (isNull(row) ? null : value(row));
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const outside = (row: number): Misfit => new Misfit(`row ${row + 1} of a batch leads out of it`);

function ofOffsets(buffers: readonly Uint8Array[], rows: number, isLarge: boolean): (row: number) => Uint8Array {
  const [offsets = new Uint8Array(0), data = new Uint8Array(0)] = buffers;
  const width = isLarge ? 8 : 4;
  if (rows > 0 && offsets.length < (rows + 1) * width) throw new Misfit('the offsets of a column are not all there');
  const view = viewOf(offsets);
  const at = (row: number): number =>
    isLarge ? Number(view.getBigInt64(8 * row, true)) : view.getInt32(4 * row, true);
  return (row) => {
    const [start, end] = [at(row), at(row + 1)];
    if (start < 0 || end < start || end > data.length) throw outside(row);
    return data.subarray(start, end);
  };
}

function ofViews(buffers: readonly Uint8Array[], rows: number): (row: number) => Uint8Array {
  const [views = new Uint8Array(0), ...data] = buffers;
  if (views.length < rows * VIEW.size) throw new Misfit('the views of a column are not all there');
  const view = viewOf(views);
  return (row) => {
    const at = row * VIEW.size;
    const length = view.getInt32(at, true);
    if (length < 0) throw outside(row);
    if (length <= VIEW.inline) return views.subarray(at + 4, at + 4 + length);
    const [buffer, start] = [data[view.getInt32(at + 8, true)], view.getInt32(at + 12, true)];
    if (buffer === undefined || start < 0 || start + length > buffer.length) throw outside(row);
    return buffer.subarray(start, start + length);
  };
}
