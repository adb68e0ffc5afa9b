import type { Random } from '../random.js';

/** A permutation of the whole numbers of 32 bits (MurmurHash3's finalizer). */
function mixed(value: number): number {
  let x = value;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

const DIGIT = 11;
const DIGITS = 2 ** DIGIT;

/**
 * Rows in random order, in which two of them come one before the other whatever others there are.
 * @param rows ascending
 * @param marks of the source, by row; rows of the same mark come one behind the other. Default: the rows themselves
 * @returns the places of `rows` in that order
 */
export function shuffledRows(rows: Uint32Array, marks: Uint32Array | undefined, random: Random): Uint32Array {
  const [first, second] = [random.uint32(), random.uint32()];
  const { length } = rows;
  let keys = new Uint32Array(length);
  let order = new Uint32Array(length);
  for (let i = 0; i < length; i++) {
    const row = rows[i] as number;
    keys[i] = mixed((mixed((marks ? (marks[row] as number) : row) ^ first) + second) | 0);
    order[i] = i;
  }
  // Sorted by digits, which leaves those of one key as they come.
  for (let shift = 0; shift < 32; shift += DIGIT) {
    const starts = new Uint32Array(DIGITS + 1);
    for (let i = 0; i < length; i++) {
      const digit = (((keys[i] as number) >>> shift) & (DIGITS - 1)) + 1;
      starts[digit] = (starts[digit] as number) + 1;
    }
    for (let digit = 1; digit < DIGITS; digit++) {
      starts[digit] = (starts[digit] as number) + (starts[digit - 1] as number);
    }
    const [sortedKeys, sorted] = [new Uint32Array(length), new Uint32Array(length)];
    for (let i = 0; i < length; i++) {
      const key = keys[i] as number;
      const digit = (key >>> shift) & (DIGITS - 1);
      const to = starts[digit] as number;
      sortedKeys[to] = key;
      sorted[to] = order[i] as number;
      starts[digit] = to + 1;
    }
    [keys, order] = [sortedKeys, sorted];
  }
  return order;
}
