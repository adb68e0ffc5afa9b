import { placesInOrder } from '../places.js';
import type { Random } from '../random.js';

/** A permutation of the whole numbers of 32 bits (MurmurHash3's finalizer). */
function mixed(value: number): number {
  let x = value;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * Rows in random order, in which two of them come one before the other whatever others there are.
 * @param rows ascending
 * @param marks of the source, by row; rows of the same mark come one behind the other. Default: the rows themselves
 * @returns the places of `rows` in that order
 */
export function shuffledRows(rows: Uint32Array, marks: Uint32Array | undefined, random: Random): Uint32Array {
  const [first, second] = [random.uint32(), random.uint32()];
  const keys = new Uint32Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    keys[i] = mixed((mixed((marks ? (marks[row] as number) : row) ^ first) + second) | 0);
  }
  return placesInOrder(keys);
}
