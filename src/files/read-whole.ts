import { CacheError } from '../errors.js';
import type { StoreSystem } from './system.js';

/**
 * @returns the bytes of a file
 * @throws CacheError when it is larger than `limit` bytes; system errors as they are
 */
export async function readWhole(system: StoreSystem, path: string, limit: number): Promise<Uint8Array> {
  const file = await system.open(path, 'read');
  try {
    const size = await file.size();
    if (size > limit) throw new CacheError(`${path} must have at most ${limit} bytes and has ${size}; delete it`);
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, await file.read(bytes, 0));
  } finally {
    await file.close();
  }
}
