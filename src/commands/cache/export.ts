import path from 'node:path';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { canonicalJson, type Json } from '../../canonical.js';
import { CacheError, UsageError } from '../../errors.js';
import { type Chunks, realSystem, tryOutput, writeOutput, writeOutputs } from '../../files/index.js';
import { toFloat16 } from '../../float16.js';
import { ArrowFileWriter, ArrowPieces } from '../../formats/arrow/file.js';
import { npyHeader } from '../../formats/npy.js';
import { checkOptions } from '../../options/check.js';
import { SET_FORMATS } from '../../options/choices.js';
import { vectorBatch, vectorSchema } from '../../store/encode-part.js';
import type { FeatureSet, StoreOptions, VectorBatch } from '../../store/index.js';
import { chooseSets } from './list.js';
import type { CacheProgressHook } from './progress.js';

/** Formats of one file that holds a whole set. */
export type ExportFormat = (typeof SET_FORMATS)[number];

export interface ExportSetOptions extends StoreOptions, CacheProgressHook {
  /** The file; it takes the place of one of that name. */
  readonly out: string;
  /** Default: what the file's name ends in. */
  readonly format?: ExportFormat;
}

export interface ExportedSet {
  readonly set: string;
  /** Absolute. */
  readonly out: string;
  /** Of `npy`: the file with the hash of each row, a line each; else null. */
  readonly ids: string | null;
  readonly format: ExportFormat;
  readonly images: number;
  readonly dim: number;
}

/** @throws UsageError where neither says which format it is */
export function formatOf(file: string, given: ExportFormat | undefined): ExportFormat {
  const format = given ?? SET_FORMATS.find((one) => file.toLowerCase().endsWith(`.${one}`));
  if (format === undefined)
    throw new UsageError(`give --format ${SET_FORMATS.join('|')}: ${file} does not end in one of them`);
  return format;
}

/** @returns where the hashes of an .npy file's rows lie */
export const idsFile = (file: string): string => `${file.replace(/\.npy$/i, '')}.ids.txt`;

/**
 * Writes a set as one file, a batch at a time: Arrow IPC with the columns of a part; Parquet with `sha256` (32 bytes) and
 * `features` (a list of floats); or npy, `[images, d]` in the set's own type, with the hashes in a text file beside it. Each
 * content stands once.
 * @throws UsageError without a format; CacheError for a damaged part; FileError where it cannot be written, and then nothing is left behind
 */
export async function exportSet(cache: string, name: string, options: ExportSetOptions): Promise<ExportedSet> {
  checkOptions('cache export', options);
  const format = formatOf(options.out, options.format);
  const system = options.system ?? realSystem;
  const out = path.resolve(options.out);
  await tryOutput(out, { system });
  const [set] = (await chooseSets(cache, [name], options)) as [FeatureSet];
  await set.markUsed();
  const images = (await set.keys()).size;
  const ids = format === 'npy' ? idsFile(out) : null;
  const hashes: string[] = [];
  const files: [string, Chunks][] = [[path.basename(out), CHUNKS[format](set, images, hashes, options.onProgress)]];
  if (ids !== null) files.push([path.basename(ids), lines(hashes)]);
  // Hashes never stand beside the rows of another time: their count alone would not tell.
  if (ids !== null) await writeOutputs(path.dirname(out), files, { system, old: [path.basename(ids)] });
  else await writeOutput(out, files[0]?.[1] ?? [], { system });
  return { set: path.basename(set.dir), out, ids, format, images, dim: set.spec.features };
}

/** The rows that were counted; a set that grows meanwhile gives no more of them. */
async function* rowsOf(
  set: FeatureSet,
  images: number,
  onProgress: CacheProgressHook['onProgress'],
): AsyncGenerator<VectorBatch> {
  let left = images;
  for await (const batch of set.batches()) {
    const rows = Math.min(left, batch.rows);
    const d = set.spec.features;
    yield { ...batch, rows, keys: batch.keys.subarray(0, rows * 32), vectors: batch.vectors.subarray(0, rows * d) };
    left -= rows;
    onProgress?.({ done: images - left, total: images, what: 'images' });
    if (left === 0) return;
  }
  if (left > 0)
    throw new CacheError(`${set.dir} lost ${left} of ${images} vectors while it was exported; export it again`);
}

type Encoder = (
  set: FeatureSet,
  images: number,
  hashes: string[],
  onProgress: CacheProgressHook['onProgress'],
) => AsyncGenerator<Uint8Array>;

const toArrow: Encoder = async function* (set, images, _hashes, onProgress) {
  const schema = vectorSchema(set.spec, [
    ['permafrost.fingerprint', set.fingerprint],
    ['permafrost.set', canonicalJson(set.spec as Json)],
  ]);
  const pieces = new ArrowPieces();
  const writer = new ArrowFileWriter();
  writer.reset(pieces, schema);
  for await (const { keys, vectors } of rowsOf(set, images, onProgress)) {
    writer.write(vectorBatch(schema, keys, set.spec.type === 'float16' ? toFloat16(vectors) : vectors));
    yield* pieces.take();
  }
  writer.finish();
  yield* pieces.take();
};

/** https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists */
const PARQUET_SCHEMA: ConstructorParameters<typeof ParquetWriter>[0]['schema'] = [
  { name: 'root', num_children: 2 },
  { name: 'sha256', type: 'FIXED_LEN_BYTE_ARRAY', type_length: 32, repetition_type: 'REQUIRED' },
  { name: 'features', repetition_type: 'REQUIRED', converted_type: 'LIST', num_children: 1 },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { name: 'element', type: 'FLOAT', repetition_type: 'REQUIRED' },
];

const toParquet: Encoder = async function* (set, images, _hashes, onProgress) {
  const d = set.spec.features;
  const bytes = new ByteWriter();
  const take = (): Uint8Array => {
    const piece = bytes.getBytes().slice();
    bytes.index = 0;
    return piece;
  };
  const writer = new ParquetWriter({
    writer: bytes,
    schema: PARQUET_SCHEMA,
    codec: 'UNCOMPRESSED', // floats of this kind do not get smaller
    statistics: false,
    createdBy: 'permafrost',
    kvMetadata: [
      { key: 'permafrost.fingerprint', value: set.fingerprint },
      { key: 'permafrost.set', value: canonicalJson(set.spec as Json) },
    ],
  });
  for await (const { rows, keys, vectors } of rowsOf(set, images, onProgress)) {
    const at = Array.from({ length: rows }, (_, row) => row);
    await writer.write({
      columnData: [
        { name: 'sha256', data: at.map((row) => keys.subarray(row * 32, row * 32 + 32)), encoding: 'PLAIN' },
        {
          name: 'features',
          data: at.map((row) => Array.from(vectors.subarray(row * d, (row + 1) * d))),
          encoding: 'PLAIN',
        },
      ],
      rowGroupSize: rows,
    });
    yield take();
  }
  await writer.finish();
  yield take();
};

const toNpy: Encoder = async function* (set, images, hashes, onProgress) {
  const { features, type } = set.spec;
  yield npyHeader(type === 'float16' ? '<f2' : '<f4', [images, features]);
  for await (const { rows, keys, vectors } of rowsOf(set, images, onProgress)) {
    for (let row = 0; row < rows; row++)
      hashes.push(Buffer.from(keys.subarray(row * 32, row * 32 + 32)).toString('hex'));
    const values = type === 'float16' ? toFloat16(vectors) : vectors;
    yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  }
};

const CHUNKS: Readonly<Record<ExportFormat, Encoder>> = { arrow: toArrow, parquet: toParquet, npy: toNpy };

/** Begins when the rows are written. */
function* lines(hashes: readonly string[]): Generator<Uint8Array> {
  for (let from = 0; from < hashes.length; from += 4096) {
    yield Buffer.from(`${hashes.slice(from, from + 4096).join('\n')}\n`);
  }
}
