import { ImageError } from '../../errors.js';
import type { Raster } from '../raster.js';
import type { Layout } from './layout.js';
import type { Samples } from './samples.js';

type ToByte = (value: number) => number;

/** How the samples of a file become 0 to 255: whole numbers by the range of their type, floating point by that of the file. */
export function toByte(layout: Layout, samples: Samples): ToByte {
  const { bits, format } = layout;
  if (format === 3) return fromFloat(samples);
  const shift = format === 2 ? 2 ** (bits - 1) : 0;
  if (bits < 8) return (value) => Math.trunc((value * 255) / (2 ** bits - 1));
  const step = 2 ** (bits - 8);
  return (value) => Math.floor((value + shift) / step);
}

function fromFloat(samples: Samples): ToByte {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of samples) {
    if (value < low) low = value;
    if (value > high) high = value;
    if (!Number.isFinite(value)) low = Number.NaN;
  }
  // A little beyond, as resizing leaves it.
  const scale = low >= -0.5 && high <= 1.5 ? 255 : low >= -16 && high <= 271 && high >= 16 ? 1 : 0;
  if (scale === 0) {
    throw new ImageError(
      'decode',
      `is a TIFF of floating point numbers from ${low} to ${high}, and only 0 to 1 and 0 to 255 are known: scale it to either`,
    );
  }
  return (value) => Math.max(0, Math.min(255, Math.round(value * scale)));
}

/** Samples as a picture of 8 bits: grey, RGB, each with alpha where there is some, or CMYK as it is. */
export function toRaster(samples: Samples, layout: Layout): Raster {
  const { width, height, photometric, extra } = layout;
  const pixels = width * height;
  const perPixel = layout.samples;
  if (photometric === 3) return fromPalette(samples, layout);
  const convert = toByte(layout, samples);
  const colours = { 2: 3, 5: 4 }[photometric] ?? 1;
  const alpha = colours < 4 && (extra[0] === 1 || extra[0] === 2) && perPixel > colours;
  const channels = (colours + (alpha ? 1 : 0)) as 1 | 2 | 3 | 4;
  const data = new Uint8Array(pixels * channels);
  const invert = photometric === 0;
  for (let i = 0, from = 0, to = 0; i < pixels; i++, from += perPixel) {
    for (let c = 0; c < channels; c++) {
      const value = convert(samples[from + c] as number);
      data[to++] = invert && c < colours ? 255 - value : value;
    }
  }
  if (alpha && extra[0] === 1) divide(data, channels);
  return { data, width, height, channels };
}

/** Divides premultiplied alpha out, as Pillow does. */
function divide(data: Uint8Array, channels: number): void {
  for (let i = 0; i < data.length; i += channels) {
    const alpha = data[i + channels - 1] as number;
    for (let c = i; alpha < 255 && c < i + channels - 1; c++) {
      data[c] = alpha === 0 ? 0 : Math.min(255, Math.trunc((255 * (data[c] as number)) / alpha));
    }
  }
}

function fromPalette(samples: Samples, { width, height, bits, palette, ...layout }: Layout): Raster {
  const entries = 2 ** Math.min(bits, 8);
  // Some writers fill it with 8 bits.
  const shift = palette.some((value) => value > 255) ? 8 : 0;
  const alpha = layout.extra[0] === 2;
  const channels = alpha ? 4 : 3;
  const data = new Uint8Array(width * height * channels);
  for (let i = 0, from = 0, to = 0; i < width * height; i++, from += layout.samples) {
    const index = samples[from] as number;
    for (let c = 0; c < 3; c++) data[to++] = (palette[c * entries + index] ?? 0) >> shift;
    if (alpha) data[to++] = samples[from + 1] as number;
  }
  return { data, width, height, channels };
}
