import { ImageError } from '../errors.js';
import { runLengths } from './bmp-rle.js';
import type { Encoded, Raster } from './raster.js';

/** Bytes of the headers that are known: OS/2's two, and Windows's from 3 to 5. */
export const BMP_HEADERS: ReadonlySet<number> = new Set([12, 40, 52, 56, 64, 108, 124]);

const OTHER_COMPRESSIONS: Readonly<Record<number, string>> = {
  4: 'a JPEG (or OS/2 24-bit run lengths) within it',
  5: 'a PNG within it',
};

interface Layout {
  readonly width: number;
  readonly height: number;
  /** Whether the first row stored is the top one; mostly it is the bottom one. */
  readonly topDown: boolean;
  readonly bits: number;
  readonly compression: number;
  /** Where the pixels begin. */
  readonly offset: number;
  /** RGB of each index, 256 of them; null where pixels hold their colours. */
  readonly palette: Uint8Array | null;
  /** Of red, green, blue and alpha, where pixels hold their colours. */
  readonly masks: readonly [number, number, number, number];
}

/**
 * Reads the header of a bitmap of Windows or OS/2, laid out as Pillow's BmpImagePlugin reads it.
 * @throws ImageError when it is absurd, or says what is not supported
 */
export function readBmp(bytes: Uint8Array): Encoded {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const layout = readLayout(buffer);
  const { width, height, bits, compression, offset, masks } = layout;
  const isPacked = compression === 1 || compression === 2;
  const stride = strideOf(layout);
  const channels = layout.palette === null && masks[3] !== 0 ? 4 : 3;
  const decode = (): Raster => {
    if (!isPacked && offset + stride * (height - 1) + Math.ceil((width * bits) / 8) > buffer.length) {
      throw new ImageError('decode', 'is a BMP that is cut off (pixels are missing at its end): fetch the file again');
    }
    if (layout.palette === null) return colours(buffer, layout, channels);
    const indices = isPacked ? runLengths(buffer, layout) : unpacked(buffer, layout);
    return indexed(indices, layout, layout.palette);
  };
  return { width, height, bytes: width * height * channels, orientation: 1, decode };
}

const strideOf = ({ width, bits }: Layout): number => Math.ceil((width * bits) / 32) * 4;

function readLayout(buffer: Buffer): Layout {
  const size = buffer.length < 18 ? 0 : buffer.readUInt32LE(14);
  if (buffer.length < 14 + size || buffer.length < 26) {
    throw new ImageError('decode', 'is a BMP that is cut off within its header: fetch the file again');
  }
  if (!BMP_HEADERS.has(size)) {
    throw new ImageError('decode', `is a BMP with an unknown header of ${size} bytes: convert it to PNG`);
  }
  const old = size === 12;
  const width = old ? buffer.readUInt16LE(18) : buffer.readInt32LE(18);
  const rows = old ? buffer.readUInt16LE(20) : buffer.readInt32LE(22);
  const bits = buffer.readUInt16LE(old ? 24 : 28);
  const compression = old ? 0 : buffer.readUInt32LE(30);
  if (width < 1 || rows === 0) throw new ImageError('decode', `is a BMP of the size ${width}x${rows}: fetch it again`);
  if (![1, 2, 4, 8, 16, 24, 32].includes(bits)) {
    throw new ImageError('decode', `is a BMP with ${bits} bits a pixel: convert it to PNG`);
  }
  const fits = [bits <= 8 || bits === 16 || bits >= 24, bits === 8, bits === 4, bits >= 16];
  if (!(fits[compression] ?? (compression === 6 && bits >= 16))) {
    const found = OTHER_COMPRESSIONS[compression] ?? `compression ${compression} of ${bits} bits a pixel`;
    throw new ImageError('decode', `is a BMP with ${found}, which is not supported: convert it to PNG`);
  }
  const masked = compression === 3 || compression === 6;
  // In the header from its version 2 on, behind it before.
  const beside = size === 40 ? (compression === 6 ? 16 : 12) : 0;
  if (buffer.length < 54 + beside && masked) throw new ImageError('decode', 'is a BMP that is cut off: fetch it again');
  const mask = (at: number): number => buffer.readUInt32LE(54 + 4 * at);
  const hasAlpha = size >= 56 || compression === 6;
  const masks = masked
    ? ([mask(0), mask(1), mask(2), hasAlpha ? mask(3) : 0] as const)
    : bits === 16
      ? ([0x7c00, 0x3e0, 0x1f, 0] as const)
      : ([0xff0000, 0xff00, 0xff, 0] as const);
  const paletteAt = 14 + size + (masked ? beside : 0);
  const entry = old ? 3 : 4;
  const colours = bits > 8 ? 0 : (old ? 0 : buffer.readUInt32LE(46)) || 2 ** bits;
  const stated = buffer.readUInt32LE(10);
  // Some writers forget the palette in the offset.
  const offset = bits <= 8 && stated === 14 + size ? stated + entry * colours : stated || paletteAt + entry * colours;
  return {
    width,
    height: Math.abs(rows),
    topDown: rows < 0,
    bits,
    compression,
    offset,
    palette: bits > 8 ? null : readPalette(buffer, paletteAt, entry, colours),
    // No mask at all means the usual ones with alpha.
    masks: masks.every((value) => value === 0) ? [0xff0000, 0xff00, 0xff, 0xff000000] : masks,
  };
}

/** RGB of 256 indices; those that the file lacks are black, as in Pillow. */
function readPalette(buffer: Buffer, at: number, entry: number, colours: number): Uint8Array {
  const palette = new Uint8Array(768);
  for (let i = 0; i < 256; i++) {
    const from = at + i * entry;
    const isThere = i < colours && from + 3 <= buffer.length;
    if (isThere) for (let c = 0; c < 3; c++) palette[3 * i + c] = buffer[from + 2 - c] as number;
  }
  return palette;
}

/** One index a pixel, the first stored row first. */
function unpacked(buffer: Buffer, layout: Layout): Uint8Array {
  const { width, height, bits, offset } = layout;
  const stride = strideOf(layout);
  const indices = new Uint8Array(width * height);
  const mask = 2 ** bits - 1;
  let to = 0;
  for (let y = 0; y < height; y++) {
    const row = offset + y * stride;
    for (let x = 0; x < width; x++) {
      const bit = x * bits;
      indices[to++] = ((buffer[row + (bit >> 3)] as number) >> (8 - bits - (bit & 7))) & mask;
    }
  }
  return indices;
}

function indexed(indices: Uint8Array, { width, height, topDown }: Layout, palette: Uint8Array): Raster {
  const data = new Uint8Array(width * height * 3);
  let to = 0;
  for (let y = 0; y < height; y++) {
    let from = (topDown ? y : height - 1 - y) * width;
    for (let x = 0; x < width; x++) {
      const colour = 3 * (indices[from++] as number);
      data[to++] = palette[colour] as number;
      data[to++] = palette[colour + 1] as number;
      data[to++] = palette[colour + 2] as number;
    }
  }
  return { data, width, height, channels: 3 };
}

/** Turns a sample under a mask into 0 to 255. */
function scaler(mask: number): (pixel: number) => number {
  if (mask === 0) return () => 0;
  let low = 0;
  while (((mask >>> low) & 1) === 0) low++;
  const most = mask >>> low;
  return (pixel) => Math.trunc((((pixel & mask) >>> low) * 255) / most);
}

function colours(buffer: Buffer, layout: Layout, channels: 3 | 4): Raster {
  const { width, height, topDown, bits, offset, masks } = layout;
  const stride = strideOf(layout);
  const size = bits / 8;
  const data = new Uint8Array(width * height * channels);
  const scalers = masks.slice(0, channels).map(scaler);
  let seen = 0;
  let to = 0;
  for (let y = 0; y < height; y++) {
    let from = offset + (topDown ? y : height - 1 - y) * stride;
    for (let x = 0; x < width; x++, from += size) {
      const pixel = buffer.readUIntLE(from, size);
      for (const scale of scalers) data[to++] = scale(pixel);
      if (channels === 4) seen |= data[to - 1] as number;
    }
  }
  // Writers that know of no alpha leave it 0 everywhere.
  if (channels === 4 && seen === 0) for (let i = 3; i < data.length; i += 4) data[i] = 255;
  return { data, width, height, channels };
}
