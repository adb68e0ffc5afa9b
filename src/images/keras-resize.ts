interface Source {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** PIL's grey of RGB: ITU-R 601, in 16-bit fixed point. `[n, 3] -> [n]` */
export function luma(rgb: Uint8Array): Uint8Array {
  const grey = new Uint8Array(rgb.length / 3);
  for (let i = 0; i < grey.length; i++) {
    const sum = (rgb[3 * i] ?? 0) * 19595 + (rgb[3 * i + 1] ?? 0) * 38470 + (rgb[3 * i + 2] ?? 0) * 7471;
    grey[i] = (sum + 0x8000) >> 16;
  }
  return grey;
}

/** Source index of each target index, as PIL's nearest takes it: a running sum of doubles from half a step, truncated. */
function nearestIndex(from: number, to: number): Uint32Array {
  const step = from / to;
  const index = new Uint32Array(to);
  let at = step * 0.5;
  for (let i = 0; i < to; i++) {
    index[i] = Math.min(Math.trunc(at), from - 1);
    at += step;
  }
  return index;
}

/** `PIL.Image.resize(…, NEAREST)`. `[h, w, c] -> [height, width, c]` */
export function nearest(
  { data, width: from, height: rows }: Source,
  channels: number,
  height: number,
  width: number,
): Uint8Array {
  const xs = nearestIndex(from, width);
  const ys = nearestIndex(rows, height);
  const result = new Uint8Array(height * width * channels);
  let to = 0;
  for (const y of ys) {
    for (const x of xs) {
      const at = (y * from + x) * channels;
      for (let c = 0; c < channels; c++) result[to++] = data[at + c] ?? 0;
    }
  }
  return result;
}

/** Where each target pixel lies between two source pixels, by their centres. */
function between(from: number, to: number): { low: Uint32Array; high: Uint32Array; share: Float32Array } {
  const scale = Math.fround(from / to);
  const low = new Uint32Array(to);
  const high = new Uint32Array(to);
  const share = new Float32Array(to);
  for (let i = 0; i < to; i++) {
    const at = Math.fround(Math.fround(Math.fround(i + 0.5) * scale) - 0.5);
    const floor = Math.floor(at);
    low[i] = Math.max(floor, 0);
    high[i] = Math.min(Math.ceil(at), from - 1);
    share[i] = at - floor;
  }
  return { low, high, share };
}

/** `tf.image.resize` with its defaults: bilinear between pixel centres, no antialiasing. `[h, w, c] -> [height, width, c]` */
export function bilinear(
  { data, width: from, height: rows }: Source,
  channels: number,
  height: number,
  width: number,
): Float32Array {
  const x = between(from, width);
  const y = between(rows, height);
  const result = new Float32Array(height * width * channels);
  let to = 0;
  for (let i = 0; i < height; i++) {
    const top = (y.low[i] ?? 0) * from;
    const bottom = (y.high[i] ?? 0) * from;
    const down = y.share[i] ?? 0;
    for (let j = 0; j < width; j++) {
      const left = x.low[j] ?? 0;
      const right = x.high[j] ?? 0;
      const along = x.share[j] ?? 0;
      for (let c = 0; c < channels; c++) {
        const a = data[(top + left) * channels + c] ?? 0;
        const b = data[(top + right) * channels + c] ?? 0;
        const d = data[(bottom + left) * channels + c] ?? 0;
        const e = data[(bottom + right) * channels + c] ?? 0;
        const upper = a + (b - a) * along;
        const lower = d + (e - d) * along;
        result[to++] = upper + (lower - upper) * down;
      }
    }
  }
  return result;
}
