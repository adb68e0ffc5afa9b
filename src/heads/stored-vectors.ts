import { breathe, isBreath } from '../breathe.js';
import { CacheError } from '../errors.js';
import type { FeatureSet, LocatedRows } from '../store/index.js';
import { allRows, memoryVectors, type VectorBlock, type VectorSource } from '../train/vectors.js';
import { type ReadRows, type RowReader, StreamedVectors } from './streamed-vectors.js';

/** Bytes of vectors that training holds in memory at once, where nobody says otherwise: the same on every machine. */
export const DEFAULT_MEMORY = 2 ** 30;

/** Vectors of a set, as they were asked for. */
export interface StoredVectors {
  /** A row for each key that was found, in the order asked. */
  readonly source: VectorSource;
  /** Which of the asked keys each row is, ascending. */
  readonly found: Uint32Array;
  /** Places of the keys without a vector, ascending. */
  readonly missing: Uint32Array;
}

/** How much of them is held. */
export interface HoldingOptions {
  /** Bytes of vectors held at once. Default 1 GiB. */
  readonly memory?: number;
  /** Gives the numbers `[n, d]` in which those that fit are held, null for ordinary memory. Default: ordinary memory. */
  readonly layOut?: ((n: number, d: number) => Float32Array | null) | undefined;
  /** Ends this, and what goes through the vectors later. */
  readonly signal?: AbortSignal;
}

/**
 * The vectors of the asked keys: in memory where they fit into it, else read from the parts again each time, through a buffer.
 * @param sets of one fingerprint, as many machines have made: of a content that several of them hold the first counts
 * @param keys 64 hexadecimal digits each
 * @throws CacheError when a part is damaged; the signal's reason
 */
export async function openVectors(
  sets: readonly FeatureSet[],
  keys: readonly string[],
  options: HoldingOptions = {},
): Promise<StoredVectors> {
  const { source, found, missing } = await streamVectors(sets, keys, options);
  const { n, d } = source;
  if (4 * n * d > (options.memory ?? DEFAULT_MEMORY)) return { source, found, missing };
  const x = options.layOut?.(n, d) ?? new Float32Array(n * d);
  for await (const block of source.blocks(allRows(n))) place(block, d, x, d, 0);
  return { source: memoryVectors(x, d, options.signal), found, missing };
}

/** Copies the vectors of a block to the columns from `left` on of a matrix of this width. */
export function place(
  { x, at, rows }: VectorBlock,
  d: number,
  matrix: Float32Array,
  width: number,
  left: number,
): void {
  for (const [i, row] of rows.entries()) {
    const from = at[i] as number;
    matrix.set(x.subarray(from * d, (from + 1) * d), row * width + left);
  }
}

/** As `openVectors`, none of them in memory. */
export async function streamVectors(
  sets: readonly FeatureSet[],
  keys: readonly string[],
  { memory = DEFAULT_MEMORY, signal }: HoldingOptions = {},
): Promise<StoredVectors> {
  const { batches, have } = await locateIn(sets, keys, signal);
  const found = allRows(keys.length).filter((place) => have[place] === 1);
  const missing = allRows(keys.length).filter((place) => have[place] === 0);
  await breathe(signal);
  const rowOf = new Uint32Array(keys.length);
  for (let row = 0; row < found.length; row++) rowOf[found[row] as number] = row;
  const located = batches.map((one) => ({ ...one, places: one.places.map((place) => rowOf[place] as number) }));
  await breathe(signal);
  const relocate = async (): Promise<PlacedRows[]> => {
    const asked = Array.from(found, (place) => keys[place] as string);
    return (await locateIn(sets, asked, signal)).batches;
  };
  const reader = partReader(sets, found.length, located, relocate, signal);
  const source = new StreamedVectors(found.length, sets[0]?.spec.features ?? 0, reader, memory);
  return { source, found, missing };
}

/** Some rows of one batch of one of several sets. */
interface PlacedRows extends LocatedRows {
  readonly set: FeatureSet;
}

/** As `FeatureSet.locate`, in each set what those before it lack. */
export async function locateIn(
  sets: readonly FeatureSet[],
  keys: readonly string[],
  signal?: AbortSignal,
): Promise<{ batches: PlacedRows[]; have: Uint8Array }> {
  const have = new Uint8Array(keys.length);
  const batches: PlacedRows[] = [];
  for (const set of sets) {
    const left = allRows(keys.length).filter((place) => have[place] === 0);
    if (left.length === 0) break;
    const asked = left.length === keys.length ? keys : Array.from(left, (place) => keys[place] as string);
    for (const one of (await set.locate(asked, signal)).batches) {
      if (isBreath(batches.length, 256)) await breathe(signal);
      const places = one.places.map((place) => left[place] as number);
      for (const place of places) have[place] = 1;
      batches.push({ ...one, set, places });
    }
  }
  return { batches, have };
}

/**
 * @param located where each row lies; `places` are rows of the source
 * @param relocate finds them again after parts were merged
 * @returns what reads the wanted rows of every batch; each row once, also where parts are merged while it reads
 */
function partReader(
  sets: readonly FeatureSet[],
  n: number,
  located: readonly PlacedRows[],
  relocate: () => Promise<PlacedRows[]>,
  signal?: AbortSignal,
): RowReader {
  let all = located;
  return async function* (wanted, shuffle): AsyncGenerator<ReadRows> {
    let scratch = new ArrayBuffer(0);
    for (let tries = 0; ; tries++) {
      const order = shuffle?.permutation(all.length) ?? all.keys();
      let moved = false;
      for (const index of order) {
        signal?.throwIfAborted();
        const one = all[index] as PlacedRows;
        const chosen = Uint32Array.from(one.at.keys()).filter((i) => wanted[one.places[i] as number] === 1);
        if (chosen.length === 0) continue;
        const vectors = await one.set.readBatch(one, scratch);
        if (vectors === null) {
          moved = true;
          break;
        }
        scratch = vectors.buffer as ArrayBuffer;
        const places = Uint32Array.from(chosen, (i) => one.places[i] as number);
        for (const place of places) wanted[place] = 0;
        yield { vectors, at: Uint32Array.from(chosen, (i) => one.at[i] as number), places };
      }
      if (!moved) return;
      all = await relocate();
      const rows = all.reduce((sum, { places }) => sum + places.length, 0);
      if (rows < n || tries > 9) {
        throw new CacheError(
          `vectors of ${sets.map(({ dir }) => dir).join(' or ')} were removed while they were read: run the same command again when nothing else changes the set`,
        );
      }
    }
  };
}
