import { breathe, isBreath } from '../breathe.js';
import { CacheError } from '../errors.js';
import { errorCode } from '../files/index.js';
import { KeySet } from './key-set.js';
import { Part } from './part.js';
import { openParts, type SetFolder } from './parts.js';

/** Rows of one batch on disk. */
export interface VectorBatch {
  /** File name of the part. */
  readonly part: string;
  readonly rows: number;
  /** [rows, 32] flat: SHA-256 of each image file. */
  readonly keys: Uint8Array;
  /** [rows, d] flat. */
  readonly vectors: Float32Array;
}

/** What `FeatureSet.read` found of the keys it was asked for. */
export interface FoundVectors {
  /** [found.length, d] flat, in the order asked. */
  readonly vectors: Float32Array;
  /** Which of the asked keys each row is, ascending; [0, 1, …] when none is missing. */
  readonly found: Uint32Array;
  /** Keys without a vector, in hexadecimal, each once, in the order asked. */
  readonly missing: readonly string[];
}

/** Some rows of one batch on disk, and what they were asked as. */
export interface LocatedRows {
  /** File name of the part, and the number of the batch in it. */
  readonly part: string;
  readonly batch: number;
  /** Rows of the batch. */
  readonly at: Uint32Array;
  /** For each of them its place among the keys that were asked. */
  readonly places: Uint32Array;
}

/**
 * The vectors of the asked keys (64 hexadecimal digits or 32 bytes), in that order; one asked twice is there twice.
 * @throws CacheError when a part on the way is damaged, or the matrix is too large for this machine
 */
export async function readRows(set: SetFolder, keys: Iterable<string | Uint8Array>): Promise<FoundVectors> {
  const d = set.spec.features;
  const unique = new KeySet();
  const asked: number[] = [];
  /** The first row of each unique key. */
  const first: number[] = [];
  for (const key of keys) {
    const index = unique.add(key);
    if (index === first.length) first.push(asked.length);
    asked.push(index);
  }
  const vectors = allocate(asked.length, d);
  const have = await gather(set, unique, first, vectors);
  const found = new Uint32Array(asked.length);
  let rows = 0;
  asked.forEach((index, row) => {
    if (have[index] === 0) return;
    // A row asked before stands at its first place, or has moved up from there with the rows that are missing.
    const from = first[index] as number;
    if (from !== rows) vectors.copyWithin(rows * d, from * d, (from + 1) * d);
    if (from === row) first[index] = rows;
    found[rows++] = row;
  });
  const missing: string[] = [];
  for (let index = 0; index < have.length; index++) {
    if (have[index] === 0) missing.push(Buffer.from(unique.at(index)).toString('hex'));
  }
  return { vectors: vectors.subarray(0, rows * d), found: found.subarray(0, rows), missing };
}

/**
 * Where the vectors of the asked keys lie, parts by name. Reads no vectors.
 * @returns the batches that hold any, and for each asked key 1 where it was found, else 0
 * @throws the signal's reason
 */
export async function locateRows(
  set: SetFolder,
  keys: Iterable<string | Uint8Array>,
  signal?: AbortSignal,
): Promise<{ batches: LocatedRows[]; have: Uint8Array }> {
  const unique = new KeySet();
  /** The last place asked for each unique key, and before each place the one of the same key: a list for each key. */
  const last: number[] = [];
  const before: number[] = [];
  for (const key of keys) {
    if (isBreath(before.length)) await breathe(signal);
    const index = unique.add(key);
    before.push(last[index] ?? -1);
    last[index] = before.length - 1;
  }
  const have = new Uint8Array(before.length);
  const batches: LocatedRows[] = [];
  for await (const part of openParts(set)) {
    signal?.throwIfAborted();
    for (let batch = 0; batch < part.batches; batch++) {
      const flat = await part.keys(batch);
      const at: number[] = [];
      const places: number[] = [];
      for (let row = 0; row < flat.length / 32; row++) {
        const index = unique.indexOfRow(flat, row);
        if (index < 0 || have[last[index] as number] === 1) continue;
        for (let place = last[index] as number; place >= 0; place = before[place] as number) {
          have[place] = 1;
          at.push(row);
          places.push(place);
        }
      }
      if (at.length > 0) {
        batches.push({ part: part.name, batch, at: Uint32Array.from(at), places: Uint32Array.from(places) });
      }
    }
  }
  return { batches, have };
}

/**
 * One batch as `locate` named it.
 * @param scratch as of `Part.vectors`
 * @returns [rows of the batch, d] flat; null where the part is not there any more, since it was merged or deleted
 */
export async function readBatch(
  set: SetFolder,
  { part, batch }: LocatedRows,
  scratch?: ArrayBuffer,
): Promise<Float32Array | null> {
  let open: Part;
  try {
    open = await Part.open(set.system, set.dir, part, set);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
  try {
    return await open.vectors(batch, scratch);
  } finally {
    await open.close();
  }
}

/** All rows, a batch of a part at a time, parts by name. Of a key in two parts the first counts. */
export async function* uniqueBatches(set: SetFolder): AsyncGenerator<VectorBatch> {
  const d = set.spec.features;
  const seen = new KeySet();
  for await (const part of openParts(set)) {
    for (let batch = 0; batch < part.batches; batch++) {
      const keys = await part.keys(batch);
      const vectors = await part.vectors(batch);
      let rows = 0;
      for (let row = 0; row < keys.length / 32; row++) {
        const size = seen.size;
        seen.addRow(keys, row);
        if (seen.size === size) continue;
        if (rows !== row) {
          keys.copyWithin(rows * 32, row * 32, (row + 1) * 32);
          vectors.copyWithin(rows * d, row * d, (row + 1) * d);
        }
        rows++;
      }
      if (rows > 0) {
        yield { part: part.name, rows, keys: keys.subarray(0, rows * 32), vectors: vectors.subarray(0, rows * d) };
      }
    }
  }
}

/**
 * Copies the vector of each key to its row.
 * @returns for each key 1 where it was found, else 0
 */
async function gather(
  set: SetFolder,
  keys: KeySet,
  rowOf: readonly number[],
  vectors: Float32Array,
): Promise<Uint8Array> {
  const d = set.spec.features;
  const have = new Uint8Array(keys.size);
  let left = keys.size;
  let scratch = new ArrayBuffer(0);
  if (left === 0) return have;
  for await (const part of openParts(set)) {
    for (let batch = 0; batch < part.batches; batch++) {
      const flat = await part.keys(batch);
      const hits: [row: number, index: number][] = [];
      for (let row = 0; row < flat.length / 32; row++) {
        const index = keys.indexOfRow(flat, row);
        if (index < 0 || have[index] === 1) continue;
        have[index] = 1;
        hits.push([row, index]);
      }
      if (hits.length === 0) continue;
      const values = await part.vectors(batch, scratch);
      scratch = values.buffer as ArrayBuffer;
      for (const [row, index] of hits) {
        vectors.set(values.subarray(row * d, (row + 1) * d), (rowOf[index] as number) * d);
      }
      left -= hits.length;
      if (left === 0) return have;
    }
  }
  return have;
}

function allocate(rows: number, d: number): Float32Array {
  try {
    return new Float32Array(rows * d);
  } catch (error) {
    const gigabytes = ((rows * d * 4) / 2 ** 30).toFixed(1);
    throw new CacheError(
      `${rows} vectors of ${d} values take ${gigabytes} GiB of memory, more than there is; use fewer images, or a base with fewer features`,
      { cause: error },
    );
  }
}
