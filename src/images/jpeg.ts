import { ImageError } from '../errors.js';
import { exifOrientation, xmpOrientation } from './exif.js';

/** What the markers of a JPEG say. */
export interface Jpeg {
  readonly width: number;
  readonly height: number;
  readonly components: number;
  /** Of EXIF, else of XMP; 1 to 8 turn the picture. */
  readonly orientation: number;
  readonly profile: Buffer | undefined;
  /** Whether the marker of its end is there. */
  readonly isEnded: boolean;
  /** Marks where something is odd that loses no pixel. */
  readonly oddities: readonly Oddity[];
}

/** Bytes to leave out, or to write in the place of others, so that a decoder finds nothing odd. */
interface Oddity {
  readonly from: number;
  readonly to: number;
  readonly replacement: readonly number[];
}

const FRAMES: Readonly<Record<number, string>> = {
  195: 'lossless',
  197: 'differential',
  198: 'differential',
  199: 'differential',
  203: 'lossless',
  205: 'differential',
  206: 'differential',
  207: 'lossless',
};
/** What stands in front of an XMP packet. */
const XMP = 'http://ns.adobe.com/xap/1.0/\0';
const SOS = 0xda;
const EOI = 0xd9;
/** Tables, scans, application data, comments: what may stand between and behind scans. */
const isKnown = (marker: number): boolean =>
  [0xc4, 0xcc, SOS, 0xdb, 0xdc, 0xdd, 0xfe].includes(marker) || (marker >= 0xe0 && marker <= 0xef);
const isAlone = (marker: number): boolean => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7);

/**
 * Walks the markers of a JPEG as libjpeg does, to its end. Where it goes on past a marker that stands in the middle of pixels,
 * those behind it are lost, so that is an error, as in Pillow.
 * @throws ImageError where the markers are not those of a JPEG that is decoded
 */
export function readJpeg(bytes: Uint8Array): Jpeg {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const oddities: Oddity[] = [];
  const profile: Buffer[] = [];
  let frame: { width: number; height: number; components: number; isSequential: boolean } | undefined;
  let exif: Buffer | undefined;
  let xmp: Buffer | undefined;
  let isEnded = false;
  let inScans = false;
  let at = 2;
  while (at < buffer.length) {
    const start = at;
    while (at < buffer.length && (buffer[at] !== 0xff || (buffer[at + 1] ?? 0) === 0)) at++;
    if (at > start) oddities.push({ from: start, to: at, replacement: [] });
    while (buffer[at + 1] === 0xff) at++;
    const marker = buffer[at + 1];
    if (marker === undefined) break;
    const here = at;
    at += 2;
    if (marker === EOI) {
      isEnded = true;
      break;
    }
    if (isAlone(marker)) continue;
    const isFrame = !inScans && marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (!isFrame && !isKnown(marker)) {
      throw damaged(`the marker ${marker.toString(16)} stands ${inScans ? 'among its pixels' : 'in its header'}`);
    }
    if (at + 2 > buffer.length) break;
    const size = buffer.readUInt16BE(at);
    if (size < 2) throw damaged(`a segment of ${size} bytes`);
    const segment = buffer.subarray(at + 2, at + size);
    if (isFrame) frame = readFrame(segment, marker);
    else if (marker === 0xe0 && isText(segment, 'JFIF\0') && (segment[5] ?? 1) !== 1) {
      oddities.push({ from: at + 7, to: at + 8, replacement: [1] });
    } else if (marker === 0xe1 && exif === undefined && isText(segment, 'Exif\0\0')) {
      exif = segment.subarray(6);
    } else if (marker === 0xe1 && isText(segment, XMP)) {
      xmp = segment.subarray(XMP.length);
    } else if (marker === 0xe2 && isText(segment, 'ICC_PROFILE\0')) {
      profile[segment[12] ?? 0] = segment.subarray(14);
    } else if (marker === 0xee && isText(segment, 'Adobe') && (segment[11] ?? 0) > 2) {
      oddities.push({ from: at + 13, to: at + 14, replacement: [frame?.components === 4 ? 2 : 1] });
    } else if (marker === SOS && frame?.isSequential) {
      // Sequential scans take all coefficients, whatever they say.
      const last = at + size;
      if (size >= 6 && !(buffer[last - 3] === 0 && buffer[last - 2] === 63 && buffer[last - 1] === 0)) {
        oddities.push({ from: last - 3, to: last, replacement: [0, 63, 0] });
      }
    }
    at += size;
    if (marker !== SOS) continue;
    inScans = true;
    at = endOfScan(buffer, at);
    if (at < here) break;
  }
  if (frame === undefined) throw damaged('it ends before it says its size');
  if (!inScans) throw damaged('it ends before its pixels');
  const { width, height, components } = frame;
  const parts = profile.filter(Boolean);
  return {
    width,
    height,
    components,
    orientation: (exif && exifOrientation(exif)) ?? xmpOrientation(xmp) ?? 1,
    profile: parts.length > 0 ? Buffer.concat(parts) : undefined,
    isEnded,
    oddities,
  };
}

/** What a JPEG is put aside with whose pixels are not all there. */
export const damaged = (what: string): ImageError =>
  new ImageError(
    'decode',
    `is a damaged JPEG, some of its pixels are lost (${what.replace(/^VipsJpeg: (Corrupt JPEG data: )?/, '')}): fetch the file again`,
  );

const isText = (segment: Buffer, text: string): boolean => segment.toString('latin1', 0, text.length) === text;

function readFrame(
  segment: Buffer,
  marker: number,
): { width: number; height: number; components: number; isSequential: boolean } {
  const kind = FRAMES[marker];
  if (kind) throw new ImageError('decode', `is a ${kind} JPEG, which is not supported: convert it to PNG`);
  if (segment.length < 6) throw damaged('its header is cut off');
  const bits = segment.readUInt8(0);
  if (bits !== 8) {
    throw new ImageError('decode', `is a JPEG of ${bits} bits a sample, which is not supported: convert it to PNG`);
  }
  const [height, width] = [segment.readUInt16BE(1), segment.readUInt16BE(3)];
  if (width === 0 || height === 0) throw damaged(`its size is ${width}x${height}`);
  return { width, height, components: segment.readUInt8(5), isSequential: marker <= 0xc1 || marker === 0xc9 };
}

/** Where the coded pixels from `from` on end: at the next marker that is no restart, or at the end of the file. */
function endOfScan(buffer: Buffer, from: number): number {
  for (let at = buffer.indexOf(0xff, from); at >= 0; at = buffer.indexOf(0xff, at)) {
    const next = buffer[at + 1];
    if (next === undefined) break;
    if (next === 0xff) at++;
    else if (next === 0 || (next >= 0xd0 && next <= 0xd7)) at += 2;
    else return at;
  }
  return buffer.length;
}

/** The same JPEG without its oddities, and with an end: what a decoder still complains of has lost pixels. */
export function withoutOddities(bytes: Uint8Array, { oddities, isEnded }: Jpeg): Buffer {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const { from, to, replacement } of oddities) {
    parts.push(bytes.subarray(at, from), Uint8Array.from(replacement));
    at = to;
  }
  parts.push(bytes.subarray(at));
  if (!isEnded) parts.push(Uint8Array.of(0xff, EOI));
  return Buffer.concat(parts);
}
