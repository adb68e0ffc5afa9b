import { closeSync, openSync, readSync } from 'node:fs';

/** A file that is read here and there, at once: for pieces so small that handing each to another thread would take longer. */
export interface Reader {
  /** @returns the bytes that filled `target`: fewer only where the file ends @throws system errors as they are */
  read(target: Uint8Array, at: number): number;
}

const files = new FinalizationRegistry(closeSync);

/** It is closed when nothing holds it any more. @throws system errors as they are */
export function openReader(path: string): Reader {
  const file = openSync(path, 'r');
  const reader: Reader = {
    read(target, at) {
      let filled = 0;
      while (filled < target.length) {
        const length = readSync(file, target, filled, target.length - filled, at + filled);
        if (length === 0) break;
        filled += length;
      }
      return filled;
    },
  };
  files.register(reader, file);
  return reader;
}
