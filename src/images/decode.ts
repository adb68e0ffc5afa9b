import { ImageError } from '../errors.js';
import { Budget } from './budget.js';
import { damaged, readJpeg, withoutOddities } from './jpeg.js';
import { bilinear, luma, nearest } from './keras-resize.js';
import { BACKGROUND, type ImageMode } from './modes.js';
import { pngDamage } from './png-damage.js';
import { blend, isSideways, type Raster, toRgb, upright } from './raster.js';
import { resample } from './resample.js';
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

const toChannels = (raster: Raster, channels: 1 | 3): Uint8Array => {
  if (channels === 3) return toRgb(raster).data;
  return raster.channels === 1 ? raster.data : luma(toRgb(raster).data);
};

async function photo(source: Source, options: DecodeOptions): Promise<Uint8Array> {
  const { height, width, background = BACKGROUND, channels } = options;
  const { orientation } = source;
  const across = isSideways(orientation) ? { width: height, height: width } : { width, height };
  const isEnlarged = across.width > source.width || across.height > source.height;
  if (isEnlarged || source.width * source.height <= RESAMPLED_HERE) {
    const whole = upright(blend(await source.load(), background), orientation);
    return toChannels(resample(whole, width, height, 'bicubic'), channels);
  }
  // Turned when it is small.
  return toChannels(upright(await source.shrink({ ...across, background }), orientation), channels);
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

/**
 * Decodes an image to `[height, width, channels]`, flat, 0 to 255: whole numbers, but for `keras-bilinear`.
 * @throws ImageError when pixels are missing, there are more than 100 million, or the file is damaged
 */
export async function decodeImage(
  bytes: Uint8Array,
  format: ImageFormat,
  options: DecodeOptions,
): Promise<Uint8Array | Float32Array> {
  const exact = options.mode !== 'photo';
  const decode = (source: Source) => (exact ? keras : photo)(source, options);
  const open = async (file: Uint8Array, strict: boolean): Promise<Source> => {
    const source = await openSource(file, format, { exact, strict });
    checkSize(source);
    return source;
  };
  const before = complaints().total;
  try {
    const source = await open(bytes, true);
    const pixels = await decoding.spend(source.bytes, () => decode(source));
    if (format !== 'jpeg' || complaints().total === before) return pixels;
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
