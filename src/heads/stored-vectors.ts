import { CacheError } from '../errors.js';
import type { Random } from '../random.js';
import type { FeatureSet, LocatedRows } from '../store/index.js';
import { memoryVectors, type VectorBlock, type VectorSource } from '../train/vectors.js';

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

/**
 * The vectors of the asked keys: in memory where they fit into it, else read from the parts again each time, through a buffer.
 * @param sets of one fingerprint, as many machines have made: of a content that several of them hold the first counts
 * @param keys 64 hexadecimal digits each
 * @param memory bytes of vectors held at once. Default 1 GiB
 * @param signal ends this, and what goes through the vectors later
 * @throws CacheError when a part is damaged; the signal's reason
 */
export async function openVectors(
  sets: readonly FeatureSet[],
  keys: readonly string[],
  { memory = DEFAULT_MEMORY, signal }: { readonly memory?: number; readonly signal?: AbortSignal } = {},
): Promise<StoredVectors> {
  const d = sets[0]?.spec.features ?? 0;
  const { batches, have } = await locateIn(sets, keys, signal);
  const found = Uint32Array.from(keys.keys()).filter((place) => have[place] === 1);
  const missing = Uint32Array.from(keys.keys()).filter((place) => have[place] === 0);
  const rowOf = new Uint32Array(keys.length);
  found.forEach((place, row) => {
    rowOf[place] = row;
  });
  const located = (list: readonly PlacedRows[]): PlacedRows[] =>
    list.map((one) => ({ ...one, places: one.places.map((place) => rowOf[place] as number) }));
  const relocate = async (): Promise<PlacedRows[]> => {
    const again = await locateIn(
      sets,
      Array.from(found, (place) => keys[place] as string),
      signal,
    );
    return again.batches;
  };
  const stream = new StreamedVectors(sets, d, found.length, located(batches), relocate, memory, signal);
  if (4 * found.length * d > memory) return { source: stream, found, missing };
  const x = new Float32Array(found.length * d);
  for await (const { x: part, at, rows } of stream.blocks(Uint32Array.from(found.keys()))) {
    for (const [i, row] of rows.entries()) {
      const from = at[i] as number;
      x.set(part.subarray(from * d, (from + 1) * d), row * d);
    }
  }
  return { source: memoryVectors(x, d, signal), found, missing };
}

/** Some rows of one batch of one of several sets. */
interface PlacedRows extends LocatedRows {
  readonly set: FeatureSet;
}

/** As `FeatureSet.locate`, in each set what those before it lack. */
async function locateIn(
  sets: readonly FeatureSet[],
  keys: readonly string[],
  signal?: AbortSignal,
): Promise<{ batches: PlacedRows[]; have: Uint8Array }> {
  const have = new Uint8Array(keys.length);
  const batches: PlacedRows[] = [];
  for (const set of sets) {
    const left = Uint32Array.from(keys.keys()).filter((place) => have[place] === 0);
    if (left.length === 0) break;
    const asked = left.length === keys.length ? keys : Array.from(left, (place) => keys[place] as string);
    for (const one of (await set.locate(asked, signal)).batches) {
      const places = one.places.map((place) => left[place] as number);
      for (const place of places) have[place] = 1;
      batches.push({ ...one, set, places });
    }
  }
  return { batches, have };
}

/** Vectors that stay on disk: batches are read in order or shuffled, and gathered in a buffer. */
class StreamedVectors implements VectorSource {
  private readonly capacity: number;
  /** The buffer of a pass that is over: the next one takes it, as the collector may leave several of them behind. */
  private spare: Float32Array | undefined;

  /**
   * @param located where each row lies; `places` are rows of this source
   * @param relocate finds them again after parts were merged
   */
  constructor(
    private readonly sets: readonly FeatureSet[],
    readonly d: number,
    readonly n: number,
    private located: readonly PlacedRows[],
    private readonly relocate: () => Promise<PlacedRows[]>,
    memory: number,
    private readonly signal?: AbortSignal,
  ) {
    // The engine holds a copy of what it works on, so the buffer takes half.
    this.capacity = Math.max(1, Math.min(n, Math.floor(memory / 2 / (4 * d))));
  }

  async *blocks(rows: Uint32Array, shuffle?: Random, multiple = 1): AsyncGenerator<VectorBlock> {
    const { d, capacity } = this;
    const wanted = new Uint8Array(this.n);
    for (const row of rows) wanted[row] = 1;
    const buffer = this.spare ?? new Float32Array(capacity * d);
    this.spare = undefined;
    const x = buffer.subarray(0, Math.min(capacity, rows.length) * d);
    const held = new Uint32Array(x.length / d);
    let size = 0;
    /** Gives the buffer away but for what `multiple` leaves over, which moves to its front. */
    const full = function* (): Generator<VectorBlock> {
      const given = size < multiple ? size : size - (size % multiple);
      yield {
        x: x.subarray(0, given * d),
        at: Uint32Array.from({ length: given }, (_, i) => i),
        rows: held.slice(0, given),
      };
      x.copyWithin(0, given * d, size * d);
      held.copyWithin(0, given, size);
      size -= given;
    };
    try {
      for await (const { vectors, at, places } of this.read(wanted, shuffle)) {
        for (const [i, row] of at.entries()) {
          if (size === held.length) yield* full();
          x.set(vectors.subarray(row * d, (row + 1) * d), size * d);
          held[size++] = places[i] as number;
        }
      }
      while (size > 0) yield* full();
    } finally {
      this.spare = buffer;
    }
  }

  rest(): void {
    this.spare = undefined;
  }

  /** The wanted rows of every batch; each row once, also where parts are merged while this reads. */
  private async *read(wanted: Uint8Array, shuffle: Random | undefined) {
    let scratch = new ArrayBuffer(0);
    for (let tries = 0; ; tries++) {
      const all = this.located;
      const order = shuffle?.permutation(all.length) ?? all.keys();
      let moved = false;
      for (const index of order) {
        this.signal?.throwIfAborted();
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
      this.located = await this.relocate();
      const rows = this.located.reduce((sum, { places }) => sum + places.length, 0);
      if (rows < this.n || tries > 9) {
        throw new CacheError(
          `vectors of ${this.sets.map(({ dir }) => dir).join(' or ')} were removed while they were read: run the same command again when nothing else changes the set`,
        );
      }
    }
  }
}
