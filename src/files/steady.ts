import { type BigIntStats, closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { DataError } from '../errors.js';
import { errorCode, whyUnreadable } from './failure.js';

const factsOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join();

/** A file that is read a piece at a time, and must stay as it was when it was first looked at. */
export class SteadyFile {
  readonly size: number;
  private readonly facts: string;

  constructor(
    readonly path: string,
    seen: BigIntStats,
  ) {
    this.size = Number(seen.size);
    this.facts = factsOf(seen);
  }

  /** @throws system errors as they are */
  static async look(path: string): Promise<SteadyFile> {
    return new SteadyFile(path, await stat(path, { bigint: true }));
  }

  /**
   * @returns `length` bytes from `position` on, in an array of their own
   * @throws DataError where the file is no longer what it was, or cannot be read
   */
  read(position: number, length: number): Uint8Array<ArrayBuffer> {
    let bytes: Uint8Array<ArrayBuffer> | null;
    try {
      bytes = this.readNow(position, length);
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
      throw new DataError(`${this.path} ${whyUnreadable(error)} any more: run the same command again`, {
        cause: error,
      });
    }
    if (bytes === null) throw new DataError(`${this.path} was changed while it was used: run the same command again`);
    return bytes;
  }

  /** @returns null where the file is no longer what it was */
  private readNow(position: number, length: number): Uint8Array<ArrayBuffer> | null {
    const bytes = new Uint8Array(length);
    const file = openSync(this.path, 'r');
    try {
      for (let at = 0; at < length; ) {
        const got = readSync(file, bytes, at, length - at, position + at);
        if (got === 0) return null;
        at += got;
      }
      return factsOf(fstatSync(file, { bigint: true })) === this.facts ? bytes : null;
    } finally {
      closeSync(file);
    }
  }
}
