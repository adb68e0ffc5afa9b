import { breathe } from '../breathe.js';
import type { Random } from '../random.js';

/** Some of the vectors of a source, held in memory at once. */
export interface VectorBlock {
  /** `[any, d]` */
  readonly x: Float32Array;
  /** The rows of `x` that are meant. */
  readonly at: Uint32Array;
  /** Their numbers in the source, one for each of `at`. */
  readonly rows: Uint32Array;
}

/** Vectors that can be read again and again, from memory or from a feature set that does not fit into it. */
export interface VectorSource {
  /** Number of vectors. */
  readonly n: number;
  /** Size of each. */
  readonly d: number;
  /**
   * Goes once through the given rows, a block at a time; a block stands until the next one is asked for.
   * @param rows ascending
   * @param shuffle where given, what is read block by block is read in random order; within a block nothing is shuffled
   * @param multiple every block but the last has a number of rows that this divides, if that many fit
   */
  blocks(rows: Uint32Array, shuffle?: Random, multiple?: number): AsyncIterable<VectorBlock>;
  /** Whether all of it is in memory: one block has every row that is asked for. */
  readonly isWhole?: boolean;
  /** Whether it lies in a memory that threads share. */
  readonly isShared?: boolean;
  /** Lets go of what it holds for the next pass. */
  rest?(): void;
}

/**
 * @param signal ends what goes through it
 * @returns a source of vectors in memory: always one block, the matrix itself
 */
export function memoryVectors(x: Float32Array, d: number, signal?: AbortSignal): VectorSource {
  if (!Number.isInteger(d) || d < 1 || x.length % d !== 0) {
    throw new TypeError(`expected vectors of ${d} features, found ${x.length} values`);
  }
  return {
    n: x.length / d,
    d,
    isWhole: true,
    isShared: x.buffer instanceof SharedArrayBuffer,
    async *blocks(rows) {
      await breathe(signal);
      if (rows.length > 0) yield { x, at: rows, rows };
    },
  };
}

/** @returns 0, 1, …, n - 1 */
export function allRows(n: number): Uint32Array {
  const rows = new Uint32Array(n);
  for (let i = 0; i < n; i++) rows[i] = i;
  return rows;
}
