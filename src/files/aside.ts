import { basename, dirname, join } from 'node:path';
import { abandoned, discard, live, ownName } from './atomic.js';
import { errorCode, storeError } from './failure.js';
import type { StoreSystem } from './system.js';

/** A folder in which one thing lies that may go, while it is looked at once more; what a dead process left there is put back. */
const isAside = (name: string): boolean => /^_aside-.+-\d+-[0-9a-f]{12}$/.test(name);

/**
 * Takes a file or folder away as `discard` does, unless it is used. It looks just before, and again when the thing is aside, since
 * somebody may have begun to use it between; what is used is put back then, beside what was made in its place meanwhile. Where the
 * process dies before it has looked, `restoreAside` puts it back.
 * @param isUsed whether what lies at a place is used
 * @returns whether it went
 * @throws CacheError when that fails
 */
export async function takeOut(
  system: StoreSystem,
  path: string,
  isUsed: (place: string) => Promise<boolean>,
): Promise<boolean> {
  if (await isUsed(path)) return false;
  const aside = join(dirname(path), ownName(system, '_aside'));
  const place = join(aside, basename(path));
  live.add(basename(aside));
  try {
    await system.makeFolder(aside);
    await system.rename(path, place);
    if (await isUsed(place)) {
      await putBack(system, place, path);
      return false;
    }
    await discard(system, aside);
    return true;
  } catch (error) {
    await restore(system, aside).catch(() => {}); // the next command does it
    if (errorCode(error) === 'ENOENT') return false; // another took it
    throw storeError(error, 'to remove', path);
  } finally {
    await system.removeFolder(aside).catch(() => {});
    live.delete(basename(aside));
  }
}

/**
 * Puts back what a `takeOut` that died had moved aside in a folder before it knew whether it is used.
 * @returns whether there was any
 */
export async function restoreAside(system: StoreSystem, folder: string): Promise<boolean> {
  let found = false;
  for (const name of await abandoned(system, folder, isAside)) {
    try {
      await restore(system, join(folder, name));
      found = true;
    } catch (error) {
      if (errorCode(error) === undefined) throw error; // else another puts it back, or the disk is read-only
    }
  }
  return found;
}

async function restore(system: StoreSystem, aside: string): Promise<void> {
  for (const name of await system.list(aside)) await putBack(system, join(aside, name), join(dirname(aside), name));
  await system.removeFolder(aside);
}

/** What systems say of a folder that cannot take the place of another. */
const OCCUPIED = new Set(['ENOTEMPTY', 'EEXIST', 'EPERM', 'EACCES', 'ENOTDIR', 'EISDIR']);

async function putBack(system: StoreSystem, from: string, path: string): Promise<void> {
  try {
    await system.rename(from, path);
    return;
  } catch (error) {
    if (!OCCUPIED.has(errorCode(error) ?? '') || (await system.kind(path)) !== 'folder') throw error;
  }
  for (const name of await system.list(from)) {
    const place = join(path, name);
    if ((await system.kind(place)) === null) await system.rename(join(from, name), place);
  }
  await discard(system, from);
}
