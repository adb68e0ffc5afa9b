import { tally } from './tally.js';

/** Examples in falling order of a score, ready to be measured again and again with other counts. */
export interface Ranking {
  /** Example numbers, highest score first; equal scores in the order of the examples. */
  readonly order: Uint32Array;
  /** At each place of the order: 1 where the next place has the same score. */
  readonly tied: Uint8Array;
  /** At each place of the order: 1 for a positive, else 0. */
  readonly positive: Float64Array;
}

/** @returns numbers that sort as the scores do: the bits of a float32, with the order of negative ones turned round */
function sortableBits(scores: Float32Array): Uint32Array {
  const bits = new Uint32Array(scores.slice().buffer);
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i] === 0x80000000 ? 0 : (bits[i] as number);
    bits[i] = (value & 0x80000000 ? ~value : value | 0x80000000) >>> 0;
  }
  return bits;
}

/** @returns the examples by falling score; a radix sort of 16 bits a pass, stable and linear in their number */
export function fallingOrder(scores: Float32Array): Uint32Array {
  const keys = sortableBits(scores);
  let order = Uint32Array.from({ length: keys.length }, (_, i) => i);
  for (const shift of [0, 16]) {
    const starts = new Uint32Array(65_537);
    for (const key of keys) tally(starts, 0xffff - ((key >>> shift) & 0xffff) + 1, 1);
    for (let i = 1; i < starts.length; i++) tally(starts, i, starts[i - 1] as number);
    const sorted = new Uint32Array(order.length);
    for (const example of order) {
      const digit = 0xffff - (((keys[example] as number) >>> shift) & 0xffff);
      sorted[starts[digit] as number] = example;
      tally(starts, digit, 1);
    }
    order = sorted;
  }
  return order;
}

/** @param isPositive whether an example, by its number, is a positive */
export function rank(scores: Float32Array, isPositive: (example: number) => boolean): Ranking {
  const order = fallingOrder(scores);
  const tied = new Uint8Array(order.length);
  const positive = new Float64Array(order.length);
  for (let at = 0; at < order.length; at++) {
    const example = order[at] as number;
    positive[at] = isPositive(example) ? 1 : 0;
    if (at + 1 < order.length && scores[example] === scores[order[at + 1] as number]) tied[at] = 1;
  }
  return { order, tied, positive };
}
