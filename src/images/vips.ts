import sharp, { type OutputInfo, type Sharp, type SharpOptions } from 'sharp';
import { xmpOrientation } from './exif.js';
import type { Raster } from './raster.js';

/** Pixels of the largest image that is decoded. */
export const MAX_PIXELS = 100_000_000;

// Images are decoded side by side, so one alone needs no threads of its own; a cache of operations would only grow.
sharp.concurrency(1);
sharp.cache(false);

/** What libvips says when it lets go of a JPEG whose decoder was not content: how often it complained, and of what first. */
const OF_JPEG = /^(?:read gave (\d+) warnings|VipsJpeg: )/;

interface Complaints {
  /** Since the process began. */
  total: number;
  /** Of the last JPEG. */
  ofLast: number;
  /** What the last JPEG's first was, in libjpeg's words. */
  firstOfLast: string;
}

const heard: Complaints = { total: 0, ofLast: 0, firstOfLast: '' };

/** Complaints of the decoder of JPEGs. They do not say of which file: only while one is decoded alone it is that one. */
export const complaints = (): Readonly<Complaints> => ({ ...heard });

function listen(message: string): void {
  const found = OF_JPEG.exec(message);
  if (!found) return;
  if (found[1] === undefined) {
    heard.firstOfLast = (message.trim().split('\n').at(-1) ?? '').replace(/^VipsJpeg: (Corrupt JPEG data: )?/, '');
  } else {
    heard.total += Number(found[1]);
    heard.ofLast = Number(found[1]);
  }
}

function open(bytes: Uint8Array, options: SharpOptions): Sharp {
  const image = sharp(bytes, { failOn: 'error', limitInputPixels: MAX_PIXELS, sequentialRead: true, ...options });
  image.on('warning', listen);
  return image;
}

export interface Header {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** Bytes of a sample. */
  readonly sampleBytes: number;
  readonly orientation: number;
  readonly profile: Buffer | undefined;
  readonly isCmyk: boolean;
}

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

/** What libvips reads of a file's header. */
export async function header(bytes: Uint8Array): Promise<Header> {
  const { width, height, channels, depth, orientation, icc, xmp, space } = await open(bytes, {}).metadata();
  return {
    width,
    height,
    channels,
    sampleBytes: SAMPLE_BYTES[depth] ?? 1,
    orientation: orientation ?? xmpOrientation(xmp) ?? 1,
    profile: icc,
    isCmyk: space === 'cmyk',
  };
}

export interface LoadOptions {
  /** Whether its profile is applied; where it is not, colours are as stored. */
  readonly useProfile: boolean;
  /** Whether a decoder's warning is an error, as soon as it comes. */
  readonly strict?: boolean;
}

const inputOf = ({ useProfile, strict = false }: LoadOptions): SharpOptions => ({
  ignoreIcc: !useProfile,
  ...(strict ? { failOn: 'warning' } : {}),
});

/** All pixels in 8 bits: grey or RGB, each with alpha where there is some; not turned. CMYK becomes RGB by its profile or a common one. */
export async function load(bytes: Uint8Array, options: LoadOptions): Promise<Raster> {
  return rasterOf(open(bytes, inputOf(options)).toColourspace('srgb').raw({ depth: 'uchar' }));
}

/** All pixels of CMYK as stored, with 4 channels. */
export function loadCmyk(bytes: Uint8Array, options: LoadOptions): Promise<Raster> {
  return rasterOf(open(bytes, inputOf(options)).pipelineColourspace('cmyk').toColourspace('cmyk').raw());
}

/** The high bytes of samples of 16 bits: colours as stored. */
export async function loadHighBytes(bytes: Uint8Array): Promise<Raster> {
  const image = open(bytes, { ignoreIcc: true }).toColourspace('rgb16').raw({ depth: 'ushort' });
  const { data, info } = await image.toBuffer({ resolveWithObject: true });
  const samples = new Uint16Array(data.buffer, data.byteOffset, data.length / 2);
  return { ...sizeOf(info), data: Uint8Array.from(samples, (value) => value >> 8) };
}

async function rasterOf(image: Sharp): Promise<Raster> {
  const { data, info } = await image.toBuffer({ resolveWithObject: true });
  return { data, ...sizeOf(info) };
}

const sizeOf = (info: OutputInfo) => ({
  width: info.width,
  height: info.height,
  channels: info.channels as Raster['channels'],
});

export interface ShrinkOptions extends LoadOptions {
  readonly width: number;
  readonly height: number;
  readonly background: readonly [number, number, number];
}

/** Kernel of shrinking: Pillow's bicubic. */
const KERNEL = 'cubic';

/**
 * The pixels of `load` on a background, shrunk with antialiasing. A JPEG that is shrunk to a fourth or less is decoded at a half, a
 * fourth or an eighth of its size, so that half of the shrinking is left.
 */
export function shrink(source: Uint8Array | Raster, options: ShrinkOptions): Promise<Raster> {
  const { width, height, background } = options;
  const [r, g, b] = background;
  const image = source instanceof Uint8Array ? open(source, inputOf(options)) : fromRaster(source);
  return rasterOf(
    image
      .flatten({ background: { r, g, b } })
      // Otherwise a JPEG's decoder does all the shrinking that it can, and pixels are off by several of 255.
      .resize(width, height, { fit: 'fill', kernel: KERNEL, fastShrinkOnLoad: false })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' }),
  );
}

const fromRaster = ({ data, width, height, channels }: Raster): Sharp =>
  sharp(data, { raw: { width, height, channels }, limitInputPixels: MAX_PIXELS });
