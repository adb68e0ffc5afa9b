import { ImageError } from '../errors.js';
import { asStill, expandGrey, readAvif, undone } from './avif.js';
import { readBmp } from './bmp.js';
import { readGif } from './gif.js';
import { isSrgb } from './icc.js';
import { damaged, readJpeg } from './jpeg.js';
import { readPng } from './png.js';
import { readPnm } from './pnm.js';
import { type Encoded, isSideways, type Raster, upright } from './raster.js';
import type { ImageFormat } from './sniff.js';
import { plainTiff } from './tiff/plain.js';
import { readTiff } from './tiff/read.js';
import { header, load, loadCmyk, loadHighBytes, type ShrinkOptions, shrink } from './vips.js';

/** A picture whose header has been read. */
export interface Source {
  /** As stored, before it is turned upright. */
  readonly width: number;
  readonly height: number;
  /** Bytes that its pixels take once decoded. */
  readonly bytes: number;
  /** Of EXIF, 1 to 8: how its pixels are turned to stand upright. */
  readonly orientation: number;
  /**
   * All its pixels, as stored: not turned. In `photo` as sRGB, in the exact modes as Pillow's `convert('RGB')` has them.
   * @throws ImageError, or an error of sharp, where they are not all there
   */
  readonly load: () => Promise<Raster>;
  /** For `photo`: its pixels, shrunk and without alpha. */
  readonly shrink: (options: Size) => Promise<Raster>;
}

export type Size = Pick<ShrinkOptions, 'width' | 'height' | 'background'>;

/** A profile that changes something; plain sRGB is not applied. */
const needed = (profile: Buffer | undefined): boolean => profile !== undefined && !isSrgb(profile);

export interface OpenOptions {
  /** For the modes whose pixels are Keras's. */
  readonly exact: boolean;
  /** Whether the decoder of JPEGs stops where it complains. */
  readonly strict: boolean;
}

/**
 * Reads the header of an image.
 * @throws ImageError, or an error of sharp, where there is none, or it is of a kind that is not decoded
 */
export async function openSource(bytes: Uint8Array, format: ImageFormat, options: OpenOptions): Promise<Source> {
  const { exact } = options;
  switch (format) {
    case 'bmp':
      return own(readBmp(bytes));
    case 'gif':
      return own(readGif(bytes, exact));
    case 'pnm':
      return own(readPnm(bytes, exact));
    case 'tiff':
      return tiff(bytes, exact);
    case 'jpeg':
      return jpeg(bytes, options);
    case 'png':
      return png(bytes, exact);
    case 'avif':
      return avif(bytes, exact);
    case 'webp': {
      const found = await header(bytes);
      return foreign(bytes, { ...found, orientation: exact ? 1 : found.orientation, exact });
    }
  }
}

function own(encoded: Encoded): Source {
  return {
    ...encoded,
    load: async () => encoded.decode(),
    shrink: (size) => shrink(encoded.decode(), { ...size, useProfile: false }),
  };
}

interface Foreign {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly sampleBytes?: number;
  readonly orientation: number;
  readonly profile: Buffer | undefined;
  readonly isCmyk?: boolean;
  readonly exact: boolean;
  readonly strict?: boolean;
}

/** A file that libvips decodes. */
function foreign(bytes: Uint8Array, found: Foreign): Source {
  const { width, height, channels, sampleBytes = 1, orientation, exact, isCmyk = false, strict = false } = found;
  const options = { useProfile: !exact && needed(found.profile), strict };
  return {
    width,
    height,
    bytes: width * height * channels * sampleBytes,
    orientation,
    load: async () => (exact && isCmyk ? fromCmyk(await loadCmyk(bytes, options)) : load(bytes, options)),
    shrink: (size) => shrink(bytes, { ...size, ...options }),
  };
}

function jpeg(bytes: Uint8Array, { exact, strict }: OpenOptions): Source {
  const { width, height, components, orientation, profile, isEnded } = readJpeg(bytes);
  // Pillow wants to see it, whether or not all pixels are there.
  if (exact && !isEnded) throw damaged('its end is missing');
  const found = { width, height, channels: components, orientation: exact ? 1 : orientation, profile };
  return foreign(bytes, { ...found, isCmyk: components === 4, exact, strict });
}

function png(bytes: Uint8Array, exact: boolean): Source {
  const found = readPng(bytes);
  if (found === null) throw new ImageError('decode', 'is a PNG that is cut off within its header: fetch it again');
  const { bits, isGrey, hasAlpha } = found;
  const source = foreign(bytes, {
    ...found,
    sampleBytes: bits > 8 ? 2 : 1,
    orientation: exact ? 1 : found.orientation,
    exact,
  });
  if (!exact || bits < 16) return source;
  if (isGrey && !hasAlpha) {
    throw new ImageError(
      'decode',
      'is a PNG of 16-bit grey, whose values Keras cuts off at 255: use --image photo, or convert it to 8 bits',
    );
  }
  return { ...source, load: () => loadHighBytes(bytes) };
}

async function avif(given: Uint8Array, exact: boolean): Promise<Source> {
  const bytes = asStill(given);
  const { orientation, isCropped, isLimitedGrey } = readAvif(bytes);
  const found = await header(bytes);
  if (exact && found.sampleBytes > 1) {
    throw new ImageError(
      'decode',
      'is an AVIF of more than 8 bits a sample: use --image photo, or convert it to 8 bits',
    );
  }
  if (exact && isCropped) {
    throw new ImageError('decode', 'is an AVIF that is cropped when shown: use --image photo, or convert it to PNG');
  }
  const source = foreign(bytes, { ...found, orientation: 1, exact });
  const [width, height] =
    exact && isSideways(orientation) ? [source.height, source.width] : [source.width, source.height];
  const expanded = (raster: Raster): Raster => {
    if (isLimitedGrey) expandGrey(raster.data);
    return raster;
  };
  return {
    ...source,
    width,
    height,
    load: async () => {
      const raster = expanded(await source.load());
      return exact ? upright(raster, undone(orientation)) : raster;
    },
    shrink: async (size) => expanded(await source.shrink(size)),
  };
}

function tiff(bytes: Uint8Array, exact: boolean): Source {
  const found = readTiff(bytes, exact);
  const { space, profile, isForeign, decode, width, height } = found;
  if (isForeign) {
    const isCmyk = space === 'cmyk';
    return foreign(bytes, { ...found, channels: found.bytes / (width * height), isCmyk, exact });
  }
  if (space === 'plain' && (exact || !needed(profile))) return own(found);
  if (exact) return { ...own(found), load: async () => fromCmyk(decode()) };
  const useProfile = profile !== undefined;
  const plain = (): Buffer => plainTiff(decode(), space, profile);
  return {
    ...found,
    load: () => load(plain(), { useProfile }),
    shrink: (size) => shrink(plain(), { ...size, useProfile }),
  };
}

/** Pillow's conversion, Convert.c: each colour is what is left of white less black. */
function fromCmyk({ data, width, height }: Raster): Raster {
  const result = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    const light = 255 - (data[4 * i + 3] as number);
    for (let c = 0; c < 3; c++) {
      const product = (data[4 * i + c] as number) * light + 128;
      result[3 * i + c] = Math.max(0, light - (((product >> 8) + product) >> 8));
    }
  }
  return { data: result, width, height, channels: 3 };
}
