import { ImageError } from '../errors.js';
import type { SystemPath } from '../images/index.js';
import { type FoundFile, readImage, walk } from '../sources/index.js';
import type { FileIndex } from '../store/index-file.js';
import { ordered } from './ordered.js';

/** Files that are read side by side. */
const DEPTH = 16;

/** An image file and the hash of its bytes; null where it could not be read. */
export interface HashedFile {
  readonly path: string;
  readonly absolute: SystemPath;
  readonly sha256: string | null;
}

/**
 * The image files of a folder with their hashes; only those that the index does not know are read. Nothing is decoded.
 * @throws DataError when the folder cannot be read
 */
export async function* hashedFiles(dir: string, index: FileIndex, signal?: AbortSignal): AsyncGenerator<HashedFile> {
  const work = async (file: FoundFile): Promise<HashedFile | null> => {
    signal?.throwIfAborted();
    const known = index.lookup(file);
    if (known) return 'other' in known ? null : { path: file.path, absolute: file.absolute, sha256: known.sha256 };
    const readAt = index.now();
    try {
      const image = await readImage(file, signal);
      index.remember(file, image ? { sha256: image.sha256 } : { other: true }, readAt);
      return image && { path: file.path, absolute: file.absolute, sha256: image.sha256 };
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      return { path: file.path, absolute: file.absolute, sha256: error.sha256 ?? null };
    }
  };
  for await (const file of ordered(walk(dir, { signal }), work, DEPTH)) if (file) yield file;
}
