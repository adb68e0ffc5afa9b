import {
  ADD,
  type Code,
  compile,
  constant,
  countDown,
  get,
  I32,
  LESS,
  load,
  loop,
  MULTIPLY,
  set,
  step,
  V_LOAD,
  V_STORE,
  V128,
  vector,
} from '../formats/wasm.js';

/**
 * The two passes of resampling as a module of WebAssembly, whose instructions for vectors take 4 to 16 samples at once; written out
 * here, instruction by instruction, since it is that small.
 */

/** Bits behind the point of a weight: of 32, 8 are the sample's, and two are left for sums below 0 and above 1. */
export const WEIGHT_BITS = 32 - 8 - 2;

/** Bytes that a pass may read or write behind a picture. */
export const SLACK = 16;

/** The module's functions. All arguments are addresses in its memory, or numbers. */
export interface Passes {
  /**
   * Resizes rows. For each pixel of a target row: where its first source pixel is, how many it takes, and their weights in fixed
   * point, `stride` bytes from one pixel's to the next's.
   */
  across(
    source: number,
    target: number,
    rows: number,
    rowBytes: number,
    width: number,
    channels: number,
    first: number,
    count: number,
    weights: number,
    stride: number,
  ): void;
  /** Resizes columns, all of a row of `rowBytes` together. */
  down(
    source: number,
    target: number,
    rows: number,
    rowBytes: number,
    first: number,
    count: number,
    weights: number,
    stride: number,
  ): void;
}

const V_LOAD_ONE = [...vector(0x5c), 0, 0];
const V_LOAD_SAME = [...vector(0x09), 0, 0];
const V_STORE_ONE = [...vector(0x5a), 0, 0, 0];
const V_SAME = vector(0x11);
const V_ADD = vector(0xae);
const V_MULTIPLY = vector(0xb5);
const V_SHIFT = vector(0xac);
const BYTES_LOW = vector(0x89);
const BYTES_HIGH = vector(0x8a);
const WORDS_LOW = vector(0xa9);
const WORDS_HIGH = vector(0xaa);
const TO_WORDS = vector(0x85);
const TO_BYTES = vector(0x66);

const half = (local: number): Code => [...constant(2 ** (WEIGHT_BITS - 1)), ...V_SAME, ...set(local)];
const rounded = (local: number): Code => [...get(local), ...constant(WEIGHT_BITS), ...V_SHIFT];

function acrossCode(): Code {
  const [source, target, rows, rowBytes, width, channels, first, count, weights, stride] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
  ] as const;
  const [x, entry, pixelWeights, at, weight, n, sum] = [10, 11, 12, 13, 14, 15, 16] as const;
  const pixel = loop(
    // One source pixel: its samples as four 32-bit numbers, of which those behind the last channel come to nothing.
    get(sum),
    [...get(at), ...V_LOAD_ONE, ...BYTES_LOW, ...WORDS_LOW],
    [...get(weight), ...V_LOAD_SAME, ...V_MULTIPLY, ...V_ADD, ...set(sum)],
    step(at, get(channels)),
    step(weight, constant(4)),
    countDown(n),
  );
  const row = loop(
    [
      ...get(source),
      ...load([...get(first), ...get(entry), ...ADD]),
      ...get(channels),
      ...MULTIPLY,
      ...ADD,
      ...set(at),
    ],
    [...load([...get(count), ...get(entry), ...ADD]), ...set(n)],
    [...get(pixelWeights), ...set(weight)],
    half(sum),
    pixel,
    // Four bytes are written; those behind the pixel are the next one's, which comes after.
    [...get(target), ...rounded(sum), ...rounded(sum), ...TO_WORDS, ...rounded(sum), ...rounded(sum), ...TO_WORDS],
    [...TO_BYTES, ...V_STORE_ONE],
    step(target, get(channels)),
    step(entry, constant(4)),
    step(pixelWeights, get(stride)),
    countDown(x),
  );
  const all = loop(
    [...get(width), ...set(x), ...constant(0), ...set(entry), ...get(weights), ...set(pixelWeights)],
    row,
    step(source, get(rowBytes)),
    countDown(rows),
  );
  return all;
}

function downCode(): Code {
  const [source, target, rows, rowBytes, first, count, weights, stride] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  const [top, i, at, weight, n, a, b, c, d, bytes, same] = [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18] as const;
  const add = (sum: number, quarter: Code): Code => [
    ...get(sum),
    ...quarter,
    ...get(same),
    ...V_MULTIPLY,
    ...V_ADD,
    ...set(sum),
  ];
  const column = loop(
    [...get(at), ...V_LOAD, ...set(bytes), ...get(weight), ...V_LOAD_SAME, ...set(same)],
    add(a, [...get(bytes), ...BYTES_LOW, ...WORDS_LOW]),
    add(b, [...get(bytes), ...BYTES_LOW, ...WORDS_HIGH]),
    add(c, [...get(bytes), ...BYTES_HIGH, ...WORDS_LOW]),
    add(d, [...get(bytes), ...BYTES_HIGH, ...WORDS_HIGH]),
    step(at, get(rowBytes)),
    step(weight, constant(4)),
    countDown(n),
  );
  const row = loop(
    [...get(top), ...get(i), ...ADD, ...set(at), ...get(weights), ...set(weight), ...load(get(count)), ...set(n)],
    [...half(a), ...half(b), ...half(c), ...half(d)],
    column,
    [...get(target), ...get(i), ...ADD, ...rounded(a), ...rounded(b), ...TO_WORDS],
    [...rounded(c), ...rounded(d), ...TO_WORDS, ...TO_BYTES, ...V_STORE],
    step(i, constant(16)),
    [...get(i), ...get(rowBytes), ...LESS],
  );
  const all = loop(
    [
      ...get(source),
      ...load(get(first)),
      ...get(rowBytes),
      ...MULTIPLY,
      ...ADD,
      ...set(top),
      ...constant(0),
      ...set(i),
    ],
    row,
    step(target, get(rowBytes)),
    [...step(first, constant(4)), ...step(count, constant(4)), ...step(weights, get(stride))],
    countDown(rows),
  );
  return all;
}

const integers = (count: number): Code => new Array<number>(count).fill(I32);

/** @returns a memory of at least so many bytes, and the passes over it */
export const passes = compile<Passes>([
  {
    name: 'across',
    takes: integers(10),
    locals: [
      [6, I32],
      [1, V128],
    ],
    code: acrossCode(),
  },
  {
    name: 'down',
    takes: integers(8),
    locals: [
      [5, I32],
      [6, V128],
    ],
    code: downCode(),
  },
]);
