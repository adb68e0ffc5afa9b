import sharp, { type Sharp, type SharpOptions } from 'sharp';
import { ImageError } from '../errors.js';
import { bmpHeader, decodeBmp } from './bmp.js';
import { Budget } from './budget.js';
import { bilinear, luma, nearest } from './keras-resize.js';
import { BACKGROUND, type ImageMode } from './modes.js';
import type { ImageFormat } from './sniff.js';

/** Pixels of the largest image that is decoded. */
export const MAX_PIXELS = 100_000_000;

/** Bytes of the pixels, as stored, of the largest image that is decoded. */
const MAX_DECODED = 2 ** 30;
/** Bytes of pixels that are decoded side by side: a folder full of huge images must not take more memory than one of them. */
const SIDE_BY_SIDE = 256 * 2 ** 20;
const decoding = new Budget(SIDE_BY_SIDE);
const SAMPLE_BYTES: Readonly<Record<string, number>> = {
  ushort: 2,
  short: 2,
  uint: 4,
  int: 4,
  float: 4,
  complex: 8,
  double: 8,
  dpcomplex: 16,
};

export interface DecodeOptions {
  readonly mode: ImageMode;
  readonly height: number;
  readonly width: number;
  /** 1 gives grey. */
  readonly channels: 1 | 3;
  /** Default white. */
  readonly background?: readonly [number, number, number];
}

// Images are decoded side by side, so one alone needs no threads of its own; a cache of operations would only grow.
sharp.concurrency(1);
sharp.cache(false);

function open(bytes: Uint8Array, options: SharpOptions = {}): Sharp {
  // Missing pixels are an error, a decoder's warnings are not.
  return sharp(bytes, { failOn: 'error', limitInputPixels: MAX_PIXELS, sequentialRead: true, ...options });
}

export async function photo(bytes: Uint8Array, format: ImageFormat, options: DecodeOptions): Promise<Uint8Array> {
  const { height, width, channels, background = BACKGROUND } = options;
  const [r, g, b] = background;
  const source = format === 'bmp' ? fromRaw(decodeBmp(bytes, MAX_PIXELS)) : open(bytes).autoOrient();
  const resized = source.flatten({ background: { r, g, b } }).resize(width, height, { fit: 'fill' });
  const coloured = channels === 1 ? resized.toColourspace('b-w') : resized.toColourspace('srgb');
  const { data, info } = await coloured.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  return toChannels(data, info.channels, channels);
}

const fromRaw = ({ data, width, height }: Raw): Sharp => sharp(data, { raw: { width, height, channels: 3 } });

interface Raw {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/**
 * Bytes that an image's pixels take, by its header.
 * @throws ImageError, or an error of sharp, where there are too many, or no header
 */
async function decodedBytes(bytes: Uint8Array, format: ImageFormat): Promise<number> {
  if (format === 'bmp') {
    const { width, height } = bmpHeader(bytes, MAX_PIXELS);
    return width * height * 4;
  }
  const { width, height, channels, depth } = await open(bytes).metadata();
  const size = width * height * channels * (SAMPLE_BYTES[depth] ?? 1);
  if (size > MAX_DECODED) {
    throw new ImageError(
      'decode',
      `takes ${Math.ceil(size / 2 ** 20)} MiB once decoded, and at most 1024 are: make it smaller`,
    );
  }
  return size;
}

/** The same pixels with as many channels as asked: grey repeated, alpha dropped. */
function toChannels(data: Uint8Array, found: number, wanted: number): Uint8Array {
  if (found === wanted) return data;
  const pixels = data.length / found;
  const result = new Uint8Array(pixels * wanted);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < wanted; c++) result[i * wanted + c] = data[i * found + (found < 3 ? 0 : c)] ?? 0;
  }
  return result;
}

/** The whole image as PIL's `convert('RGB')` gives it: no orientation, no profile, alpha dropped. */
async function wholeRgb(bytes: Uint8Array, format: ImageFormat): Promise<Raw> {
  if (format === 'bmp') return decodeBmp(bytes, MAX_PIXELS);
  const image = open(bytes, { ignoreIcc: true });
  const { space, depth } = await image.metadata();
  if (depth !== 'uchar' && depth !== undefined) {
    throw new ImageError('decode', `has ${depth} samples: Keras's pixels are defined for 8 bits, so use --image photo`);
  }
  if (space === 'cmyk') {
    const { data, info } = await image
      .pipelineColourspace('cmyk')
      .toColourspace('cmyk')
      .raw()
      .toBuffer({ resolveWithObject: true });
    return { data: fromCmyk(data), width: info.width, height: info.height };
  }
  const { data, info } = await image.removeAlpha().toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  return { data: toChannels(data, info.channels, 3), width: info.width, height: info.height };
}

/** PIL's conversion, Convert.c: each colour is what is left of white less black. */
function fromCmyk(data: Uint8Array): Uint8Array {
  const result = new Uint8Array((data.length / 4) * 3);
  for (let i = 0; i < data.length / 4; i++) {
    const light = 255 - (data[4 * i + 3] ?? 0);
    for (let c = 0; c < 3; c++) {
      const product = (data[4 * i + c] ?? 0) * light + 128;
      result[3 * i + c] = Math.max(0, light - (((product >> 8) + product) >> 8));
    }
  }
  return result;
}

export async function keras(
  bytes: Uint8Array,
  format: ImageFormat,
  options: DecodeOptions,
): Promise<Uint8Array | Float32Array> {
  const { mode, height, width, channels } = options;
  const whole = await wholeRgb(bytes, format);
  const source = channels === 1 ? { ...whole, data: luma(whole.data) } : whole;
  return (mode === 'keras' ? nearest : bilinear)(source, channels, height, width);
}

/**
 * Decodes an image to `[height, width, channels]`, flat, 0 to 255: whole numbers, but for `keras-bilinear`.
 * @throws ImageError when pixels are missing, there are more than 100 million, or the file is damaged
 */
export async function decodeImage(
  bytes: Uint8Array,
  format: ImageFormat,
  options: DecodeOptions,
): Promise<Uint8Array | Float32Array> {
  try {
    const work = options.mode === 'photo' ? photo : keras;
    return await decoding.spend(await decodedBytes(bytes, format), () => work(bytes, format, options));
  } catch (error) {
    if (error instanceof ImageError) throw error;
    const [line = ''] = String((error as Error).message).split('\n');
    if (/pixel limit/i.test(line)) {
      throw new ImageError('decode', `has more than ${MAX_PIXELS / 1e6} million pixels: make it smaller`, {
        cause: error,
      });
    }
    throw new ImageError('decode', `cannot be decoded whole (${line.trim()})`, { cause: error });
  }
}
