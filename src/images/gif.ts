import { ImageError } from '../errors.js';
import { unpackCodes } from './gif-lzw.js';
import type { Encoded, Raster } from './raster.js';

interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly isInterlaced: boolean;
  readonly palette: Uint8Array | null;
  /** The index that is transparent; -1 where none is. */
  readonly transparent: number;
  /** Bits of the first codes, less one. */
  readonly bits: number;
  /** The codes, in one piece. */
  readonly codes: Uint8Array;
}

const cutOff = (what: string): ImageError =>
  new ImageError('decode', `is a GIF that is cut off (${what}): fetch the file again`);

/**
 * Reads the first frame of a GIF.
 * @param exact pixels as Pillow loads them: a transparent pixel has the palette's colour, and what a frame leaves free of the
 *   canvas the transparent colour's or else the first one's; otherwise both are clear
 * @throws ImageError where the file ends before that frame does
 */
export function readGif(bytes: Uint8Array, exact: boolean): Encoded {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < 13) throw cutOff('within its header');
  const frame = firstFrame(buffer);
  const width = Math.max(buffer.readUInt16LE(6), frame.left + frame.width);
  const height = Math.max(buffer.readUInt16LE(8), frame.top + frame.height);
  if (frame.width < 1 || frame.height < 1) {
    throw new ImageError('decode', `is a GIF whose first frame is ${frame.width}x${frame.height}: fetch it again`);
  }
  const decode = (): Raster => paint(frame, width, height, exact);
  return { width, height, bytes: width * height * 4, orientation: 1, decode };
}

function firstFrame(buffer: Buffer): Frame {
  const paletteOf = (flags: number, from: number): Uint8Array | null => {
    if ((flags & 128) === 0) return null;
    const palette = buffer.subarray(from, from + (6 << (flags & 7)));
    if (palette.length < 6 << (flags & 7)) throw cutOff('within its palette');
    return palette;
  };
  const flags = buffer[10] as number;
  const common = paletteOf(flags, 13);
  let at = 13 + (common?.length ?? 0);
  let transparent = -1;
  const blocks = (): Buffer[] => {
    const found: Buffer[] = [];
    for (;;) {
      const size = buffer[at++];
      if (size === undefined || size === 0) return found;
      found.push(buffer.subarray(at, at + size));
      at += size;
    }
  };
  while (at < buffer.length) {
    const kind = buffer[at++];
    if (kind === 0x3b) break;
    if (kind === 0x21) {
      const label = buffer[at++];
      const [first] = blocks();
      if (label === 0xf9 && first && first.length >= 4 && (first.readUInt8(0) & 1) === 1)
        transparent = first.readUInt8(3);
    } else if (kind === 0x2c) {
      if (at + 10 > buffer.length) throw cutOff('within its first frame');
      const [left, top, width, height] = [0, 2, 4, 6].map((i) => buffer.readUInt16LE(at + i)) as [
        number,
        number,
        number,
        number,
      ];
      const own = buffer[at + 8] as number;
      const palette = paletteOf(own, at + 9) ?? common;
      at += 9 + ((own & 128) === 0 ? 0 : 6 << (own & 7));
      const bits = buffer[at++];
      if (bits === undefined) throw cutOff('within its first frame');
      const codes = Buffer.concat(blocks());
      return { left, top, width, height, isInterlaced: (own & 64) !== 0, palette, transparent, bits, codes };
    }
  }
  throw new ImageError('decode', 'is a GIF without a frame: fetch the file again');
}

/** Rows in the order in which an interlaced frame stores them. */
function interlaced(height: number): number[] {
  const rows: number[] = [];
  for (const [first, step] of [
    [0, 8],
    [4, 8],
    [2, 4],
    [1, 2],
  ] as const) {
    for (let y = first; y < height; y += step) rows.push(y);
  }
  return rows;
}

function paint(frame: Frame, width: number, height: number, exact: boolean): Raster {
  const { left, top, palette, transparent, bits, codes } = frame;
  const indices = unpackCodes(codes, bits, frame.width * frame.height);
  if (indices === null) throw cutOff('its first frame is not all there');
  // Grey where there is no palette, black where its colour is missing.
  const colour = (index: number, c: number): number => (palette === null ? index : (palette[3 * index + c] ?? 0));
  const channels = exact ? 3 : 4;
  const data = new Uint8Array(width * height * channels);
  const whole = left === 0 && top === 0 && frame.width === width && frame.height === height;
  if (exact && !whole) {
    const free = Math.max(transparent, 0);
    for (let i = 0; i < data.length; i++) data[i] = colour(free, i % 3);
  }
  const rows = frame.isInterlaced ? interlaced(frame.height) : null;
  let from = 0;
  for (let y = 0; y < frame.height; y++) {
    let to = ((top + (rows?.[y] ?? y)) * width + left) * channels;
    for (let x = 0; x < frame.width; x++) {
      const index = indices[from++] as number;
      if (exact || index !== transparent) {
        for (let c = 0; c < 3; c++) data[to + c] = colour(index, c);
        if (!exact) data[to + 3] = 255;
      }
      to += channels;
    }
  }
  return { data, width, height, channels };
}
