import { closeSync, openSync, readSync } from 'node:fs';
import { CacheError } from '../errors.js';
import { openRegular, refusal } from './open.js';
import { realSystem, type StoreSystem } from './system.js';

/**
 * Reads a file that a person or a model names, whatever it is.
 * @param limit bytes that are read at most, whatever size the file says it has
 * @throws system errors, which `whyUnreadable` puts into words: `EISDIR` for a folder, `EFTYPE` for what is no file, `EFBIG` for one
 *   of more than `limit` bytes
 */
export async function readNamed(path: string, limit: number, system: StoreSystem = realSystem): Promise<Buffer> {
  const file = await system.open(path, 'read');
  try {
    const size = await file.size();
    if (size > limit) throw refusal('EFBIG', path, limit);
    // One byte more than it says tells of a file that grows, or that has no size, as those of /proc.
    let bytes = Buffer.alloc(size + 1);
    let filled = await file.read(bytes, 0);
    while (filled === bytes.length) {
      if (filled > limit) throw refusal('EFBIG', path, limit);
      const more = Buffer.alloc(Math.min(limit + 1 - filled, Math.max(filled, 2 ** 16)));
      const got = await file.read(more, filled);
      bytes = Buffer.concat([bytes, more.subarray(0, got)]);
      filled += got;
      if (got < more.length) break;
    }
    if (filled > limit) throw refusal('EFBIG', path, limit);
    return bytes.subarray(0, filled);
  } finally {
    await file.close();
  }
}

/**
 * Reads a file of our own.
 * @throws CacheError when it is larger than `limit` bytes; system errors as they are
 */
export async function readWhole(system: StoreSystem, path: string, limit: number): Promise<Uint8Array> {
  try {
    return await readNamed(path, limit, system);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EFBIG') throw error;
    throw new CacheError(`${path} must have at most ${limit} bytes and has more; delete it`, { cause: error });
  }
}

/** @returns the first bytes of a file, fewer only where it ends @throws system errors as `readNamed` */
export async function readStart(path: string, length: number): Promise<Buffer> {
  const handle = await openRegular(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/**
 * @returns `length` bytes of a file of our own from `position` on, in an array of their own
 * @throws RangeError where it ends before; system errors as they are
 */
export function readSlice(path: string, position: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  const file = openSync(path, 'r');
  try {
    for (let at = 0; at < length; ) {
      const got = readSync(file, bytes, at, length - at, position + at);
      if (got === 0) throw new RangeError(`${path} ends before byte ${position + length}`);
      at += got;
    }
  } finally {
    closeSync(file);
  }
  return bytes;
}

/**
 * @param longest bytes of the longest line
 * @returns the lines of a file, without what ends them
 * @throws system errors as `readNamed`; `EFBIG` for a line that is longer
 */
export async function* readLines(path: string, longest: number): AsyncGenerator<string> {
  const handle = await openRegular(path);
  try {
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of handle.createReadStream({ autoClose: false })) {
      const bytes = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
      let from = 0;
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
        yield bytes.toString('utf8', from, end).replace(/\r$/, '');
        from = end + 1;
      }
      rest = bytes.subarray(from);
      if (rest.length > longest) throw refusal('EFBIG', path, longest);
    }
    if (rest.length > 0) yield rest.toString('utf8');
  } finally {
    await handle.close();
  }
}
