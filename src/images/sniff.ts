import path from 'node:path';
import { BMP_HEADERS } from './bmp.js';
import { PNM_START } from './pnm.js';

/** Kinds of image that are decoded. */
export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'tiff' | 'avif' | 'bmp' | 'pnm';

/** A kind that is known but not decoded, and what to do about it. */
export interface Unsupported {
  readonly unsupported: string;
  readonly hint: string;
}

/** Bytes of a file that `sniff` wants to see. */
export const HEAD_BYTES = 1024;

const SUFFIXES = new Set(
  (
    'jpg jpeg jpe jfif jif pjpeg pjp png apng webp gif tif tiff avif avifs bmp dib heic heif hif jp2 j2k jpx jpf jxl svg svgz ' +
    'ppm pgm pbm pnm pam pfm psd ico cur cr2 cr3 nef arw dng orf rw2 raf'
  ).split(' '),
);

/** Whether a name ends as those of images do. */
export const looksLikeImage = (name: string): boolean => SUFFIXES.has(path.extname(name).slice(1).toLowerCase());

const HEIF = new Set(['heic', 'heix', 'hevc', 'hevx', 'heim', 'heis', 'hevm', 'hevs', 'mif1', 'msf1']);
const convert = (to: string): string => `convert it to ${to}, for example with ImageMagick or libvips`;

/**
 * Tells the kind of a file by its first bytes (1,024 are enough), never by its name.
 * @returns null for what is not an image
 */
export function sniff(head: Uint8Array): ImageFormat | Unsupported | null {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  const starts = (...values: number[]): boolean => values.every((value, i) => bytes[i] === value);
  const text = (from: number, to: number): string => bytes.toString('latin1', from, to);
  if (starts(0xff, 0xd8, 0xff)) return 'jpeg';
  if (starts(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return 'png';
  if (text(0, 6) === 'GIF87a' || text(0, 6) === 'GIF89a') return 'gif';
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'webp';
  if (['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].includes(text(0, 4))) return 'tiff';
  if (text(0, 2) === 'BM' && bytes.length >= 18 && BMP_HEADERS.has(bytes.readUInt32LE(14))) return 'bmp';
  if (text(0, 2) === 'BA' && text(14, 16) === 'BM') {
    return { unsupported: 'an OS/2 bitmap array', hint: convert('PNG') };
  }
  if (PNM_START.test(text(0, HEAD_BYTES))) return 'pnm';
  if (/^P7\n/.test(text(0, 3))) return { unsupported: 'a PAM', hint: convert('PNG') };
  if (/^P[Ff]\n\d/.test(text(0, 4))) return { unsupported: 'a PFM', hint: convert('TIFF') };
  if (starts(0, 0, 1, 0) || starts(0, 0, 2, 0)) {
    const isIcon = bytes.length >= 22 && bytes.readUInt16LE(4) > 0 && bytes[9] === 0 && bytes.readUInt32LE(18) >= 22;
    if (isIcon) return { unsupported: bytes[2] === 1 ? 'an icon (ICO)' : 'a cursor (CUR)', hint: convert('PNG') };
  }
  if (text(4, 8) === 'ftyp') {
    const size = Math.min(bytes.readUInt32BE(0), bytes.length);
    const brands = [text(8, 12)];
    for (let at = 16; at + 4 <= size; at += 4) brands.push(text(at, at + 4));
    if (brands.some((brand) => brand === 'avif' || brand === 'avis')) return 'avif';
    if (brands.some((brand) => HEIF.has(brand))) return { unsupported: 'a HEIC picture', hint: convert('JPEG') };
    return null;
  }
  if (starts(0xff, 0x4f, 0xff, 0x51) || text(4, 8) === 'jP  ')
    return { unsupported: 'a JPEG 2000 picture', hint: convert('PNG') };
  if (text(4, 8) === 'JXL ' || (starts(0xff, 0x0a) && bytes.length > 12)) {
    return { unsupported: 'a JPEG XL picture', hint: convert('PNG') };
  }
  if (text(0, 4) === '8BPS') return { unsupported: 'a Photoshop file', hint: convert('PNG') };
  if (
    /^(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--[\s\S]*?-->\s*|<!DOCTYPE[^>]*>\s*)*<svg[\s>]/.test(text(0, HEAD_BYTES))
  ) {
    return { unsupported: 'an SVG drawing', hint: 'draw it as PNG first: it has no pixels of its own' };
  }
  return null;
}
