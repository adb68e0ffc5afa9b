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
  const keys = rows.map((row) => mixed((mixed((marks ? (marks[row] as number) : row) ^ first) + second) | 0));
  let order = Uint32Array.from({ length: rows.length }, (_, i) => i);
  // Sorted by digits, which leaves those of one key as they come.
  for (let shift = 0; shift < 32; shift += DIGIT) {
    const starts = new Uint32Array(DIGITS + 1);
    for (const key of keys) {
      const digit = ((key >>> shift) & (DIGITS - 1)) + 1;
      starts[digit] = (starts[digit] as number) + 1;
    }
    for (let digit = 1; digit < starts.length; digit++) {
      starts[digit] = (starts[digit] as number) + (starts[digit - 1] as number);
    }
    const sorted = new Uint32Array(order.length);
    for (const place of order) {
      const digit = ((keys[place] as number) >>> shift) & (DIGITS - 1);
      const to = starts[digit] as number;
      sorted[to] = place;
      starts[digit] = to + 1;
    }
    order = sorted;
  }
  return order;
}
