import { ImageError } from '../../errors.js';
import type { Encoded, Raster } from '../raster.js';
import { fromLab } from './lab.js';
import { type Layout, readLayout } from './layout.js';
import { toRaster } from './pixels.js';
import { readSamples, sampleBytes } from './samples.js';
import { cutOff } from './tags.js';
import { UNPACKED } from './unpack.js';
import { readYcbcr } from './ycbcr.js';

/** What a TIFF's pixels are once decoded: grey or RGB, or the four inks. */
export type Space = 'plain' | 'cmyk';

export interface Tiff extends Encoded {
  readonly space: Space;
  readonly profile: Buffer | undefined;
  /** Whether its compression is left to libvips, as the pixels are of a kind that it reads as Pillow does. */
  readonly isForeign: boolean;
}

const NAMES: Readonly<Record<number, string>> = {
  2: 'CCITT run lengths',
  3: 'CCITT group 3',
  4: 'CCITT group 4',
  6: 'old-style JPEG',
  7: 'JPEG',
  32809: 'ThunderScan',
  34661: 'JBIG',
  34676: 'SGI Log',
  34677: 'SGI Log 24',
  34712: 'JPEG 2000',
  34887: 'LERC',
  34925: 'LZMA',
  50000: 'Zstandard',
  50001: 'WebP',
  50002: 'JPEG XL',
};

/**
 * Reads the first picture of a TIFF.
 * @param exact whether kinds are refused for which Keras has no 8-bit pixels
 * @throws ImageError where tags or pixels are missing, or it holds what is not supported
 */
export function readTiff(bytes: Uint8Array, exact: boolean): Tiff {
  const layout = readLayout(bytes);
  const { width, height, samples: perPixel, bits, orientation, photometric, profile } = layout;
  if (exact) refuseInexact(layout);
  const isForeign = !UNPACKED.has(layout.compression);
  if (isForeign) refuseForeign(layout, bytes.length);
  else refuseOwn(layout);
  const decode = (): Raster => {
    if (photometric === 6 && perPixel === 3) return readYcbcr(bytes, layout);
    const stored = exact && layout.format === 2 ? { ...layout, format: 1 as const } : layout;
    const samples = readSamples(bytes, stored);
    return photometric === 8 ? fromLab(samples, stored) : toRaster(samples, stored);
  };
  return {
    width,
    height,
    bytes: width * height * (perPixel * sampleBytes(bits) + Math.min(perPixel, 4)),
    orientation,
    space: photometric === 5 ? 'cmyk' : 'plain',
    // Of Lab's colours there is no doubt.
    profile: photometric === 8 ? undefined : profile,
    isForeign,
    decode,
  };
}

const refused = (what: string, advice: string): ImageError =>
  new ImageError('decode', `is a TIFF with ${what}: ${advice}`);

function refuseInexact({ bits, format, photometric, samples }: Layout): void {
  if (format === 3 || bits > 16 || (bits > 8 && photometric < 2)) {
    const kind = format === 3 ? 'floating point' : `${bits}-bit`;
    throw refused(`${kind} samples, which Keras cuts off at 255`, 'use --image photo, or convert it to 8 bits');
  }
  if (photometric === 8) throw refused('CIELab colours', 'use --image photo, or convert it to RGB');
  if (bits > 8 && photometric !== 2 && photometric !== 5) {
    throw refused(`${samples} samples of ${bits} bits`, 'use --image photo, or convert it to 8 bits');
  }
}

/** Kinds that are neither read here nor by libvips as they should. */
function refuseOwn({ bits, format, photometric, samples, isPlanar, predictor, subsampling }: Layout): void {
  if (bits > 32 && format !== 3) throw refused(`whole numbers of ${bits} bits`, 'save it with at most 32');
  if (format === 3 && ![16, 32, 64].includes(bits)) throw refused(`floats of ${bits} bits`, 'save it with 32');
  if (bits > 16 && bits !== 32 && bits !== 64 && bits !== 24)
    throw refused(`samples of ${bits} bits`, 'save it with 16');
  if ((photometric === 3 && bits > 8) || ([5, 6, 8].includes(photometric) && ![8, 16].includes(bits))) {
    throw refused(`${bits} bits a sample, which is not supported for its colours`, 'save it with 8');
  }
  if (photometric === 6 && bits !== 8) throw refused(`${bits} bits a sample`, 'save it with 8');
  if (photometric === 6 && samples > 1 && (samples !== 3 || isPlanar))
    throw refused('YCbCr in planes', 'convert it to PNG');
  if (photometric === 6 && subsampling.some((n) => ![1, 2, 4].includes(n))) {
    throw refused(`colours shared by ${subsampling.join('x')} pixels`, 'convert it to PNG');
  }
  if (![1, 2, 3].includes(predictor) || (predictor === 3 && format !== 3)) {
    throw refused(`the predictor ${predictor}`, 'convert it to PNG');
  }
  if (predictor === 2 && bits < 8) throw refused(`a predictor for ${bits} bits`, 'convert it to PNG');
}

/** What libvips and libtiff decode as Pillow does: black and white as faxes have it, and JPEG. All else they cannot, or it would be a guess. */
function refuseForeign(layout: Layout, length: number): void {
  const { compression, bits, samples, block, offsets, counts, extra, isPlanar } = layout;
  const isFax = compression >= 2 && compression <= 4;
  if (!isFax && compression !== 7) {
    const name = NAMES[compression] ?? `the compression ${compression}`;
    throw refused(`${name}, which is not supported`, 'convert it to PNG, or save it with LZW');
  }
  const isOdd = isFax
    ? bits !== 1 || samples !== 1
    : bits !== 8 || samples > 4 || isPlanar || !['', '2'].includes(extra.join());
  if (isOdd) {
    throw refused(
      `${NAMES[compression]}${block.isTile ? ' in tiles' : ''} of ${samples} samples of ${bits} bits, which is not supported`,
      'convert it to PNG, or save it with LZW',
    );
  }
  for (const [i, offset] of offsets.entries()) {
    if (offset + (counts[i] ?? 0) > length) throw cutOff('pixels are missing at its end');
  }
}
