import type { Random } from '../random.js';
import type { VectorBlock, VectorSource } from '../train/vectors.js';

/** Some vectors that were read at once. */
export interface ReadRows {
  /** `[any, d]`; stands until the next are asked for. */
  readonly vectors: Float32Array;
  /** The rows of `vectors` that are meant. */
  readonly at: Uint32Array;
  /** Their numbers in the source, one for each of `at`. */
  readonly places: Uint32Array;
}

/**
 * Reads the rows of a source whose entry in `wanted` is 1, each once, some at a time.
 * @param wanted is the reader's to write
 * @param shuffle where given, what is read at once comes in random order
 */
export type RowReader = (wanted: Uint8Array, shuffle?: Random) => AsyncIterable<ReadRows>;

/** Vectors that stay on disk: they are read in order or shuffled, and gathered in a buffer. */
export class StreamedVectors implements VectorSource {
  private readonly capacity: number;
  /** The buffer of a pass that is over: the next one takes it, as the collector may leave several of them behind. */
  private spare: Float32Array | undefined;

  /** @param memory bytes that may be held at once */
  constructor(
    readonly n: number,
    readonly d: number,
    private readonly read: RowReader,
    memory: number,
  ) {
    // The engine holds a copy of what it works on, so the buffer takes half.
    this.capacity = Math.max(1, Math.min(n, Math.floor(memory / 2 / (4 * d))));
  }

  async *blocks(rows: Uint32Array, shuffle?: Random, multiple = 1): AsyncGenerator<VectorBlock> {
    if (rows.length === 0) return;
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
}
