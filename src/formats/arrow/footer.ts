import { FlatTable } from './flatbuffer.js';

/** Where a record batch lies in the file: bytes, from its start. */
export interface Block {
  readonly offset: number;
  readonly metadataLength: number;
  readonly bodyLength: number;
}

/** What stands at the end of an Arrow IPC file (https://arrow.apache.org/docs/format/Columnar.html, File.fbs and Schema.fbs). */
export interface Footer {
  readonly metadata: ReadonlyMap<string, string>;
  readonly blocks: readonly Block[];
}

/** Where the values of one batch lie, from the start of its body. */
export interface Batch {
  readonly rows: number;
  readonly keys: number;
  readonly features: number;
}

/** What the columns of a file of vectors must hold. */
export interface VectorLayout {
  /** Values a vector. */
  readonly features: number;
  readonly type: 'float32' | 'float16';
}

export const VALUE_BYTES = { float32: 4, float16: 2 } as const;

const TYPE = { FloatingPoint: 3, FixedSizeBinary: 15, FixedSizeList: 16 };
const PRECISION = { float16: 0, float32: 1 };
const RECORD_BATCH = 3;

/** Why a part cannot be used; the caller adds its name. */
export class Misfit extends Error {}

function column(field: FlatTable | undefined, name: string, type: number, what: string): FlatTable {
  const found = field?.string(0);
  if (field === undefined || found !== name || field.int8(2) !== type) {
    throw new Misfit(`its columns must be sha256 and features, the column ${name} ${what}`);
  }
  return field;
}

/** @throws Misfit, or RangeError where the bytes are no footer */
export function decodeFooter(bytes: Uint8Array, layout: VectorLayout): Footer {
  const footer = FlatTable.root(bytes);
  const schema = footer.table(1);
  if (schema.int16(0) !== 0) throw new Misfit('it must be little-endian');
  const fields = schema.tables(1);
  const keys = column(fields[0], 'sha256', TYPE.FixedSizeBinary, 'of 32 bytes');
  if (keys.table(3).int32(0) !== 32) throw new Misfit(`its keys must have 32 bytes, found ${keys.table(3).int32(0)}`);
  const features = column(fields[1], 'features', TYPE.FixedSizeList, 'a list of fixed size');
  if (fields.length !== 2) throw new Misfit(`it must have two columns, found ${fields.length}`);
  const size = features.table(3).int32(0);
  if (size !== layout.features) throw new Misfit(`its vectors must have ${layout.features} values, found ${size}`);
  const [item] = features.tables(5);
  if (item?.int8(2) !== TYPE.FloatingPoint || item.table(3).int16(0) !== PRECISION[layout.type]) {
    throw new Misfit(`its values must be ${layout.type}`);
  }
  if (footer.has(2) && footer.structs(2, 3).length > 0) throw new Misfit('it must have no dictionaries');
  const metadata = new Map(schema.tables(2).map((pair) => [pair.string(0), pair.string(1)]));
  const blocks = footer
    .structs(3, 3)
    .map(([offset = 0, metadataLength = 0, bodyLength = 0]) => ({ offset, metadataLength, bodyLength }));
  return { metadata, blocks };
}

/**
 * @param bytes the encapsulated message: continuation mark, length, flatbuffer
 * @throws Misfit, or RangeError where the bytes are no message
 */
export function decodeBatch(bytes: Uint8Array, block: Block, layout: VectorLayout): Batch {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== 0xffffffff || view.getInt32(4, true) > bytes.length - 8) {
    throw new Misfit('a batch does not begin where the footer says');
  }
  const message = FlatTable.root(bytes.subarray(8));
  if (message.int8(1) !== RECORD_BATCH) throw new Misfit('a batch is not where the footer says');
  const batch = message.table(2);
  if (batch.has(3)) throw new Misfit('it must not be compressed');
  const rows = batch.int64(0);
  const nodes = batch.structs(1, 2);
  const lengths = [rows, rows, rows * layout.features];
  if (nodes.length !== 3 || nodes.some(([length, nulls], i) => length !== lengths[i] || nulls !== 0)) {
    throw new Misfit('its columns must be of one length, with no nulls');
  }
  const buffers = batch.structs(2, 2);
  const place = (index: number, needed: number): number => {
    const [offset = -1, length = -1] = buffers[index] ?? [];
    if (offset < 0 || length < needed || offset + needed > block.bodyLength || offset % 8 !== 0) {
      throw new Misfit('a column does not lie within its batch');
    }
    return offset;
  };
  const values = rows * layout.features * VALUE_BYTES[layout.type];
  // Validity bitmaps stand before each column's values: [sha256?, sha256, list?, values?, values].
  return { rows, keys: place(1, rows * 32), features: place(4, values) };
}
