import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { errorCode, type StoreSystem, storeError } from './fs.js';

const DAY = 24 * 60 * 60 * 1000;

/** Temporary files that this process is writing: one of its process id that is not here is left from an earlier process. */
const live = new Set<string>();

async function writeSynced(system: StoreSystem, path: string, chunks: Iterable<Uint8Array>): Promise<void> {
  const file = await system.open(path, 'create');
  try {
    for (const chunk of chunks) await file.write(chunk);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Writes a file that is there whole or not at all, also when the machine stops: temporary file, sync, rename, sync of the
 * folder. It takes the place of a file of that name.
 * @throws CacheError when the disk is full or fails; nothing is left behind
 */
export async function writeAtomically(
  system: StoreSystem,
  folder: string,
  name: string,
  chunks: Iterable<Uint8Array>,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const temporary = `_tmp-${system.host}-${system.pid}-${randomBytes(6).toString('hex')}`;
    const path = join(folder, temporary);
    live.add(temporary);
    try {
      await writeSynced(system, path, chunks);
      await system.rename(path, join(folder, name));
      await system.syncFolder(folder);
      return;
    } catch (error) {
      await system.unlink(path).catch(() => {});
      // Another machine that goes by our host name may have taken our temporary file for a dead process's.
      if (errorCode(error) !== 'ENOENT' || attempt > 1) throw storeError(error, `to write ${name}`, join(folder, name));
    } finally {
      live.delete(temporary);
    }
  }
}

/**
 * Removes temporary files that dead runs left in a folder: those of this host whose process is gone, and any older than a day.
 * What cannot be removed stays.
 */
export async function removeStale(system: StoreSystem, folder: string): Promise<void> {
  const names = await system.list(folder).catch(() => []);
  for (const name of names) {
    if (!name.startsWith('_tmp-')) continue;
    const path = join(folder, name);
    try {
      if (isOrphan(system, name) || system.now() - (await system.modified(path)) > DAY) await system.unlink(path);
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
    }
  }
}

/** The last two parts hold no hyphen, so a host named `a-12` is never taken for process 12 of host `a`. */
function isOrphan(system: StoreSystem, name: string): boolean {
  const [, host, digits] = /^_tmp-(.+)-(\d+)-[0-9a-f]{12}$/.exec(name) ?? [];
  if (host !== system.host) return false;
  const pid = Number(digits);
  return pid === system.pid ? !live.has(name) : !system.alive(pid);
}
