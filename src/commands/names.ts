import { isUtf8 } from 'node:buffer';
import { buffer } from 'node:stream/consumers';
import { DataError } from '../errors.js';
import { readNamed, whyUnreadable } from '../files/index.js';
import { usage } from '../options/check.js';
import { nameOf } from '../plain.js';

/** Bytes of a list of names. */
const LARGEST = 2 ** 30;

/** Where the names of images come from. */
export interface NamedImages {
  /** Image files, or folders of them. */
  readonly paths?: readonly string[] | undefined;
  /** A file of such names, one a line or each ended by a NUL; `-` is the standard input. Beside `paths`, theirs come first. */
  readonly from?: string | undefined;
}

/**
 * @returns all names that are given
 * @throws UsageError where there is none; DataError where the list cannot be read
 */
export async function namesOf({ paths = [], from }: NamedImages): Promise<string[]> {
  if (from === undefined && paths.length === 0)
    throw usage('give image files or folders, or a list of them with {from}');
  const names = [...paths, ...(from === undefined ? [] : split(await listed(from)))];
  if (names.length > 0) return names;
  throw new DataError(`${from === '-' ? 'the standard input' : from} names no image: give one name a line`);
}

async function listed(from: string): Promise<Buffer> {
  if (from === '-') return buffer(process.stdin);
  try {
    return await readNamed(from, LARGEST);
  } catch (error) {
    throw new DataError(`the list of names ${from} ${whyUnreadable(error)}: give a file, or - for the standard input`, {
      cause: error,
    });
  }
}

/**
 * As `find -print0` writes them where there is a NUL, else lines; empty ones name nothing.
 * @throws DataError for a name that is no UTF-8
 */
function split(list: Buffer): string[] {
  const separator = list.includes(0) ? 0 : 10;
  const names: string[] = [];
  for (let from = 0; from <= list.length; ) {
    const found = list.indexOf(separator, from);
    const end = found < 0 ? list.length : found;
    const bytes = list.subarray(from, end);
    if (!isUtf8(bytes)) {
      throw new DataError(`the list of names holds ${nameOf(bytes)}, which is no UTF-8: rename it, or give its folder`);
    }
    names.push(bytes.toString('utf8'));
    from = end + 1;
  }
  const [first = '', ...rest] = names;
  const lines = [first.replace(/^\uFEFF/, ''), ...rest];
  return (separator === 0 ? lines : lines.map((name) => name.replace(/\r$/, ''))).filter((name) => name !== '');
}
