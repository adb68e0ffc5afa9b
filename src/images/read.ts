import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { ImageError } from '../errors.js';
import { HEAD_BYTES, type ImageFormat, looksLikeImage, sniff } from './sniff.js';

/** A path for the system: bytes where a name on it is no UTF-8, as Unix allows. */
export type SystemPath = string | Buffer;

/** Bytes of the largest image file that is read. */
export const MAX_BYTES = 256 * 2 ** 20;

/** Opening a pipe must not wait for a writer. */
const OPEN = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

export interface ReadImage {
  readonly bytes: Buffer;
  /** Of the file's bytes, 64 hex digits. */
  readonly sha256: string;
  readonly format: ImageFormat;
}

export const empty = (): ImageError => new ImageError('read', 'is empty');
export const tooLong = (size: number): ImageError =>
  new ImageError('read', `has ${size} bytes, and at most ${MAX_BYTES} are read: make it smaller`);

/**
 * Tells what the bytes of an image are.
 * @param none what is said of those of no image
 * @throws ImageError, with the hash, for what is no image or of a kind that is not read
 */
export function identify(bytes: Buffer, none: string): ReadImage {
  if (bytes.length === 0) throw empty();
  if (bytes.length > MAX_BYTES) throw tooLong(bytes.length);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const format = sniff(bytes.subarray(0, HEAD_BYTES));
  if (format === null) throw new ImageError('sniff', none).withSha256(sha256);
  if (typeof format !== 'string') {
    throw new ImageError('sniff', `is ${format.unsupported}, which is not supported: ${format.hint}`).withSha256(
      sha256,
    );
  }
  return { bytes, sha256, format };
}

/** What an image file that is read is called. */
export interface ImageFile {
  readonly absolute: SystemPath;
  readonly path: string;
  /** Named by someone, so that it is told of where it is no image, whatever its ending. Default: those are that end like images. */
  readonly isListed?: boolean;
}

/** @returns what is said of a file that is named, or named like, an image and is none */
export const noImage = ({ isListed = false }: Pick<ImageFile, 'isListed'>): string =>
  isListed ? 'is in the list but is no image' : 'is named like an image but is none';

/**
 * Reads an image file whole.
 * @returns null for a file that is an image neither by content nor by name; of such only the first bytes are read
 * @throws ImageError for a file that is named or made like an image and cannot be used
 */
export async function readImageFile(file: ImageFile): Promise<ReadImage | null> {
  const named = file.isListed === true || looksLikeImage(file.path);
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(file.absolute, OPEN);
  } catch (error) {
    if (!named) return null;
    const { code } = error as NodeJS.ErrnoException;
    const absent = file.isListed ? 'is not there' : 'is a link that leads nowhere';
    throw new ImageError('read', code === 'ENOENT' ? absent : `cannot be read (${code})`, { cause: error });
  }
  try {
    const found = await handle.stat();
    const { size } = found;
    if (!found.isFile()) {
      if (!named) return null;
      throw new ImageError('read', 'is a pipe, a device or a folder, not a file');
    }
    // Small files come whole in one call; of large ones first only what tells their kind.
    const first = Buffer.allocUnsafe(size <= 2 ** 20 ? size : HEAD_BYTES);
    const { bytesRead } = await handle.read(first, 0, first.length, 0);
    const head = first.subarray(0, bytesRead);
    const format = sniff(head.subarray(0, HEAD_BYTES));
    if (format === null && !named) return null;
    if (size === 0) throw empty();
    if (size > MAX_BYTES) throw tooLong(size);
    return identify(bytesRead === size ? head : await handle.readFile(), noImage(file));
  } catch (error) {
    if (error instanceof ImageError) throw error;
    throw new ImageError('read', `cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
  } finally {
    await handle.close();
  }
}
