import {
  ADD,
  type Code,
  compile,
  constant,
  copy,
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

/**
 * For each pixel of a target row: where its first source pixel is, how many it takes, and their weights in fixed point, `stride`
 * bytes from one pixel's to the next's. `strip`: room for what is worked out of each row, `stripBytes` of it: `SLACK` more than its own.
 */
type Across = (
  source: number,
  target: number,
  times: number,
  rowBytes: number,
  width: number,
  channels: number,
  first: number,
  count: number,
  weights: number,
  stride: number,
  strip: number,
  stripBytes: number,
) => void;

/** The module's functions. All arguments are addresses in its memory, or numbers. */
export interface Passes {
  /** Resizes rows. */
  readonly across: Across;
  /** The same, four `times` over. */
  readonly acrossFour: Across;
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

const integers = (count: number): Code => new Array<number>(count).fill(I32);

/**
 * Some rows side by side, so that a weight is loaded once for all of them. The samples of a target row stand in a strip of its own
 * first: four bytes are written for a pixel of three, and those behind the last would be another row's.
 */
function acrossCode(together: number): Code {
  const [source, target, times, rowBytes, width, channels, first, count, weights, stride, strip, stripBytes] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
  ] as const;
  const [x, entry, pixelWeights, at, weight, n, place, same] = [12, 13, 14, 15, 16, 17, 18, 19] as const;
  const rows = Array.from({ length: together }, (_, row) => ({ row, sum: 20 + row, offset: 20 + together + row }));
  const timesRow = (bytes: number, row: number): Code => [...get(bytes), ...constant(row), ...MULTIPLY];
  const pixel = loop(
    [...get(weight), ...V_LOAD_SAME, ...set(same)],
    // One source pixel of each row: its samples as four 32-bit numbers, of which those behind the last channel come to nothing.
    ...rows.map(({ sum, offset }) => [
      ...[...get(sum), ...get(at), ...get(offset), ...ADD, ...V_LOAD_ONE, ...BYTES_LOW, ...WORDS_LOW],
      ...[...get(same), ...V_MULTIPLY, ...V_ADD, ...set(sum)],
    ]),
    step(at, get(channels)),
    step(weight, constant(4)),
    countDown(n),
  );
  const column = loop(
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
    ...rows.map(({ sum }) => half(sum)),
    pixel,
    ...rows.map(({ row, sum }) => [
      ...[...get(place), ...timesRow(stripBytes, row), ...ADD],
      ...[...rounded(sum), ...rounded(sum), ...TO_WORDS, ...rounded(sum), ...rounded(sum), ...TO_WORDS],
      ...[...TO_BYTES, ...V_STORE_ONE],
    ]),
    step(place, get(channels)),
    step(entry, constant(4)),
    step(pixelWeights, get(stride)),
    countDown(x),
  );
  const targetBytes = [...get(width), ...get(channels), ...MULTIPLY];
  return [
    ...rows.flatMap(({ row, offset }) => [...timesRow(rowBytes, row), ...set(offset)]),
    ...loop(
      [...get(width), ...set(x), ...constant(0), ...set(entry), ...get(weights), ...set(pixelWeights)],
      [...get(strip), ...set(place)],
      column,
      ...rows.map(({ row }) => [
        ...copy(get(target), [...get(strip), ...timesRow(stripBytes, row), ...ADD], targetBytes),
        ...step(target, targetBytes),
      ]),
      step(source, timesRow(rowBytes, together)),
      countDown(times),
    ),
  ];
}

const across = (name: string, together: number) => ({
  name,
  takes: integers(12),
  locals: [
    [7, I32],
    [1 + together, V128],
    [together, I32],
  ] as const,
  code: acrossCode(together),
});

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

/** @returns a memory of at least so many bytes, and the passes over it */
export const passes = compile<Passes>([
  across('across', 1),
  across('acrossFour', 4),
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
