import { DataType, type Field, type Schema } from 'apache-arrow';
import { BodyCompression, BufferRegion, FieldNode, Message, RecordBatch } from 'apache-arrow/ipc/metadata/message';
import type { FlatTable } from './flatbuffer.js';
import { Misfit } from './footer.js';
import type { ArrowMessage } from './messages.js';

/** Fields of a schema, and levels of nesting, that are read. */
const MOST = { fields: 10_000, depth: 64 };
const TYPE = { timestamp: 10, union: 14 };
/** Where a buffer begins in a body. */
const ALIGNMENT = 64;

/** What a column takes of the lists of a record batch, with those within it. */
export interface Span {
  readonly nodes: number;
  readonly buffers: number;
  /** Columns of views, each of any number of buffers more. */
  readonly views: number;
}

/** @returns the span of a column of this type (Columnar.html, "Buffer Listing for Each Layout") */
function spanOf(type: DataType): Span {
  const [own, views] = buffersOf(type);
  const within = DataType.isDictionary(type) ? [] : (type.children ?? []).map((child: Field) => spanOf(child.type));
  return within.reduce(
    (sum, child) => ({
      nodes: sum.nodes + child.nodes,
      buffers: sum.buffers + child.buffers,
      views: sum.views + child.views,
    }),
    { nodes: 1, buffers: own, views },
  );
}

function buffersOf(type: DataType): readonly [buffers: number, views: number] {
  if (DataType.isNull(type)) return [0, 0];
  if (DataType.isStruct(type) || DataType.isFixedSizeList(type)) return [1, 0];
  if (DataType.isUnion(type)) return [DataType.isDenseUnion(type) ? 2 : 1, 0];
  if (DataType.isUtf8View(type) || DataType.isBinaryView(type)) return [2, 1];
  const isLong =
    DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isBinary(type) || DataType.isLargeBinary(type);
  return [isLong ? 3 : 2, 0];
}

/**
 * Reads a schema, every access within bounds before the library sees it.
 * @throws Misfit where it is damaged, big-endian, or has a type that is not known
 */
export function readSchema({ head, header, version }: ArrowMessage): Schema {
  try {
    if (header.int16(0) !== 0) throw new Misfit('it must be little-endian');
    let fields = 0;
    const walk = (all: readonly FlatTable[], depth: number): void => {
      for (const field of all) {
        if (++fields > MOST.fields || depth > MOST.depth) throw new Misfit('its schema has too many columns');
        checkField(field, version);
        walk(field.tables(5), depth + 1);
      }
    };
    walk(header.tables(1), 1);
    checkPairs(header, 2);
    const schema = Message.decode(head).header() as Schema;
    for (const { name, type } of schema.fields) {
      if (!isWhole(type)) throw new Misfit(`the column ${name} has a type that is not known`);
    }
    return schema;
  } catch (error) {
    if (error instanceof Misfit) throw error;
    const { message } = error as Error;
    const type = /^Unrecognized type: "(\w+)"/.exec(message)?.[1];
    const why = type === undefined ? 'its schema is damaged' : `a column is of the type ${type}, which is not read`;
    throw new Misfit(why, { cause: error });
  }
}

/** Whether a type has the children that it needs. */
function isWhole(type: DataType | undefined): boolean {
  if (type === undefined || (!DataType.isNull(type) && type.typeId === 0)) return false;
  if (DataType.isDictionary(type)) return isWhole(type.indices) && isWhole(type.dictionary);
  const isList = DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type);
  const children: readonly (Field | undefined)[] = type.children ?? [];
  return (
    (!(isList || DataType.isMap(type)) || children.length === 1) && children.every((child) => isWhole(child?.type))
  );
}

function checkField(field: FlatTable, version: number): void {
  field.string(0);
  const type = field.int8(2);
  if (type === TYPE.timestamp) field.table(3).string(1);
  if (type === TYPE.union) {
    if (version < 4) throw new Misfit('a union of before Arrow 1.0 is not read');
    field.table(3).int32s(1);
  }
  if (field.has(4) && field.table(4).has(1)) field.table(4).table(1).int32(0);
  checkPairs(field, 6);
}

function checkPairs(table: FlatTable, slot: number): void {
  for (const pair of table.tables(slot)) for (const at of [0, 1]) pair.string(at);
}

/** A column of one batch: its parts of the lists, and their bytes. */
export interface Column {
  readonly nodes: readonly (readonly [length: number, nulls: number])[];
  readonly buffers: readonly Uint8Array[];
  /** Of each column of views in it, how many buffers it has more. */
  readonly variadic: readonly number[];
}

/** How the buffers of a batch are compressed; null: they are not. */
export type Compression = 'lz4' | 'zstd' | null;

export interface Columns {
  readonly rows: number;
  readonly columns: readonly Column[];
  readonly compression: Compression;
}

const CODECS = ['lz4', 'zstd'] as const;

/**
 * The columns of a batch, with the bytes that they have in it.
 * @throws Misfit where they are not those of the schema, or lead outside
 */
export function readColumns({ header, body }: ArrowMessage, { fields }: Schema): Columns {
  try {
    const rows = header.int64(0);
    const nodes = header.structs(1, 2) as [number, number][];
    const places = header.structs(2, 2) as [number, number][];
    const compression = header.has(3) ? (CODECS[header.table(3).int8(0)] ?? 'unknown') : null;
    if (compression === 'unknown') throw new Misfit('a batch is compressed in a way that is not known');
    const variadic = header.has(4) ? header.structs(4, 1).map(([count = 0]) => count) : [];
    const buffers = places.map(([offset, length]) => {
      if (offset < 0 || length < 0 || offset + length > body.length)
        throw new Misfit('a buffer leads out of its batch');
      return body.subarray(offset, offset + length);
    });
    let at = { nodes: 0, buffers: 0, views: 0 };
    const columns = fields.map(({ name, type }): Column => {
      const span = spanOf(type);
      const more = variadic.slice(at.views, at.views + span.views);
      if (more.length < span.views || more.some((count) => count < 0))
        throw new Misfit(`the views of ${name} lack buffers`);
      const end = at.buffers + span.buffers + more.reduce((a, b) => a + b, 0);
      const own = nodes.slice(at.nodes, at.nodes + span.nodes);
      const bytes = buffers.slice(at.buffers, end);
      if (own.length < span.nodes || bytes.length < end - at.buffers || own[0]?.[0] !== rows) {
        throw new Misfit(`the column ${name} does not have the ${rows} rows of its batch`);
      }
      at = { nodes: at.nodes + span.nodes, buffers: end, views: at.views + span.views };
      return { nodes: own, buffers: bytes, variadic: more };
    });
    if (rows < 0 || at.nodes !== nodes.length || at.buffers !== buffers.length || at.views !== variadic.length) {
      throw new Misfit('a batch has more columns than its schema');
    }
    return { rows, columns, compression };
  } catch (error) {
    if (error instanceof RangeError) throw new Misfit('the head of a batch is damaged', { cause: error });
    throw error;
  }
}

const padded = (length: number, to: number): number => Math.ceil(length / to) * to;

/** @returns a message as it stands in a stream */
export function encapsulated(head: Uint8Array, body: readonly Uint8Array[] = []): Uint8Array[] {
  const length = padded(head.length, 8);
  const start = Buffer.alloc(8 + length);
  start.writeUInt32LE(0xffffffff, 0);
  start.writeUInt32LE(length, 4);
  start.set(head, 8);
  return [start, ...body];
}

/** @returns the message that a stream begins with */
export const schemaMessage = (schema: Schema): Uint8Array[] => encapsulated(Message.encode(Message.from(schema)));

/** What ends a stream. */
export const END = Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0);

/**
 * @param columns as they are, compressed as the batch is
 * @param own plain ones behind them
 * @returns a batch with the bytes of its columns, unchanged
 */
export function batchMessage(
  rows: number,
  columns: readonly Column[],
  own: readonly Column[],
  compression: Compression,
): Uint8Array[] {
  // In a compressed batch, -1 before a buffer says that this one is not.
  const plain = Buffer.alloc(8, 0xff);
  const stored = own.map((column) => ({
    ...column,
    buffers: column.buffers.map((bytes) =>
      compression === null || bytes.length === 0 ? bytes : Buffer.concat([plain, bytes]),
    ),
  }));
  const all = [...columns, ...stored];
  const places: BufferRegion[] = [];
  const body: Uint8Array[] = [];
  let at = 0;
  for (const bytes of all.flatMap(({ buffers }) => buffers)) {
    places.push(new BufferRegion(at, bytes.length));
    const gap = padded(bytes.length, ALIGNMENT) - bytes.length;
    body.push(bytes);
    if (gap > 0) body.push(new Uint8Array(gap));
    at += bytes.length + gap;
  }
  const nodes = all.flatMap((column) => column.nodes.map(([length, nulls]) => new FieldNode(length, nulls)));
  const codec = compression === null ? null : new BodyCompression(CODECS.indexOf(compression));
  const variadic = all.flatMap((column) => column.variadic);
  const batch = new RecordBatch(rows, nodes, places, codec, variadic);
  return encapsulated(Message.encode(Message.from(batch, at)), body);
}
