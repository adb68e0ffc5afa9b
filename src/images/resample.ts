import type { Raster } from './raster.js';

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

/** Bits behind the point of a weight: two are left for sums below 0 and above 1. */
const BITS = 32 - 8 - 2;
const HALF = 1 << (BITS - 1);

/** For each target pixel the first source pixel, how many there are, and their weights in fixed point, `size` each. */
interface Weights {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly values: Int32Array;
  readonly size: number;
}

function weights(from: number, to: number, { weight, reach }: Kernel): Weights {
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
      const value = (sum === 0 ? (exact[k] as number) : (exact[k] as number) / sum) * 2 ** BITS;
      values[i * size + k] = Math.trunc(value + (value < 0 ? -0.5 : 0.5));
    }
    first[i] = low;
    count[i] = n;
  }
  return { first, count, values, size };
}

/**
 * Resizes a picture as `PIL.Image.resize` does, byte for byte: across, then down, in fixed point, each pass rounded to 8 bits;
 * shrinking takes in all source pixels under the kernel (antialiased). Alpha is a channel like the others.
 */
export function resample(raster: Raster, width: number, height: number, kernel: keyof typeof KERNELS): Raster {
  const wide = raster.width === width ? raster : across(raster, weights(raster.width, width, KERNELS[kernel]), width);
  return raster.height === height ? wide : down(wide, weights(raster.height, height, KERNELS[kernel]), height);
}

function across({ data, width: from, height, channels }: Raster, weights: Weights, width: number): Raster {
  const { first, count, values, size } = weights;
  const result = new Uint8ClampedArray(width * height * channels);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const row = y * from * channels;
    for (let x = 0; x < width; x++) {
      const begin = x * size;
      const end = begin + (count[x] as number);
      const start = row + (first[x] as number) * channels;
      if (channels === 3) {
        let [r, g, b] = [HALF, HALF, HALF];
        for (let k = begin, at = start; k < end; k++, at += 3) {
          const value = values[k] as number;
          r = (r + Math.imul(data[at] as number, value)) | 0;
          g = (g + Math.imul(data[at + 1] as number, value)) | 0;
          b = (b + Math.imul(data[at + 2] as number, value)) | 0;
        }
        result[to++] = r >> BITS;
        result[to++] = g >> BITS;
        result[to++] = b >> BITS;
        continue;
      }
      for (let c = 0; c < channels; c++) {
        let sum = HALF;
        for (let k = begin, at = start + c; k < end; k++, at += channels) {
          sum = (sum + Math.imul(data[at] as number, values[k] as number)) | 0;
        }
        result[to++] = sum >> BITS;
      }
    }
  }
  return { data: new Uint8Array(result.buffer), width, height, channels };
}

function down({ data, width, channels }: Raster, weights: Weights, height: number): Raster {
  const { first, count, values, size } = weights;
  const stride = width * channels;
  const result = new Uint8ClampedArray(stride * height);
  const sums = new Int32Array(stride);
  for (let y = 0; y < height; y++) {
    sums.fill(HALF);
    const n = count[y] as number;
    for (let k = 0; k < n; k++) {
      const value = values[y * size + k] as number;
      let at = ((first[y] as number) + k) * stride;
      for (let i = 0; i < stride; i++) sums[i] = ((sums[i] as number) + Math.imul(data[at++] as number, value)) | 0;
    }
    for (let i = 0, to = y * stride; i < stride; i++) result[to++] = (sums[i] as number) >> BITS;
  }
  return { data: new Uint8Array(result.buffer), width, height, channels };
}
