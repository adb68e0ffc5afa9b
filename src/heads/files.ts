import { HeadError } from '../errors.js';
import { errorCode, realSystem, type StoreOptions, writeFiles } from '../files/index.js';

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
 * Puts the files of a head into a folder, made if it is missing; they appear whole, in the given order.
 * @throws HeadError when that fails; no temporary file is left then
 */
export async function placeFiles(
  dir: string,
  files: readonly (readonly [string, Uint8Array])[],
  { system = realSystem }: StoreOptions = {},
): Promise<void> {
  try {
    await system.makeFolder(dir);
    await writeFiles(
      system,
      dir,
      files.map(([name, bytes]) => [name, [bytes]] as const),
    );
  } catch (error) {
    await system.removeFolder(dir).catch(() => {}); // only an empty one goes
    const code = errorCode(error);
    if (code === undefined) throw error;
    const reason = REASONS[code] ?? (error as Error).message;
    throw new HeadError(`the head could not be written to ${dir}: ${reason}`, { cause: error });
  }
}
