import { ImageError } from '../errors.js';
import { Budget } from './budget.js';
import { damaged, readJpeg, withoutOddities } from './jpeg.js';
import { bilinear, luma, nearest } from './keras-resize.js';
import { BACKGROUND, type ImageMode } from './modes.js';
import { pngDamage } from './png-damage.js';
import { blend, isSideways, type Raster, toRgb, upright } from './raster.js';
import { resampleAside } from './resample-aside.js';
import type { ImageFormat } from './sniff.js';
import { openSource, type Source } from './source.js';
import { complaints, MAX_PIXELS } from './vips.js';

/** Bytes of the pixels, as stored, of the largest image that is decoded. */
const MAX_DECODED = 2 ** 30;
/** Bytes of pixels that are decoded side by side: a folder full of huge images must not take more memory than one of them. */
const SIDE_BY_SIDE = 256 * 2 ** 20;
const decoding = new Budget(SIDE_BY_SIDE);
/** Asked of the budget, this is all there is: the work runs alone. */
const ALONE = Number.POSITIVE_INFINITY;

/** Pixels of the largest picture that is shrunk here, exactly; above, libvips need not decode all of a JPEG. */
const RESAMPLED_HERE = 2 ** 21;

export interface DecodeOptions {
  readonly mode: ImageMode;
  readonly height: number;
  readonly width: number;
  /** 1 gives grey. */
  readonly channels: 1 | 3;
  /** Default white. */
  readonly background?: readonly [number, number, number];
}

/** Without alpha. */
const toChannels = (raster: Raster, channels: 1 | 3): Uint8Array => {
  if (channels === 3) return toRgb(raster).data;
  return raster.channels === 1 ? raster.data : luma(toRgb(raster).data);
};

type PhotoSize = Pick<DecodeOptions, 'height' | 'width' | 'background'>;

async function photo(source: Source, options: PhotoSize): Promise<Raster> {
  const { height, width, background = BACKGROUND } = options;
  const { orientation } = source;
  const across = isSideways(orientation) ? { width: height, height: width } : { width, height };
  const isEnlarged = across.width > source.width || across.height > source.height;
  if (isEnlarged || source.width * source.height <= RESAMPLED_HERE) {
    const whole = upright(blend(await source.load(), background), orientation);
    return resampleAside(whole, width, height, 'bicubic');
  }
  // Turned when it is small.
  return upright(await source.shrink({ ...across, background }), orientation);
}

/** A picture in its own aspect ratio, at most `side` pixels high and wide, never enlarged. */
function inside(source: Source, side: number): Promise<Raster> {
  const isTurned = isSideways(source.orientation);
  const [width, height] = isTurned ? [source.height, source.width] : [source.width, source.height];
  const scale = Math.min(1, side / Math.max(width, height));
  const scaled = (size: number): number => Math.max(1, Math.round(size * scale));
  return photo(source, { width: scaled(width), height: scaled(height) });
}

async function keras(source: Source, options: DecodeOptions): Promise<Uint8Array | Float32Array> {
  const { mode, height, width, channels } = options;
  const whole = upright(toRgb(await source.load()), source.orientation);
  const pixels = channels === 1 ? { ...whole, data: luma(whole.data) } : whole;
  return (mode === 'keras' ? nearest : bilinear)(pixels, channels, height, width);
}

function checkSize({ width, height, bytes }: Source): void {
  if (width * height > MAX_PIXELS) throw tooLarge();
  if (bytes <= MAX_DECODED) return;
  throw new ImageError(
    'decode',
    `takes ${Math.ceil(bytes / 2 ** 20)} MiB once decoded, and at most 1024 are: make it smaller`,
  );
}

const tooLarge = (cause?: unknown): ImageError =>
  new ImageError('decode', `has more than ${MAX_PIXELS / 1e6} million pixels: make it smaller`, { cause });

/** What a file is put aside with that its decoder refuses. */
function refusal(bytes: Uint8Array, format: ImageFormat, error: unknown): ImageError {
  if (error instanceof ImageError) return error;
  const [line = ''] = String((error as Error).message).split('\n');
  if (/pixel limit/i.test(line)) return tooLarge(error);
  const said =
    format === 'png'
      ? pngDamage(bytes)
      : line.replace(/^Input buffer has corrupt header:?|Unknown error|^\w+2?vips\w*: /gi, '').trim();
  const name = format === 'webp' ? 'WebP' : format.toUpperCase();
  const reason = said === '' ? 'its decoder does not say why' : said.replace(/[:.\s]+$/, '');
  return new ImageError(
    'decode',
    `is a ${name} that cannot be decoded whole (${reason}): fetch it again, or save it anew from a program that opens it`,
    { cause: error },
  );
}

/** Opens an image and works on it within bounds of memory, whatever its decoder complains of. @throws ImageError as `decodeImage` */
async function decoded<T>(
  bytes: Uint8Array,
  format: ImageFormat,
  exact: boolean,
  decode: (source: Source) => Promise<T>,
): Promise<T> {
  const open = async (file: Uint8Array, strict: boolean): Promise<Source> => {
    const source = await openSource(file, format, { exact, strict });
    checkSize(source);
    return source;
  };
  const before = complaints().total;
  try {
    const source = await open(bytes, true);
    const found = await decoding.spend(source.bytes, () => decode(source));
    if (format !== 'jpeg' || complaints().total === before) return found;
  } catch (error) {
    if (error instanceof ImageError) throw error;
  }
  // What libvips says is said of all that it does at the time: only alone is it told which file it means.
  return decoding.spend(ALONE, async () => {
    try {
      const again = async (file: Uint8Array) => decode(await open(file, false));
      return format === 'jpeg' ? await withoutLoss(bytes, again) : await again(bytes);
    } catch (error) {
      throw refusal(bytes, format, error);
    }
  });
}

/**
 * Decodes an image to `[height, width, channels]`, flat, 0 to 255: whole numbers, but for `keras-bilinear`.
 * @throws ImageError when pixels are missing, there are more than 100 million, or the file is damaged
 */
export function decodeImage(
  bytes: Uint8Array,
  format: ImageFormat,
  options: DecodeOptions,
): Promise<Uint8Array | Float32Array> {
  const { mode, channels } = options;
  if (mode !== 'photo') return decoded(bytes, format, true, (source) => keras(source, options));
  return decoded(bytes, format, false, async (source) => toChannels(await photo(source, options), channels));
}

/** @returns a picture in its own aspect ratio, at most `side` pixels high and wide @throws ImageError as `decodeImage` */
export const fitInside = (bytes: Uint8Array, format: ImageFormat, side: number): Promise<Raster> =>
  decoded(bytes, format, false, (source) => inside(source, side));

/** @returns what `decodeImage` and `fitInside` give, decoded once where both take the same pixels @throws ImageError as they do */
export async function decodeBoth(
  bytes: Uint8Array,
  format: ImageFormat,
  options: DecodeOptions,
  side: number,
): Promise<{ readonly pixels: Uint8Array | Float32Array; readonly small: Raster }> {
  if (options.mode !== 'photo') {
    return { pixels: await decodeImage(bytes, format, options), small: await fitInside(bytes, format, side) };
  }
  return decoded(bytes, format, false, async (source) => {
    let whole: Promise<Raster> | undefined;
    const once: Source = {
      ...source,
      load: () => {
        whole ??= source.load();
        return whole;
      },
    };
    const pixels = toChannels(await photo(once, options), options.channels);
    return { pixels, small: await inside(once, side) };
  });
}

/** Decodes a JPEG of which its decoder complained, without what is harmless. What it still complains of has lost pixels. */
async function withoutLoss<T>(bytes: Uint8Array, decode: (file: Uint8Array) => Promise<T>): Promise<T> {
  const before = complaints().total;
  let pixels: T;
  try {
    pixels = await decode(withoutOddities(bytes, readJpeg(bytes)));
  } catch (error) {
    if (error instanceof ImageError) throw error;
    throw damaged(
      String((error as Error).message)
        .trim()
        .split('\n')
        .at(-1) ?? '',
    );
  }
  const { total, ofLast, firstOfLast } = complaints();
  // Bytes between the pixels and a marker are read by none.
  if (total !== before && !(ofLast === 1 && /extraneous bytes before marker/.test(firstOfLast)))
    throw damaged(firstOfLast);
  return pixels;
}
