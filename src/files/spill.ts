import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { live, temporaryName } from './atomic.js';
import type { StoreSystem } from './system.js';

/** What does not fit into memory, in a file without a name: whatever ends the process, nothing of it is left. */
export interface Spill {
  /** @throws system errors as they are */
  write(bytes: Uint8Array, at: number): void;
  /** Fills `target`. @throws system errors as they are */
  read(target: Uint8Array, at: number): void;
  close(): void;
}

const files = new FinalizationRegistry(closeSync);

/**
 * It is closed when nothing holds it any more, if not before.
 * @throws system errors as they are
 */
export function openSpill(system: StoreSystem, folder: string): Spill {
  const name = temporaryName(system);
  const path = join(folder, name);
  live.add(name);
  let file: number;
  try {
    file = openSync(path, 'wx+');
    unlinkSync(path);
  } finally {
    live.delete(name);
  }
  const spill: Spill = {
    write(bytes, at) {
      for (let done = 0; done < bytes.length; )
        done += writeSync(file, bytes, done, Math.min(bytes.length - done, 2 ** 30), at + done);
    },
    read(target, at) {
      for (let done = 0; done < target.length; ) {
        const length = readSync(file, target, done, Math.min(target.length - done, 2 ** 30), at + done);
        if (length === 0) throw Object.assign(new Error(`${path} was cut`), { code: 'EIO' });
        done += length;
      }
    },
    close() {
      if (!files.unregister(spill)) return;
      closeSync(file);
    },
  };
  files.register(spill, file, spill);
  return spill;
}
