import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { DataError } from '../errors.js';
import { nameOf } from '../plain.js';
import { writeFiles } from './atomic.js';
import { errorCode, whyUnreadable } from './failure.js';
import { realSystem, type StoreOptions } from './system.js';

/** What became of a file that was to have a second place: `taken` where another file is there. */
export type Placed = 'linked' | 'copied' | 'there' | 'taken';

/** Answers of file systems, or pairs of them, that cannot give a file a second name. */
const NO_LINKS = new Set([
  'EXDEV',
  'EPERM',
  'EACCES',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EMLINK',
  'EINVAL',
  'UNKNOWN',
]);

/**
 * Gives a file a second place: by a second name of its own where the disk has such (a hard link), else by a copy, which appears whole
 * or not at all. A file that is there is never written over.
 * @param to in a folder that is there
 * @throws DataError where it is gone; system errors as they are; nothing is left behind then
 */
export async function placeFile(
  from: string | Buffer,
  to: string,
  { system = realSystem }: StoreOptions = {},
): Promise<Placed> {
  let source: Buffer;
  try {
    source = await realpath(from, { encoding: 'buffer' }); // of a symbolic link what it leads to
  } catch (error) {
    throw new DataError(`${nameOf(Buffer.from(from as string))} ${whyUnreadable(error)}`, { cause: error });
  }
  try {
    await system.link(source, to);
    return 'linked';
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (code === 'EEXIST') return (await isSameFile(source, to)) ? 'there' : 'taken';
    if (!NO_LINKS.has(code)) throw error;
  }
  try {
    await (await system.open(to, 'create')).close(); // takes the name, so that what gets it meanwhile is seen
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    return (await isSameFile(source, to)) ? 'there' : 'taken';
  }
  try {
    await writeFiles(system, dirname(to), [[basename(to), createReadStream(source)]]);
    return 'copied';
  } catch (error) {
    await system.unlink(to).catch(() => {});
    throw error;
  }
}

/** Whether two files are one, or hold the same bytes. */
export async function isSameFile(a: string | Buffer, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([stat(a, { bigint: true }), stat(b, { bigint: true })]);
  if (one.dev === other.dev && one.ino === other.ino) return true;
  if (!other.isFile() || one.size !== other.size) return false;
  return (await digestOf(a)) === (await digestOf(b));
}

async function digestOf(file: string | Buffer): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
