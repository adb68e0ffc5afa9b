import type { Raster } from './raster.js';
import { passes, SLACK, WEIGHT_BITS } from './resample-wasm.js';

/** A kernel: its weight at a distance, and how far it reaches, in source pixels (or target pixels, where it shrinks). */
interface Kernel {
  readonly weight: (x: number) => number;
  readonly reach: number;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

/** The kernels of Pillow's Resample.c, with its bicubic of a = -0.5. */
const KERNELS = {
  bilinear: { reach: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    reach: 2,
    weight: (at) => {
      const x = Math.abs(at);
      if (x < 1) return ((-0.5 + 2) * x - (-0.5 + 3)) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
    },
  },
  lanczos: { reach: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
} as const satisfies Record<string, Kernel>;

export type KernelName = keyof typeof KERNELS;

/** For each target pixel the first source pixel, how many there are, and their weights in fixed point, `size` each. */
interface Weights {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly values: Int32Array;
  readonly size: number;
}

/** Tables of the sizes that came last: the pictures of a folder often have few. */
const known = new Map<string, Weights>();
const KNOWN = 64;

function weights(from: number, to: number, kernel: KernelName): Weights {
  const name = `${from} ${to} ${kernel}`;
  const found = known.get(name) ?? computed(from, to, KERNELS[kernel]);
  known.delete(name);
  known.set(name, found);
  const [oldest] = known.keys();
  if (known.size > KNOWN && oldest !== undefined) known.delete(oldest);
  return found;
}

function computed(from: number, to: number, { weight, reach }: Kernel): Weights {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = reach * stretch;
  const size = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const values = new Int32Array(to * size);
  const inverse = 1 / stretch;
  const exact = new Float64Array(size);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const low = Math.max(0, Math.trunc(centre - support + 0.5));
    const n = Math.min(from, Math.trunc(centre + support + 0.5)) - low;
    let sum = 0;
    for (let k = 0; k < n; k++) {
      const value = weight((k + low - centre + 0.5) * inverse);
      exact[k] = value;
      sum += value;
    }
    for (let k = 0; k < n; k++) {
      const value = (sum === 0 ? (exact[k] as number) : (exact[k] as number) / sum) * 2 ** WEIGHT_BITS;
      values[i * size + k] = Math.trunc(value + (value < 0 ? -0.5 : 0.5));
    }
    first[i] = low;
    count[i] = n;
  }
  return { first, count, values, size };
}

/** Bytes of memory that are kept from one picture to the next; larger ones get a memory of their own. */
const KEPT = 16 * 2 ** 20;
let kept: ReturnType<typeof passes> | undefined;

/** A memory of at least so many bytes; what is in it is of no account. */
function memoryOf(bytes: number): ReturnType<typeof passes> {
  if (bytes > KEPT) return passes(bytes);
  kept ??= passes(KEPT);
  return kept;
}

const aligned = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/**
 * Resizes a picture as `PIL.Image.resize` does, byte for byte: across, then down, in fixed point, each pass rounded to 8 bits;
 * shrinking takes in all source pixels under the kernel (antialiased). Alpha is a channel like the others. (Pillow 13 goes down
 * first where it finds that cheaper: roundings move.)
 */
export function resample(raster: Raster, width: number, height: number, kernel: KernelName): Raster {
  const { channels } = raster;
  const columns = raster.width === width ? null : weights(raster.width, width, kernel);
  const rows = raster.height === height ? null : weights(raster.height, height, kernel);
  if (columns === null && rows === null) return raster;
  const sizes = [
    raster.data.length,
    columns ? width * raster.height * channels : 0,
    rows ? width * height * channels : 0,
  ].map((size) => aligned(size + SLACK));
  const tables = [columns, rows].map((table) => (table ? 4 * (table.first.length * 2 + table.values.length) : 0));
  const strips = columns ? 4 * aligned(width * channels + SLACK) : 0;
  const { memory, run } = memoryOf([...sizes, ...tables, strips].reduce((sum, size) => sum + size, 0));
  const numbers = new Int32Array(memory.buffer);
  let free = 0;
  const take = (bytes: number): number => {
    free += bytes;
    return free - bytes;
  };
  const put = ({ first, count, values, size }: Weights) => {
    const place = (table: Int32Array): number => {
      const at = take(4 * table.length);
      numbers.set(table, at / 4);
      return at;
    };
    return [place(first), place(count), place(values), 4 * size] as const;
  };
  let at = take(sizes[0] as number);
  new Uint8Array(memory.buffer).set(raster.data, at);
  if (columns) {
    const target = take(sizes[1] as number);
    const [from, to] = [raster.width * channels, width * channels];
    const stripBytes = aligned(to + SLACK);
    const strips = take(4 * stripBytes);
    const rest = [from, width, channels, ...put(columns), strips, stripBytes] as const;
    const [fours, ones] = [raster.height >> 2, raster.height & 3];
    if (fours > 0) run.acrossFour(at, target, fours, ...rest);
    if (ones > 0) run.across(at + 4 * fours * from, target + 4 * fours * to, ones, ...rest);
    at = target;
  }
  if (rows) {
    const target = take(sizes[2] as number);
    run.down(at, target, height, width * channels, ...put(rows));
    at = target;
  }
  const data = new Uint8Array(memory.buffer, at, width * height * channels).slice();
  return { data, width, height, channels };
}
