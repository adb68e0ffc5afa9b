import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { breathe } from '../breathe.js';
import { CacheError } from '../errors.js';
import { errorCode, openSpill, type Spill, whyUnwritable } from '../files/index.js';
import type { FeatureSet } from '../store/index.js';
import { allRows, memoryVectors, type VectorBlock, type VectorSource } from '../train/vectors.js';
import { DEFAULT_MEMORY, type HoldingOptions, locateIn, place, streamVectors } from './stored-vectors.js';
import { type ReadRows, type RowReader, StreamedVectors } from './streamed-vectors.js';

/** Rows of a spill that are read at once: they are sorted by content, so any of them are drawn at random already. */
const STRETCH = 1024;
/** Bytes of one set's vectors that are held on the way. */
const BUFFER = 2 ** 26;

/** Vectors of different bases, one behind the other. */
export interface JoinedVectors {
  readonly source: VectorSource;
  /** The content of each row: those that have a vector in each of the sets, in the order asked. */
  readonly keys: readonly string[];
}

/**
 * Joins the vectors of sets of different fingerprints: in memory where they fit into it, else in a file without a name in the cache
 * (where nothing can be written there, in the folder for temporary files), as rows of different sets lie in different orders.
 * @param groups the sets of each fingerprint, in the order in which their vectors follow one another
 * @param keys 64 hexadecimal digits each, none twice
 * @throws CacheError when a part is damaged, or the disk has no room; the signal's reason
 */
export async function joinVectors(
  groups: readonly (readonly FeatureSet[])[],
  keys: readonly string[],
  options: HoldingOptions = {},
): Promise<JoinedVectors> {
  const { memory = DEFAULT_MEMORY, layOut, signal } = options;
  let complete = keys;
  for (const sets of groups) {
    const { have } = await locateIn(sets, complete, signal);
    complete = complete.filter((_, i) => have[i] === 1);
  }
  const sizes = groups.map(([set]) => set?.spec.features ?? 0);
  const n = complete.length;
  const d = sizes.reduce((sum, size) => sum + size, 0);
  const isHeld = 4 * n * d <= memory;
  const x = (isHeld && layOut?.(n, d)) || new Float32Array(isHeld ? n * d : 0);
  const spill = isHeld ? null : new JoinedFile(groups, n, d);
  let left = 0;
  for (const [g, sets] of groups.entries()) {
    const { source } = await streamVectors(sets, complete, { ...options, memory: Math.min(memory, BUFFER) });
    for await (const block of source.blocks(allRows(n))) {
      if (spill === null) place(block, source.d, x, d, left);
      else await spill.place(block, source.d, left, signal);
    }
    left += sizes[g] as number;
  }
  const source = spill === null ? memoryVectors(x, d, signal) : new StreamedVectors(n, d, spill.reader(signal), memory);
  return { source, keys: complete };
}

/** `[n, d]` on disk. */
class JoinedFile {
  private readonly spill: Spill;
  private readonly folder: string;

  constructor(
    groups: readonly (readonly FeatureSet[])[],
    private readonly n: number,
    private readonly d: number,
  ) {
    const [set] = groups[0] ?? [];
    if (set === undefined) throw new RangeError('no set to join');
    const cache = dirname(set.dir);
    try {
      this.spill = openSpill(set.system, cache);
      this.folder = cache;
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
      this.folder = tmpdir();
      this.spill = this.tried(() => openSpill(set.system, this.folder));
    }
  }

  /** Writes the vectors of a block to the columns from `left` on. */
  async place({ x, at, rows }: VectorBlock, size: number, left: number, signal?: AbortSignal): Promise<void> {
    const bytes = new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
    for (const [i, row] of rows.entries()) {
      const from = 4 * size * (at[i] as number);
      this.tried(() => this.spill.write(bytes.subarray(from, from + 4 * size), 4 * (row * this.d + left)));
    }
    await breathe(signal);
  }

  reader(signal?: AbortSignal): RowReader {
    const { n, d, spill } = this;
    const stretches = Math.ceil(n / STRETCH);
    return async function* (wanted, shuffle): AsyncGenerator<ReadRows> {
      const vectors = new Float32Array(Math.min(n, STRETCH) * d);
      const bytes = new Uint8Array(vectors.buffer);
      for (const stretch of shuffle?.permutation(stretches) ?? Array(stretches).keys()) {
        const first = stretch * STRETCH;
        const chosen = allRows(Math.min(STRETCH, n - first)).filter((i) => wanted[first + i] === 1);
        const [from, to] = [chosen[0], chosen.at(-1)];
        if (from === undefined || to === undefined) continue;
        await breathe(signal);
        spill.read(bytes.subarray(4 * from * d, 4 * (to + 1) * d), 4 * (first + from) * d);
        yield { vectors, at: chosen, places: chosen.map((i) => first + i) };
      }
    };
  }

  private tried<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      const why = whyUnwritable(error, this.folder);
      if (why === undefined) throw error;
      const gigabytes = ((4 * this.n * this.d) / 1e9).toFixed(1);
      throw new CacheError(
        `the joined vectors of ${this.n} images take ${gigabytes} GB, more than --memory, and cannot be laid down in ${this.folder}: ${why}`,
        { cause: error },
      );
    }
  }
}
