import pLimit from 'p-limit';
import { canonicalJson, type Json } from '../canonical.js';
import { ImageError, PermafrostError } from '../errors.js';
import { realSystem } from '../files/index.js';
import type { SystemPath } from '../images/index.js';
import { THUMBNAIL, thumbnail } from '../images/thumbnail.js';
import { readImage } from '../sources/index.js';
import { type ThumbnailOptions, ThumbnailStore } from '../store/thumbnails.js';

/** Images that are decoded side by side. */
const DEPTH = 8;

/** @returns the small pictures of a cache @throws CacheError where they cannot be read */
export const openThumbnails = (cache: string, options: ThumbnailOptions = {}): Promise<ThumbnailStore> =>
  ThumbnailStore.open(cache, canonicalJson(THUMBNAIL as unknown as Json), options);

/** An image file, and the hash of its bytes. */
export interface HashedImage {
  readonly path: SystemPath;
  readonly sha256: string;
}

export interface ThumbnailsOptions extends ThumbnailOptions {
  readonly signal?: AbortSignal;
  readonly onWarning?: (message: string) => void;
}

/**
 * Small pictures of images, WebP of at most 128 pixels a side: those that the cache holds, and the missing ones, which are made and
 * kept there where there is such a folder and it can be written.
 * @returns WebP by hash; images that cannot be decoded any more, or whose file has become another, are missing
 * @throws CacheError where the cache cannot be read; the signal's reason when it is aborted
 */
export async function thumbnails(
  cache: string,
  images: Iterable<HashedImage>,
  options: ThumbnailsOptions = {},
): Promise<Map<string, Uint8Array>> {
  const wanted = new Map(Array.from(images, ({ sha256, path }) => [sha256, path] as const));
  const store = await openThumbnails(cache, options);
  const found = await store.read(wanted.keys());
  const limit = pLimit(DEPTH);
  const made = await Promise.all(
    [...wanted].map(([sha256, path]) =>
      found.has(sha256) ? null : limit(async () => ({ sha256, webp: await madeOf(path, sha256, options.signal) })),
    ),
  );
  let isKept = (await (options.system ?? realSystem).kind(cache)) === 'folder';
  for (const one of made) {
    if (!one?.webp) continue;
    found.set(one.sha256, one.webp);
    if (isKept) isKept = await kept(() => store.add(one.sha256, one.webp as Uint8Array), options);
  }
  if (isKept) await kept(() => store.flush(), options);
  return found;
}

async function madeOf(path: SystemPath, sha256: string, signal?: AbortSignal): Promise<Uint8Array | null> {
  signal?.throwIfAborted();
  try {
    const image = await readImage({ absolute: path, path: path.toString() }, signal);
    return image === null || image.sha256 !== sha256 ? null : await thumbnail(image.bytes, image.format);
  } catch (error) {
    if (error instanceof ImageError) return null;
    throw error;
  }
}

/** What cannot be kept costs no picture. */
async function kept(write: () => Promise<void>, { onWarning }: ThumbnailsOptions): Promise<boolean> {
  try {
    await write();
    return true;
  } catch (error) {
    if (!(error instanceof PermafrostError)) throw error;
    onWarning?.(`small pictures are not kept: ${error.message}`);
    return false;
  }
}
