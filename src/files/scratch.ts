import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { live, temporaryName } from './atomic.js';
import type { StoreSystem } from './system.js';

/** A temporary file of this process that takes bytes one after the other. */
export interface Scratch {
  readonly path: string;
  /** @returns where in the file the bytes begin @throws system errors as they are */
  add(bytes: Uint8Array): number;
  /** Takes the file away; where that fails it goes with what dead runs leave. */
  remove(): Promise<void>;
}

/** @throws system errors as they are */
export function openScratch(system: StoreSystem, folder: string): Scratch {
  const name = temporaryName(system);
  const path = join(folder, name);
  const file = openSync(path, 'wx');
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
