import { isUtf8 } from 'node:buffer';
import { stat } from 'node:fs/promises';
import { DataError } from '../errors.js';
import { openRegular, whyUnreadable } from '../files/index.js';
import { isObjectAddress, listedAddress } from './address.js';
import type { FoundFile, WalkOptions } from './found.js';
import { findObject } from './s3/source.js';

/** Files, or objects, that are looked at side by side. */
const AT_ONCE = 64;
/** A longer line is no path. */
const LONGEST = 65_536;
const NEWLINE = 0x0a;

interface Line {
  readonly number: number;
  readonly text: string;
}

/**
 * The lines of a list that name files. Empty ones and those that begin with `#` are passed over, spaces at the end are kept, a
 * carriage return and a byte order mark are not.
 * @throws DataError for what is no text, and a list that cannot be read
 */
async function* linesOf(list: string): AsyncGenerator<Line> {
  let number = 0;
  const read = (bytes: Buffer): Line | null => {
    number++;
    if (!isUtf8(bytes) || bytes.includes(0)) {
      throw new DataError(`${list}: line ${number} is no UTF-8 text: give a list with a path or s3 address a line`);
    }
    const text = bytes.toString('utf8').replace(number === 1 ? /^\ufeff|\r$/g : /\r$/, '');
    return text.trim() === '' || text.startsWith('#') ? null : { number, text };
  };
  const handle = await openRegular(list).catch((error: unknown) => {
    throw new DataError(`${list} ${whyUnreadable(error)}: give a list with a path or s3 address a line`, {
      cause: error,
    });
  });
  try {
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of handle.createReadStream({ autoClose: false, highWaterMark: 2 ** 18 })) {
      let bytes = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE)) {
        const line = read(bytes.subarray(0, end));
        if (line) yield line;
        bytes = bytes.subarray(end + 1);
      }
      if (bytes.length > LONGEST) {
        throw new DataError(`${list}: line ${number + 1} is longer than ${LONGEST} bytes, which no path is`);
      }
      rest = bytes;
    }
    const last = rest.length === 0 ? null : read(rest);
    if (last) yield last;
  } finally {
    await handle.close();
  }
}

/** A file that is not there is given with the size 0, so that who reads it says so. */
async function found(list: string, { number, text }: Line, signal: AbortSignal | undefined): Promise<FoundFile> {
  const absolute = listedAddress(list, text);
  const file = { path: text, absolute, isListed: true };
  if (isObjectAddress(absolute)) {
    const object = await findObject(absolute, signal);
    return { ...file, ...(object ?? { size: 0, mtimeNs: 0n, ino: 0n }) };
  }
  const there = await stat(absolute, { bigint: true }).catch(() => null);
  if (there?.isDirectory()) {
    throw new DataError(`${list}: line ${number}, ${text}, is a folder: name the files in it`);
  }
  return there === null
    ? { ...file, size: 0, mtimeNs: 0n, ino: 0n }
    : { ...file, size: Number(there.size), mtimeNs: there.mtimeNs, ino: there.ino };
}

/**
 * The files that a list names, in its order.
 * @throws DataError for a list that cannot be read, and a line that names a folder
 */
export async function* walkList(list: string, { signal }: WalkOptions = {}): AsyncGenerator<FoundFile> {
  let ahead: Promise<FoundFile[]> = Promise.resolve([]);
  let waiting: Line[] = [];
  const look = (lines: readonly Line[]): Promise<FoundFile[]> => {
    const files = Promise.all(lines.map((line) => found(list, line, signal)));
    files.catch(() => {}); // told when its turn comes
    return files;
  };
  for await (const line of linesOf(list)) {
    waiting.push(line);
    if (waiting.length < AT_ONCE) continue;
    const before = ahead;
    ahead = look(waiting);
    waiting = [];
    yield* await before;
  }
  const last = look(waiting);
  yield* await ahead;
  yield* await last;
}

/** @returns how many files a list names */
export async function countList(list: string): Promise<number> {
  let count = 0;
  for await (const _ of linesOf(list)) count++;
  return count;
}

/** @returns whether a list names any file */
export async function listHoldsFiles(list: string): Promise<boolean> {
  for await (const _ of linesOf(list)) return true;
  return false;
}
