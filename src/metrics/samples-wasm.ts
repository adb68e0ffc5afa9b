import {
  type Code,
  compile,
  constant,
  countDown,
  get,
  I32,
  load,
  loop,
  set,
  step,
  V_LOAD,
  V_STORE,
  V128,
  vector,
  when,
} from '../formats/wasm.js';

/** Functions over a memory of two samples, a lane each: what counts as often as either drew it is summed for both. */
export interface SamplePasses {
  /**
   * One pass down a ranking.
   * @param order of each place 8 times its example, 2 more for a positive, 1 more where the next place has the same score
   * @param first address of how often the first sample drew each example, as `second`
   * @param given address of 0, 1, ½ in float64; what comes of it goes behind them, a value for each sample: the examples that
   * are positive, all of them, the pairs of a positive above a negative, and the sum of precisions at each
   */
  areas(order: number, first: number, second: number, examples: number, given: number): void;
  /**
   * @param cell of each example the address of its part of the confusion, as `bin` of the calibration
   * @param loss address of one number an example in float64, as `gap`
   * @param given address of all that is drawn and of the losses, a value for each sample
   */
  sums(
    cell: number,
    bin: number,
    loss: number,
    gap: number,
    first: number,
    second: number,
    examples: number,
    given: number,
  ): void;
}

const AND: Code = [0x71];
const IS_ZERO: Code = [0x45];
const ADD_TWO = vector(0xf0);
const SUBTRACT_TWO = vector(0xf1);
const MULTIPLY_TWO = vector(0xf2);
const DIVIDE_TWO = vector(0xf3);
const LARGER_TWO = vector(0xf7);
/** Of an address: its float64 for both samples. */
const SAME_TWO: Code = [...vector(0x0a), 3, 0];
/** How often the samples drew an example. @param at what gives the bytes before its number */
const drawnOf = (first: number, second: number, at: Code): Code => [
  ...[...get(second), ...at, 0x6a, ...get(first), ...at, 0x6a, ...vector(0x5c), 2, 0],
  ...[...vector(0x56), 2, 0, 1, ...vector(0xfe)],
];
const stored = (address: Code, offset: number, value: Code): Code => [
  ...[...address, ...constant(offset), 0x6a],
  ...value,
  ...V_STORE,
];

/** Repeats a body so many times, which may be none. */
const loopOf = (times: number, ...body: Code[]): Code => when(get(times), loop(...body, countDown(times)));

function areas(): Code {
  const [order, first, second, left, given, entry, positives, drawn, above, all, pairs, precisions, one, half, count] =
    Array.from({ length: 15 }, (_, i) => i) as [
      ...[number, number, number, number, number, number, number, number, number, number],
      ...[number, number, number, number, number],
    ];
  const add = (sum: number, value: Code): Code => [...get(sum), ...value, ...ADD_TWO, ...set(sum)];
  const times = (a: Code, b: Code): Code => [...a, ...b, ...MULTIPLY_TWO];
  const bit = (mask: number): Code => [...get(entry), ...constant(mask), ...AND];
  return [
    ...[...get(given), ...constant(8), 0x6a, ...SAME_TWO, ...set(one)],
    ...[...get(given), ...constant(16), 0x6a, ...SAME_TWO, ...set(half)],
    ...loopOf(
      left,
      [...load(get(order)), ...set(entry)],
      // 4 bytes a count
      [...drawnOf(first, second, [...bit(-8), ...constant(1), 0x76]), ...set(count)],
      add(drawn, get(count)),
      add(positives, times(get(count), [...get(given), ...bit(2), ...constant(2), 0x74, 0x6a, ...SAME_TWO])),
      when(
        [...bit(1), ...IS_ZERO],
        add(
          pairs,
          times(
            [...get(drawn), ...get(positives), ...SUBTRACT_TWO],
            [...get(above), ...times(get(positives), get(half)), ...ADD_TWO],
          ),
        ),
        add(above, get(positives)),
        add(all, get(drawn)),
        // Where nothing was drawn yet, nothing is positive.
        add(precisions, [
          ...times(get(positives), get(above)),
          ...[...get(all), ...get(one), ...LARGER_TWO, ...DIVIDE_TWO],
        ]),
        [...get(given), ...SAME_TWO, ...set(positives), ...get(given), ...SAME_TWO, ...set(drawn)],
      ),
      step(order, constant(4)),
    ),
    ...[above, all, pairs, precisions].flatMap((sum, i) => stored(get(given), 32 + 16 * i, get(sum))),
  ];
}

function sums(): Code {
  const [cell, bin, loss, gap, first, second, left, given, place, count, total, lost] = Array.from(
    { length: 12 },
    (_, i) => i,
  ) as [number, number, number, number, number, number, number, number, number, number, number, number];
  const add = (address: Code, value: Code): Code => [
    ...[...address, ...set(place), ...get(place), ...get(place), ...V_LOAD],
    ...[...value, ...ADD_TWO, ...V_STORE],
  ];
  const weighted = (of: number): Code => [...get(count), ...get(of), ...SAME_TWO, ...MULTIPLY_TWO];
  return [
    ...loopOf(
      left,
      [...drawnOf(first, second, constant(0)), ...set(count)],
      [...get(total), ...get(count), ...ADD_TWO, ...set(total)],
      [...get(lost), ...weighted(loss), ...ADD_TWO, ...set(lost)],
      add(load(get(cell)), get(count)),
      add(load(get(bin)), weighted(gap)),
      ...[cell, bin, first, second].map((address) => step(address, constant(4))),
      ...[loss, gap].map((address) => step(address, constant(8))),
    ),
    ...stored(get(given), 0, get(total)),
    ...stored(get(given), 16, get(lost)),
  ];
}

/** @returns a memory of at least so many bytes, and the passes over it */
export const samplePasses = compile<SamplePasses>([
  {
    name: 'areas',
    takes: [I32, I32, I32, I32, I32],
    locals: [
      [1, I32],
      [9, V128],
    ],
    code: areas(),
  },
  {
    name: 'sums',
    takes: [I32, I32, I32, I32, I32, I32, I32, I32],
    locals: [
      [1, I32],
      [3, V128],
    ],
    code: sums(),
  },
]);
