import { thumbnails } from '../extract/thumbnails.js';
import type { ReportImage } from '../report/model.js';
import { imageAddress } from '../sources/index.js';

/** Bytes of all pictures of a report: in base64 two thirds of a page. */
const MOST_BYTES = 1_500_000;

/**
 * @param images those that are wanted most first
 * @returns WebP by hash, until there is enough; images that cannot be shown are left out
 * @throws CacheError where the small pictures of the cache cannot be read; the signal's reason when it is aborted
 */
export async function picturesOf(
  data: string,
  images: readonly ReportImage[],
  { cache, signal, onWarning }: PicturesOptions,
): Promise<Map<string, Uint8Array>> {
  const files = images
    .filter((image) => image.path !== '')
    .map((image) => ({ path: imageAddress(data, image.path), sha256: image.sha256 }));
  const made = await thumbnails(cache, files, { ...(signal ? { signal } : {}), ...(onWarning ? { onWarning } : {}) });
  const pictures = new Map<string, Uint8Array>();
  let left = MOST_BYTES;
  for (const { sha256 } of files) {
    const bytes = made.get(sha256);
    if (bytes === undefined || pictures.has(sha256) || bytes.length > left) continue;
    left -= bytes.length;
    pictures.set(sha256, bytes);
  }
  return pictures;
}

interface PicturesOptions {
  readonly cache: string;
  readonly signal?: AbortSignal | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}
