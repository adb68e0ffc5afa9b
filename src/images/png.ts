import { inflateSync } from 'node:zlib';
import { exifOrientation, xmpOrientation } from './exif.js';

/** What the chunks of a PNG say. */
export interface Png {
  readonly width: number;
  readonly height: number;
  /** Bits of a sample. */
  readonly bits: number;
  /** Samples of a pixel once decoded: 1 to 4. */
  readonly channels: number;
  readonly isGrey: boolean;
  /** Whether each pixel has alpha of its own; one colour that is clear is none. */
  readonly hasAlpha: boolean;
  readonly orientation: number;
  readonly profile: Buffer | undefined;
}

/** Reads the chunks of a PNG, as far as there are any; null where its header is not whole. What is damaged, its decoder says. */
export function readPng(bytes: Uint8Array): Png | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < 33 || buffer.toString('latin1', 12, 16) !== 'IHDR') return null;
  const kind = buffer.readUInt8(25);
  let profile: Buffer | undefined;
  let orientation: number | undefined;
  let xmp: Buffer | undefined;
  let isClear = false;
  for (let at = 33; at + 8 <= buffer.length; ) {
    const size = buffer.readUInt32BE(at);
    const data = buffer.subarray(at + 8, at + 8 + size);
    const name = buffer.toString('latin1', at + 4, at + 8);
    if (name === 'tRNS') isClear = true;
    else if (name === 'eXIf') orientation = exifOrientation(data);
    else if (name === 'zTXt' || name === 'tEXt') orientation = textOrientation(data, name === 'zTXt') ?? orientation;
    else if (name === 'iTXt') xmp = xmpOf(data) ?? xmp;
    else if (name === 'iCCP') profile = inflated(data.subarray(data.indexOf(0) + 2));
    at += 12 + size;
  }
  const colours = kind === 0 || kind === 4 ? 1 : 3;
  return {
    width: buffer.readUInt32BE(16),
    height: buffer.readUInt32BE(20),
    bits: buffer.readUInt8(24),
    channels: colours + (kind >= 4 || isClear ? 1 : 0),
    isGrey: colours === 1,
    hasAlpha: kind >= 4,
    orientation: orientation ?? xmpOrientation(xmp) ?? 1,
    profile,
  };
}

const RAW_EXIF = /^Raw profile type (?:exif|APP1)\0/;

/** The orientation in EXIF that ImageMagick wrote as text, before PNG had a chunk for it; undefined where there is none. */
function textOrientation(data: Buffer, isPacked: boolean): number | undefined {
  if (!RAW_EXIF.test(data.toString('latin1', 0, 32))) return undefined;
  const from = data.indexOf(0) + 1;
  const text = isPacked ? inflated(data.subarray(from + 1)) : data.subarray(from);
  // Its kind and length stand in front of the digits.
  const digits = text?.toString('latin1').replace(/^\s*\S+\s+\d+/, '');
  const exif = Buffer.from(digits?.replace(/\s/g, '') ?? '', 'hex');
  return exifOrientation(exif.toString('latin1', 0, 6) === 'Exif\0\0' ? exif.subarray(6) : exif);
}

const XMP = 'XML:com.adobe.xmp\0';

/** The packet of XMP in a text of its own; undefined where it is another text. */
function xmpOf(data: Buffer): Buffer | undefined {
  if (data.toString('latin1', 0, XMP.length) !== XMP) return undefined;
  const isPacked = data[XMP.length] === 1;
  // Behind two bytes stand its language and its translated name.
  const name = data.indexOf(0, XMP.length + 2) + 1;
  const from = data.indexOf(0, name) + 1;
  if (name === 0 || from === 0) return undefined;
  return isPacked ? inflated(data.subarray(from)) : data.subarray(from);
}

/** Profiles are small; one that unpacks into more is none. */
function inflated(packed: Buffer): Buffer | undefined {
  try {
    return inflateSync(packed, { maxOutputLength: 16 * 2 ** 20 });
  } catch {
    return undefined;
  }
}
