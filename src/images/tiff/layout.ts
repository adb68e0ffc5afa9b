import { ImageError } from '../../errors.js';
import { xmpOrientation } from '../exif.js';
import { cutOff, Tags } from './tags.js';

/** What the tags of a TIFF say of its pixels, checked against each other. */
export interface Layout {
  readonly width: number;
  readonly height: number;
  /** Bits of a sample, the same for all. */
  readonly bits: number;
  /** Samples of a pixel. */
  readonly samples: number;
  /** 1 whole numbers, 2 with a sign, 3 floating point. */
  readonly format: 1 | 2 | 3;
  readonly compression: number;
  /** 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr, 8 CIELab. */
  readonly photometric: number;
  /** Of the samples behind the colours: 1 and 2 are alpha (premultiplied, or not). */
  readonly extra: readonly number[];
  readonly isPlanar: boolean;
  /** Bits of each byte are stored in the other order. */
  readonly isReversed: boolean;
  readonly predictor: number;
  readonly orientation: number;
  readonly isLittle: boolean;
  /** Width and height of a strip or tile. */
  readonly block: { readonly width: number; readonly height: number; readonly isTile: boolean };
  readonly offsets: readonly number[];
  readonly counts: readonly number[];
  /** Pixels that share one pair of colours in YCbCr, across and down. */
  readonly subsampling: readonly [number, number];
  readonly palette: readonly number[];
  /** For YCbCr: of its luma. */
  readonly coefficients: readonly number[];
  /** For YCbCr: black and white of each component. */
  readonly reference: readonly number[];
  readonly profile: Buffer | undefined;
}

/** Photometric interpretations, by name where they are not read. */
const UNREAD: Readonly<Record<number, string>> = {
  4: 'a mask',
  9: 'ICC Lab',
  10: 'ITU Lab',
  32803: 'raw sensor data',
  32844: 'LogL',
  32845: 'LogLuv',
  34892: 'raw linear data',
};

/** Pixels of the largest tile, where it is larger than the picture. */
const MAX_BLOCK = 2 ** 22;

const refused = (what: string, advice = 'convert it to PNG'): ImageError =>
  new ImageError('decode', `is a TIFF with ${what}: ${advice}`);

/**
 * @throws ImageError where tags that shape pixels lie behind the end of the file, contradict each other, or say what is not read
 */
export function readLayout(bytes: Uint8Array): Layout {
  const tags = new Tags(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const width = tags.number(256, 0);
  const height = tags.number(257, 0);
  if (width < 1 || height < 1) throw refused(`a size of ${width}x${height}`, 'fetch it again');
  const compression = tags.number(259, 1);
  // Old-style JPEG is YCbCr whatever the tag says.
  const photometric = compression === 6 ? 6 : tags.number(262, 0);
  const colours = { 2: 3, 5: 4, 6: 3, 8: 3 }[photometric] ?? 1;
  if (![0, 1, 2, 3, 5, 6, 8].includes(photometric)) {
    throw refused(`${UNREAD[photometric] ?? `the photometric interpretation ${photometric}`}, which is not supported`);
  }
  const allBits = tags.numbers(258, [1]);
  const stored = tags.number(
    277,
    compression === 6 || allBits.length >= colours ? Math.max(allBits.length, colours) : 1,
  );
  const isPlanar = tags.number(284, 1) === 2 && stored > 1;
  const allExtra = tags.numbers(338);
  // In planes of their own, samples of no known meaning need not even be there.
  const isSpare = isPlanar && allExtra.length < stored && allExtra.every((kind) => kind === 0);
  const extra = isSpare ? [] : allExtra;
  const samples = isSpare ? stored - allExtra.length : stored;
  const bits = allBits[0] ?? 1;
  if (allBits.slice(0, samples).some((other) => other !== bits)) {
    throw refused(`samples of ${allBits.join(', ')} bits`, 'save it with the same bits for all');
  }
  if (samples < 1 || samples > 1024 || (samples < colours && !(photometric === 6 && samples === 1))) {
    throw refused(`${samples} samples a pixel where its colours take ${colours}`, 'fetch it again');
  }
  const format = tags.number(339, 1);
  if (format !== 1 && format !== 2 && format !== 3 && format !== 4) {
    throw refused(`samples of the format ${format}`, 'save it with whole or floating point numbers');
  }
  if (photometric === 5 && tags.number(332, 1) !== 1) throw refused('inks other than CMYK');
  const isTile = tags.has(324) || (tags.has(322) && !tags.has(273));
  const rows = tags.number(278, height);
  const block = isTile
    ? { width: tags.number(322, 0), height: tags.number(323, 0), isTile }
    : { width, height: Math.min(rows < 1 ? height : rows, height), isTile };
  if (block.width < 1 || block.height < 1) throw refused('tiles without a size', 'fetch it again');
  if (block.width * block.height > Math.max(MAX_BLOCK, 4 * width * height)) {
    throw refused(`tiles of ${block.width}x${block.height} in a picture of ${width}x${height}`, 'fetch it again');
  }
  const offsets = tags.numbers(isTile && tags.has(324) ? 324 : 273);
  const expected = Math.ceil(width / block.width) * Math.ceil(height / block.height) * (isPlanar ? samples : 1);
  if (offsets.length === 0 && compression !== 6) throw cutOff('it says nowhere where its pixels lie');
  if (offsets.length < expected && compression !== 6) {
    throw cutOff(`${offsets.length} of its ${expected} ${isTile ? 'tiles' : 'strips'} are there`);
  }
  const counts = tags.numbers(isTile && tags.has(325) ? 325 : 279);
  // Where the file does not say it, 2x2 is meant; but some writers share nothing and do not say so.
  const isWhole = counts.reduce((sum, count) => sum + count, 0) === width * height * 3;
  const [across = 2, down = 2] = tags.numbers(530, isWhole ? [1, 1] : [2, 2]);
  const palette = photometric === 3 ? tags.numbers(320) : [];
  if (photometric === 3 && palette.length < 3 * 2 ** Math.min(bits, 8)) throw cutOff('its palette is not all there');
  return {
    width,
    height,
    bits,
    samples,
    format: format === 4 ? 1 : format,
    compression,
    photometric,
    // A fourth sample of RGB that is not described is alpha, as in Pillow.
    extra:
      photometric === 2 && samples === 4 && extra.length === 0 ? [2] : extra.map((kind) => (kind === 999 ? 2 : kind)),
    isPlanar,
    isReversed: tags.number(266, 1) === 2,
    predictor: tags.number(317, 1),
    orientation: tags.has(274) ? tags.number(274, 1) : (xmpOrientation(tags.held(700)) ?? 1),
    isLittle: tags.isLittle,
    block,
    offsets,
    counts,
    subsampling: [across, down],
    palette,
    coefficients: photometric === 6 ? tags.numbers(529, [0.299, 0.587, 0.114]) : [],
    reference: photometric === 6 ? tags.numbers(532, [0, 255, 128, 255, 128, 255]) : [],
    profile: tags.bytes(34675),
  };
}
