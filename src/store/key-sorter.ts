import { breathe } from '../breathe.js';
import { CacheError } from '../errors.js';
import { errorCode, openSpill, type Spill, type StoreSystem } from '../files/index.js';
import { BitList } from './bit-list.js';
import { KeySet } from './key-set.js';

/** Keys are divided by their leading ten bits. */
const BUCKETS = 1024;
/** Rows of one bucket that are put away as one piece: their keys, then their numbers. */
const PIECE = 455;
const PIECE_BYTES = PIECE * 36;
/** Pieces that stay in memory (64 MiB); those beyond lie on disk. */
const HELD_PIECES = 4096;
const MOST_ROWS = 2 ** 32;

interface Piece {
  readonly bytes: Uint8Array;
  /** View of the same bytes: the number of each row. */
  readonly numbers: Uint32Array;
}

interface Bucket {
  /** Full pieces, each in memory or at a place of the file. */
  readonly pieces: (Piece | number)[];
  /** The one that is filled. */
  piece: Piece | null;
  rows: number;
}

/**
 * Sorts as many keys as there are, in some 100 MB of memory: they are divided into buckets, which lie on disk where there are many (36
 * bytes a key) and are worked on one after the other. Where the disk takes nothing they stay in memory.
 */
export class KeySorter {
  private readonly buckets = Array.from({ length: BUCKETS }, (): Bucket => ({ pieces: [], piece: null, rows: 0 }));
  private spill: Spill | null = null;
  private held = 0;
  private end = 0;
  private count = 0;

  /**
   * @param folder where to put what memory does not take
   * @param most pieces of 455 rows that memory takes
   */
  constructor(
    private readonly system: StoreSystem,
    private readonly folder: string,
    private readonly most = HELD_PIECES,
  ) {}

  /** Rows so far. */
  get rows(): number {
    return this.count;
  }

  /** @param flat [rows, 32]: they have the next numbers, from 0 on @throws CacheError for more than 2^32 */
  add(flat: Uint8Array): void {
    if (this.count + flat.length / 32 > MOST_ROWS) {
      throw new CacheError(`a set of more than ${MOST_ROWS} rows is too large: divide it`);
    }
    for (let at = 0; at < flat.length; at += 32) {
      const bucket = this.buckets[((flat[at] as number) << 2) | ((flat[at + 1] as number) >> 6)] as Bucket;
      bucket.piece ??= emptyPiece();
      const { bytes, numbers } = bucket.piece;
      bytes.set(flat.subarray(at, at + 32), bucket.rows * 32);
      numbers[bucket.rows++] = this.count++;
      if (bucket.rows === PIECE) this.putAway(bucket, bucket.piece);
    }
  }

  /** @returns the keys ascending, each once, some at a time, [any, 32] flat */
  async *sorted(): AsyncGenerator<Uint8Array> {
    for (const bucket of this.buckets) {
      await breathe();
      const keys = this.keysOf(bucket);
      const flat = new Uint8Array(keys.size * 32);
      for (const [place, index] of keys.order().entries()) flat.set(keys.at(index), place * 32);
      yield flat;
    }
  }

  /** @returns the numbers of the rows that have the key of an earlier one */
  async repeats(): Promise<BitList> {
    const repeats = new BitList();
    for (const bucket of this.buckets) {
      await breathe();
      this.keysOf(bucket, (row) => repeats.set(row));
    }
    return repeats;
  }

  /** Lets go of the disk. */
  close(): void {
    this.spill?.close();
    this.spill = null;
  }

  private keysOf({ pieces, piece, rows }: Bucket, onRepeat?: (row: number) => void): KeySet {
    const keys = new KeySet();
    const take = ({ bytes, numbers }: Piece, length: number): void => {
      for (let row = 0; row < length; row++) {
        const { size } = keys;
        if (keys.addRow(bytes, row) < size) onRepeat?.(numbers[row] as number);
      }
    };
    const read = emptyPiece();
    for (const one of pieces) {
      if (typeof one === 'number') this.spill?.read(read.bytes, one);
      take(typeof one === 'number' ? read : one, PIECE);
    }
    if (piece !== null) take(piece, rows);
    return keys;
  }

  private putAway(bucket: Bucket, piece: Piece): void {
    bucket.rows = 0;
    if (this.held >= this.most && this.write(piece.bytes)) {
      bucket.pieces.push(this.end);
      this.end += PIECE_BYTES;
    } else {
      this.held++;
      bucket.pieces.push(piece);
      bucket.piece = null;
    }
  }

  /** @returns false where the disk takes nothing */
  private write(bytes: Uint8Array): boolean {
    try {
      this.spill ??= openSpill(this.system, this.folder);
      this.spill.write(bytes, this.end);
      return true;
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
      return false;
    }
  }
}

function emptyPiece(): Piece {
  const bytes = new Uint8Array(PIECE_BYTES);
  return { bytes, numbers: new Uint32Array(bytes.buffer, PIECE * 32, PIECE) };
}
