import sharp from 'sharp';
import { fitInside } from './decode.js';
import type { Raster } from './raster.js';
import type { ImageFormat } from './sniff.js';

/** How small pictures are made; another way is another `revision`, and their parts are made anew. */
export const THUMBNAIL = { revision: 1, side: 128, quality: 70 } as const;

/** @returns decoded pixels as WebP: the same bytes for the same pixels, by one version of libwebp */
export async function encodeThumbnail({ data, width, height, channels }: Raster): Promise<Uint8Array> {
  const raw = { width, height, channels };
  return new Uint8Array(await sharp(data, { raw }).webp({ quality: THUMBNAIL.quality }).toBuffer());
}

/**
 * @returns an image as a small picture for people: upright, in sRGB, on white, in its own aspect ratio, at most 128 pixels a side, as
 *   WebP of 1 to 5 kB
 * @throws ImageError as `decodeImage`
 */
export async function thumbnail(bytes: Uint8Array, format: ImageFormat): Promise<Uint8Array> {
  return encodeThumbnail(await fitInside(bytes, format, THUMBNAIL.side));
}
