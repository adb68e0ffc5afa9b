import path from 'node:path';
import { type Data, DataType, Precision, type RecordBatch, RecordBatchReader } from 'apache-arrow';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { CacheError, DataError, PermafrostError, UsageError } from '../../errors.js';
import { openRegular, readLines, readNamed, whyUnreadable } from '../../files/index.js';
import { fromFloat16 } from '../../float16.js';
import { readCompressed } from '../../formats/arrow/codecs.js';
import { NPY_HEAD, parseNpyHeader } from '../../formats/npy.js';
import { checkOptions, usage } from '../../options/check.js';
import { FeatureSet, firstUnstorable, KeySet, type StoreOptions } from '../../store/index.js';
import { checkSpec } from '../../store/spec.js';
import { version } from '../../version.js';
import { type ExportFormat, formatOf, idsFile } from './export.js';
import { chooseSets } from './list.js';
import type { CacheProgressHook } from './progress.js';

export interface ImportSetOptions extends StoreOptions, CacheProgressHook {
  /** The set that the vectors go to, by name or folder; or `spec`. */
  readonly set?: string;
  /** A file as `_set.json`: `format` 1, `features`, `type`, and whatever else says how the vectors were made. */
  readonly spec?: string;
  /** What a new set's folder is called, before its digits. Default: the name of the imported file. */
  readonly name?: string;
  /** Default: what the file's name ends in. */
  readonly format?: ExportFormat;
  /** Of `npy`: the file with the hash of each row, a line each. Default: the file's name with `.ids.txt`. */
  readonly ids?: string;
}

export interface ImportedSet {
  readonly set: string;
  readonly dir: string;
  readonly dim: number;
  /** Rows of the file. */
  readonly rows: number;
  /** Contents that are new to the set; those that it holds keep their vectors. */
  readonly added: number;
}

interface Rows {
  readonly count: number;
  /** [count, 32] flat. */
  readonly keys: Uint8Array;
  /** [count, d] flat. */
  readonly vectors: Float32Array;
}

type Reader = (file: string, d: number, ids: string) => AsyncGenerator<Rows>;

/** Rows that are read at a time. */
const BLOCK = 1024;
/** Bytes of the largest file as `_set.json`. */
const LARGEST_SPEC = 2 ** 20;
/** Bytes of the longest line of a file of hashes. */
const LONGEST_LINE = 4096;
/** Values of the largest row group of a Parquet file, which is read whole. */
const LARGEST_GROUP = 2 ** 26;

/**
 * Brings vectors that were made elsewhere into a set: the columns `sha256` (of the image files' bytes: 32 bytes, or 64
 * hexadecimal digits) and `features` of an Arrow or Parquet file, or an .npy matrix with its hashes. The whole file is checked
 * before the first row is stored. Parts record `import` and the format as their maker.
 * @throws UsageError where it is not said which set they go to; DataError with the row for what does not fit: another length, a
 *   value that is not finite or too large for the set's type, a missing value, a hash that is none; CacheError about the set
 */
export async function importSet(cache: string, file: string, options: ImportSetOptions): Promise<ImportedSet> {
  checkOptions('cache import', options);
  const format = formatOf(file, options.format);
  if (options.ids !== undefined && format !== 'npy') throw usage('{ids} belongs to npy files: leave it out');
  const ids = options.ids ?? idsFile(file);
  const set = await target(cache, file, options);
  const { features: d, type } = set.spec;
  const read = (): AsyncGenerator<Rows> => guarded(file, READERS[format](file, d, ids));
  let rows = 0;
  for await (const { count, vectors } of read()) {
    const bad = firstUnstorable(vectors, type);
    if (bad >= 0) {
      throw new DataError(
        `${file}, row ${rows + Math.floor(bad / d)} holds ${vectors[bad]}, which ${type} cannot store`,
      );
    }
    rows += count;
    options.onProgress?.({ done: rows, total: null, what: 'rows' });
  }
  const held = await set.keys();
  const added = new KeySet();
  const writer = set.writer({ engine: 'import', engineVersion: format, version });
  let done = 0;
  for await (const { count, keys, vectors } of read()) {
    for (let row = 0; row < count; row++) {
      const key = keys.subarray(row * 32, row * 32 + 32);
      const size = added.size;
      if (held.has(key) || added.add(key) < size) continue;
      await writer.add(key, vectors.subarray(row * d, (row + 1) * d));
    }
    done += count;
    options.onProgress?.({ done, total: rows, what: 'rows' });
  }
  await writer.close();
  await set.markUsed();
  return { set: path.basename(set.dir), dir: set.dir, dim: d, rows, added: added.size };
}

async function target(cache: string, file: string, options: ImportSetOptions): Promise<FeatureSet> {
  if ((options.set === undefined) === (options.spec === undefined)) {
    throw new UsageError(
      'say which set the vectors go to: --set with its name or folder, or --spec with a file as _set.json',
    );
  }
  if (options.set !== undefined) return (await chooseSets(cache, [options.set], options))[0] as FeatureSet;
  const spec = options.spec as string;
  let value: unknown;
  try {
    value = JSON.parse((await readNamed(spec, LARGEST_SPEC)).toString('utf8'));
  } catch (error) {
    const found = error instanceof SyntaxError ? 'is not JSON' : whyUnreadable(error);
    throw new CacheError(`${spec} ${found}: give a file as _set.json`, { cause: error });
  }
  const name = options.name ?? path.basename(file).replace(/\.[^.]*$/, '');
  return FeatureSet.create(cache, name, checkSpec(value, spec), options);
}

/** Names the file in whatever a library says of its bytes. */
async function* guarded(file: string, rows: AsyncGenerator<Rows>): AsyncGenerator<Rows> {
  try {
    yield* rows;
  } catch (error) {
    if (error instanceof PermafrostError) throw error;
    const { code, message = String(error) } = Object(error) as NodeJS.ErrnoException;
    const what = code === undefined ? `cannot be read (${message.split('\n')[0]})` : whyUnreadable(error);
    throw new DataError(`${file} ${what}: give an Arrow, Parquet or .npy file of sha256 and features`, {
      cause: error,
    });
  }
}

/** @param value 32 bytes, or 64 hexadecimal digits as text or bytes */
function putKey(keys: Uint8Array, row: number, value: unknown, where: string): void {
  const isText = value instanceof Uint8Array && value.length === 64;
  const text = isText ? Buffer.from(value).toString('latin1') : typeof value === 'string' ? value : '';
  const bytes =
    !isText && value instanceof Uint8Array ? value : Buffer.from(/^[0-9a-f]{64}$/i.test(text) ? text : '', 'hex');
  if (bytes.length !== 32) {
    throw new DataError(
      `${where}: sha256 must be 32 bytes or 64 hexadecimal digits, found ${JSON.stringify(text || value)}`,
    );
  }
  keys.set(bytes, row * 32);
}

/** What a file of the IPC format begins and ends with; a stream, whose end cannot be told from a cut, does not. */
const ARROW_MAGIC = 'ARROW1';

const fromArrow: Reader = async function* (file, d) {
  const handle = await openRegular(file);
  try {
    const { size } = await handle.stat();
    for (const at of [0, Math.max(0, size - ARROW_MAGIC.length)]) {
      const { buffer } = await handle.read(Buffer.alloc(ARROW_MAGIC.length), 0, ARROW_MAGIC.length, at);
      if (buffer.toString('latin1') === ARROW_MAGIC) continue;
      throw new DataError(
        `${file} is no whole Arrow file: write it in the IPC file format (Feather version 2), not as a stream`,
      );
    }
    readCompressed();
    const reader = await RecordBatchReader.from(handle);
    let rows = 0;
    for await (const batch of reader as AsyncIterable<RecordBatch>) {
      yield arrowRows(batch, d, file, rows);
      rows += batch.numRows;
    }
  } finally {
    await handle.close();
  }
};

function arrowRows(batch: RecordBatch, d: number, file: string, before: number): Rows {
  const keyColumn = batch.getChild('sha256');
  const vectorColumn = batch.getChild('features')?.data[0];
  if (keyColumn === null || vectorColumn === undefined) {
    const found = batch.schema.fields.map(({ name }) => name).join(', ');
    throw new DataError(`${file} must have the columns sha256 and features, found ${found}`);
  }
  const count = batch.numRows;
  const keys = new Uint8Array(count * 32);
  for (let row = 0; row < count; row++) putKey(keys, row, keyColumn.get(row), `${file}, row ${before + row}`);
  return { count, keys, vectors: arrowVectors(vectorColumn, count, d, file, before) };
}

/** @param column lists of floats, of a fixed size or not */
function arrowVectors(column: Data, count: number, d: number, file: string, before: number): Float32Array {
  const [child] = column.children;
  if (
    child === undefined ||
    !(DataType.isFixedSizeList(column.type) || DataType.isList(column.type) || DataType.isLargeList(column.type)) ||
    !DataType.isFloat(child.type)
  ) {
    throw new DataError(`${file}: features must be lists of floats, found ${column.type}`);
  }
  let from: number;
  if (DataType.isFixedSizeList(column.type)) {
    if (column.type.listSize !== d) {
      throw new DataError(`${file}: the set's vectors have ${d} values, found ${column.type.listSize}`);
    }
    from = column.offset * d;
  } else {
    const offsets = Array.from(column.valueOffsets as Int32Array | BigInt64Array, Number); // large lists count in 64 bits
    for (let row = 0; row < count; row++) {
      const length = (offsets[row + 1] as number) - (offsets[row] as number);
      if (length !== d)
        throw new DataError(`${file}, row ${before + row}: the set's vectors have ${d} values, found ${length}`);
    }
    from = offsets[0] ?? 0;
  }
  const values = (child.values as Float32Array | Float64Array | Uint16Array).subarray(from, from + count * d);
  if (column.nullCount > 0 || child.nullCount > 0 || values.length !== count * d) {
    throw new DataError(`${file}, rows ${before} to ${before + count - 1}: features must hold no missing values`);
  }
  const isHalf = child.type.precision === Precision.HALF;
  return isHalf ? fromFloat16(values as Uint16Array) : Float32Array.from(values);
}

const fromParquet: Reader = async function* (file, d) {
  await (await openRegular(file)).close(); // the library opens whatever is there, and waits for a pipe
  const buffer = await asyncBufferFromFile(file);
  const metadata = await parquetMetadataAsync(buffer);
  let rows = 0;
  for (const group of metadata.row_groups) {
    const count = Number(group.num_rows);
    if (count * d > LARGEST_GROUP) {
      throw new DataError(
        `${file} has a row group of ${count} rows, which is read whole: write it with row groups of at most ${Math.floor(LARGEST_GROUP / d)} rows`,
      );
    }
    const objects = await parquetReadObjects({
      file: buffer,
      metadata,
      compressors,
      utf8: false, // a column `binary` is bytes; text says that it is
      columns: ['sha256', 'features'],
      rowStart: rows,
      rowEnd: rows + count,
    });
    for (let start = 0; start < count; start += BLOCK)
      yield parquetRows(objects.slice(start, start + BLOCK), d, file, rows + start);
    rows += count;
  }
};

function parquetRows(objects: readonly Record<string, unknown>[], d: number, file: string, before: number): Rows {
  const keys = new Uint8Array(objects.length * 32);
  const vectors = new Float32Array(objects.length * d);
  objects.forEach(({ sha256, features }, row) => {
    const where = `${file}, row ${before + row}`;
    putKey(keys, row, sha256, where);
    const values = features as readonly unknown[] | null | undefined;
    if (!Array.isArray(values) && !ArrayBuffer.isView(values)) throw new DataError(`${where}: features must be a list`);
    if (values?.length !== d)
      throw new DataError(`${where}: the set's vectors have ${d} values, found ${values?.length}`);
    for (let i = 0; i < d; i++) {
      const value = (values as readonly unknown[])[i];
      if (typeof value !== 'number') throw new DataError(`${where}: features must be numbers, found ${value} at ${i}`);
      vectors[row * d + i] = value;
    }
  });
  return { count: objects.length, keys, vectors };
}

const VALUE = { '<f2': 2, '<f4': 4, '<f8': 8 } as const;

const fromNpy: Reader = async function* (file, d, ids) {
  const handle = await openRegular(file);
  try {
    const head = new Uint8Array(NPY_HEAD);
    const { bytesRead } = await handle.read(head, 0, NPY_HEAD, 0);
    const { dtype, shape, offset } = parseNpyHeader(head.subarray(0, bytesRead), file);
    const [rows, columns] = shape;
    if (columns !== d) throw new DataError(`${file}: the set's vectors have ${d} values, found ${columns}`);
    const width = d * VALUE[dtype];
    const { size } = await handle.stat();
    if (size !== offset + rows * width) {
      throw new DataError(`${file} must have ${offset + rows * width} bytes for ${rows} x ${d} values, found ${size}`);
    }
    const lines = linesOf(ids);
    for (let start = 0; start < rows; start += BLOCK) {
      const count = Math.min(BLOCK, rows - start);
      const bytes = new Uint8Array(count * width);
      const { bytesRead: got } = await handle.read(bytes, 0, bytes.length, offset + start * width);
      if (got !== bytes.length) throw new DataError(`${file} ends within row ${start + Math.floor(got / width)}`);
      const keys = new Uint8Array(count * 32);
      for (let row = 0; row < count; row++) {
        const line = await lines.next();
        if (line.done) throw new DataError(`${ids} must have a line for each of ${rows} rows, found ${start + row}`);
        putKey(keys, row, line.value, `${ids} line ${start + row + 1}`);
      }
      yield { count, keys, vectors: NPY_VALUES[dtype](bytes.buffer) };
    }
    if (!(await lines.next()).done)
      throw new DataError(`${ids} must have a line for each of ${rows} rows and has more`);
  } finally {
    await handle.close();
  }
};

const NPY_VALUES = {
  '<f2': (bytes: ArrayBuffer) => fromFloat16(new Uint16Array(bytes)),
  '<f4': (bytes: ArrayBuffer) => new Float32Array(bytes),
  '<f8': (bytes: ArrayBuffer) => Float32Array.from(new Float64Array(bytes)),
} as const;

/** Lines that are not empty. */
async function* linesOf(file: string): AsyncGenerator<string> {
  for await (const line of readLines(file, LONGEST_LINE)) if (line.trim() !== '') yield line.trim();
}

const READERS: Readonly<Record<ExportFormat, Reader>> = { arrow: fromArrow, parquet: fromParquet, npy: fromNpy };
