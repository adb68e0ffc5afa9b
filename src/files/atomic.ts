import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { errorCode, storeError } from './failure.js';
import type { StoreSystem } from './system.js';

const DAY = 24 * 60 * 60 * 1000;

/** The bytes of a file, a piece at a time. */
export type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** What the names that this thread makes begin their last part with: its kin in other threads of the process are not its to remove. */
const MAKER = randomBytes(3).toString('hex');

/** Temporary names that this thread uses: one that it made which is not here has been left. */
export const live = new Set<string>();

/** What was thrown by the maker of bytes, not by the disk that takes them. */
const fromSource = new WeakSet<object>();

/** @returns whether an error of a writer came from the bytes that it was given, so that it says nothing about the disk */
export const isFromSource = (error: unknown): boolean => fromSource.has(Object(error) as object);

async function* source(chunks: Chunks): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    fromSource.add(Object(error) as object);
    throw error;
  }
}

/** Small pieces become few writes; large ones stay as they are. */
const PIECE = 2 ** 16;

async function* gathered(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    if (waiting.length > 0 && bytes + chunk.length > PIECE) {
      yield Buffer.concat(waiting);
      waiting = [];
      bytes = 0;
    }
    if (chunk.length >= PIECE) yield chunk;
    else {
      waiting.push(chunk);
      bytes += chunk.length;
    }
  }
  if (waiting.length > 0) yield waiting.length === 1 && waiting[0] ? waiting[0] : Buffer.concat(waiting);
}

async function writeSynced(system: StoreSystem, path: string, chunks: Chunks): Promise<void> {
  const file = await system.open(path, 'create');
  try {
    let written = 0;
    for await (const chunk of gathered(source(chunks))) {
      await file.write(chunk);
      written += chunk.length;
    }
    await file.sync();
    // A disk that takes less than it says would otherwise put a cut file in the place of a whole one.
    if ((await file.size()) !== written) throw Object.assign(new Error(`${path} was cut`), { code: 'EIO' });
  } finally {
    await file.close();
  }
}

/** @returns a name for something of this thread, which nothing else uses */
export const ownName = (system: StoreSystem, prefix: string): string =>
  `${prefix}-${system.host}-${system.pid}-${MAKER}${randomBytes(3).toString('hex')}`;

/** @returns a name for a temporary file of this process */
export const temporaryName = (system: StoreSystem): string => ownName(system, '_tmp');

/** Tries whether a folder takes a file. @throws system errors as they are; nothing is left behind */
export async function tryWrite(system: StoreSystem, folder: string): Promise<void> {
  const name = temporaryName(system);
  const path = join(folder, name);
  live.add(name);
  try {
    const file = await system.open(path, 'create');
    try {
      await file.write(Uint8Array.of(0)); // a full disk still takes an empty file
    } finally {
      await file.close();
      await system.unlink(path).catch(() => {});
    }
  } finally {
    live.delete(name);
  }
}

/**
 * Writes files into a folder so that each is there whole or not at all, also when the machine stops: all are written and synced
 * under temporary names, then renamed in the given order, then the folder is synced. They take the place of files of those
 * names; the last one may serve as the mark that all are there.
 * @param old names of files that are taken away before the first one is in place, since they belong to what is replaced
 * @throws system errors as they are, and whatever making the bytes throws; nothing is left behind but files that are already in place
 */
export async function writeFiles(
  system: StoreSystem,
  folder: string,
  files: readonly (readonly [name: string, chunks: Chunks])[],
  old: readonly string[] = [],
): Promise<void> {
  const waiting = new Set<string>();
  try {
    const places: [string, string][] = [];
    for (const [name, chunks] of files) {
      const temporary = temporaryName(system);
      live.add(temporary);
      waiting.add(temporary);
      places.push([temporary, name]);
      await writeSynced(system, join(folder, temporary), chunks);
    }
    for (const name of old) {
      await system.unlink(join(folder, name)).catch((error: unknown) => {
        if (errorCode(error) !== 'ENOENT') throw error;
      });
    }
    for (const [temporary, name] of places) {
      await system.rename(join(folder, temporary), join(folder, name));
      waiting.delete(temporary);
      live.delete(temporary);
    }
    await system.syncFolder(folder);
  } finally {
    for (const temporary of waiting) {
      await system.unlink(join(folder, temporary)).catch(() => {});
      live.delete(temporary);
    }
  }
}

/**
 * Writes one file as `writeFiles` does.
 * @throws CacheError when the disk is full or fails; nothing is left behind
 */
export async function writeAtomically(
  system: StoreSystem,
  folder: string,
  name: string,
  chunks: Chunks,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await writeFiles(system, folder, [[name, chunks]]);
      return;
    } catch (error) {
      // Another machine that goes by our host name may have taken our temporary file for a dead process's. What is made on the
      // way cannot be made twice.
      const again = errorCode(error) === 'ENOENT' && attempt === 1 && Array.isArray(chunks);
      if (isFromSource(error)) throw error;
      if (!again) throw storeError(error, `to write ${name}`, join(folder, name));
    }
  }
}

/**
 * Removes what dead runs left half done in a folder: temporary files and folders of this host whose process is gone, and any
 * older than a day. What cannot be removed stays.
 */
export async function removeStale(system: StoreSystem, folder: string): Promise<void> {
  for (const name of await staleNames(system, folder)) {
    try {
      await removeTree(system, join(folder, name));
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
    }
  }
}

const OWN = /^_(?:tmp|aside)-(.+)-(\d+)-([0-9a-f]{12})$/;

/** @returns whether a name is of the form that only our temporary files have: others, however they begin, are never removed */
export const isTemporary = (name: string): boolean => name.startsWith('_tmp-') && OWN.test(name);

/** @returns the names of temporary files and folders that dead runs left in a folder */
export async function staleNames(system: StoreSystem, folder: string): Promise<string[]> {
  return abandoned(system, folder, isTemporary);
}

/** @returns the names in a folder that a process made which is gone, or made more than a day ago */
export async function abandoned(
  system: StoreSystem,
  folder: string,
  isSuch: (name: string) => boolean,
): Promise<string[]> {
  const stale: string[] = [];
  for (const name of await system.list(folder).catch(() => [])) {
    if (!isSuch(name)) continue;
    try {
      if (isOrphan(system, name) || isOld(system, name, await system.modified(join(folder, name)))) stale.push(name);
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
    }
  }
  return stale;
}

/** Removes a file, or a folder with all that is in it; links are removed, not followed. @throws system errors as they are */
export async function removeTree(system: StoreSystem, path: string): Promise<void> {
  try {
    await system.unlink(path);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return;
    // What Linux, and what POSIX and others, say of a folder.
    if (code !== 'EISDIR' && code !== 'EPERM') throw error;
    for (const name of await system.list(path)) await removeTree(system, join(path, name));
    await system.removeFolder(path);
  }
}

/** The last two parts hold no hyphen, so a host named `a-12` is never taken for process 12 of host `a`. */
function makerOf(name: string): { readonly host: string; readonly pid: number; readonly thread: string } {
  const [, host = '', digits, last = ''] = OWN.exec(name) ?? [];
  return { host, pid: Number(digits), thread: last.slice(0, MAKER.length) };
}

function isOrphan(system: StoreSystem, name: string): boolean {
  const { host, pid, thread } = makerOf(name);
  if (host !== system.host) return false;
  return pid === system.pid ? thread === MAKER && !live.has(name) : !system.alive(pid);
}

/** Coarsest step, in ms, in which file systems keep times. */
const TIME_STEP = 2000;

/**
 * @param modified when it was last written, in ms since 1970
 * @returns whether it is older than a day, or than the process whose number it has, which is this one's
 */
function isOld(system: StoreSystem, name: string, modified: number): boolean {
  const { host, pid } = makerOf(name);
  const isNamesake = host === system.host && pid === system.pid && !live.has(name);
  return (isNamesake && modified < system.started - TIME_STEP) || system.now() - modified > DAY;
}

/**
 * Takes a file, or a folder with all that is in it, away at once: under a temporary name first, so that nobody finds it half
 * removed, and what a crash leaves of it is cleaned up as other temporary files are.
 * @throws CacheError when that fails
 */
export async function discard(system: StoreSystem, path: string): Promise<void> {
  const temporary = join(dirname(path), temporaryName(system));
  try {
    await system.rename(path, temporary);
    await system.syncFolder(dirname(path));
    await removeTree(system, temporary);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw storeError(error, 'to remove', path);
  }
}

/** @returns the bytes of a file, or of all files in a folder; 0 where it is not there or goes meanwhile */
export async function treeSize(system: StoreSystem, path: string): Promise<number> {
  try {
    const names = await system.list(path).catch((error: unknown) => {
      if (errorCode(error) === 'ENOTDIR') return null;
      throw error;
    });
    if (names === null) return await system.size(path);
    let sum = 0;
    for (const name of names) sum += await treeSize(system, join(path, name));
    return sum;
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return 0;
  }
}
