import { mkdir, open, rename, rm, rmdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { HeadError } from '../errors.js';

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free some space',
  EDQUOT: 'the disk quota is used up: free some space',
  EACCES: 'it may not be written: give another folder',
  EPERM: 'it may not be written: give another folder',
  EROFS: 'the disk is read-only: give another folder',
  ENOTDIR: 'a part of the path is a file: give another folder',
  EEXIST: 'there is a file of that name: give another folder',
};

/**
 * Puts files into a folder, made if it is missing: all are written and synced under temporary names first, then renamed in the
 * given order, then the folder is synced.
 * @throws HeadError when that fails; no temporary file is left then
 */
export async function placeFiles(dir: string, files: readonly (readonly [string, Uint8Array])[]): Promise<void> {
  const temporary = ([name]: readonly [string, Uint8Array]): string =>
    join(dir, `_tmp-${hostname()}-${process.pid}-${name}`);
  let made: string | undefined;
  try {
    made = await mkdir(dir, { recursive: true });
    for (const file of files) {
      const handle = await open(temporary(file), 'w');
      try {
        await handle.writeFile(file[1]);
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
    for (const file of files) await rename(temporary(file), join(dir, file[0]));
    await syncFolder(dir);
  } catch (error) {
    for (const file of files) await rm(temporary(file), { force: true }).catch(() => {});
    if (made !== undefined) await rmdir(dir).catch(() => {});
    const { code, message } = error as NodeJS.ErrnoException;
    throw new HeadError(`the head could not be written to ${dir}: ${REASONS[code ?? ''] ?? message}`, { cause: error });
  }
}

/** A rename lasts once its folder is synced; Windows can neither open nor sync one. */
async function syncFolder(dir: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(dir);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
