import path from 'node:path';
import pLimit from 'p-limit';
import sharp from 'sharp';
import type { ReportImage } from '../report/model.js';

/** Pixels of the longer side. */
const SIDE = 128;
/** Bytes of all pictures of a report: in base64 two thirds of a page. */
const MOST_BYTES = 1_500_000;
const AT_ONCE = 4;

/**
 * @param images those that are wanted most first
 * @returns WebP by hash, until there is enough; images that cannot be shown are left out
 */
export async function picturesOf(data: string, images: readonly ReportImage[]): Promise<Map<string, Uint8Array>> {
  const limit = pLimit(AT_ONCE);
  const made = await Promise.all(
    images.map((image) =>
      limit(async () => {
        if (image.path === '') return null;
        return sharp(path.join(data, image.path), { failOn: 'none' })
          .rotate()
          .resize(SIDE, SIDE, { fit: 'inside', withoutEnlargement: true })
          .flatten({ background: '#fff' })
          .webp({ quality: 70 })
          .toBuffer()
          .catch(() => null);
      }),
    ),
  );
  const pictures = new Map<string, Uint8Array>();
  let left = MOST_BYTES;
  for (const [i, bytes] of made.entries()) {
    const { sha256 } = images[i] as ReportImage;
    if (bytes === null || pictures.has(sha256) || bytes.length > left) continue;
    left -= bytes.length;
    pictures.set(sha256, bytes);
  }
  return pictures;
}
