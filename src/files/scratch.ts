import { closeSync, openSync, writeSync } from 'node:fs';
import { lstat, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { live, removeTree, staleNames, temporaryName } from './atomic.js';
import { errorCode } from './failure.js';
import type { StoreSystem } from './system.js';

/** A temporary file of this process that takes bytes one after the other. */
export interface Scratch {
  readonly path: string;
  /** @returns where in the file the bytes begin @throws system errors as they are */
  add(bytes: Uint8Array): number;
  /** Takes the file away; where that fails it goes with what dead runs leave. */
  remove(): Promise<void>;
}

/** Nobody else may read it. @throws system errors as they are */
export function openScratch(system: StoreSystem, folder: string): Scratch {
  const name = temporaryName(system);
  const path = join(folder, name);
  const file = openSync(path, 'wx', 0o600);
  live.add(name);
  let end = 0;
  return {
    path,
    add(bytes) {
      const start = end;
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, start + at);
      end += bytes.length;
      return start;
    },
    async remove() {
      closeSync(file);
      await system.unlink(path).catch(() => {});
      live.delete(name);
    },
  };
}

/**
 * Opens temporary files in the system's folder for them; what dead runs of the same user left there goes first.
 * @returns what opens one, and throws system errors as they are
 */
export async function openTemporary(system: StoreSystem): Promise<() => Scratch> {
  await removeDead(system, tmpdir());
  return () => openScratch(system, tmpdir());
}

/**
 * Makes a folder of this process in the system's folder for temporary files, for the time of `use`. Those that dead runs of the same user
 * left there go first.
 * @throws system errors as they are, and what `use` throws
 */
export async function withScratchFolder<T>(system: StoreSystem, use: (folder: string) => Promise<T>): Promise<T> {
  await removeDead(system, tmpdir());
  const name = temporaryName(system);
  const folder = join(tmpdir(), name);
  live.add(name);
  try {
    await mkdir(folder, { mode: 0o700 });
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
    live.delete(name);
  }
}

/** Everyone may write there: what is of another user could be something else by the time it is removed. */
async function removeDead(system: StoreSystem, parent: string): Promise<void> {
  for (const name of await staleNames(system, parent)) {
    const path = join(parent, name);
    try {
      const { uid } = await lstat(path);
      if (uid === (process.getuid?.() ?? uid)) await removeTree(system, path);
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
    }
  }
}
