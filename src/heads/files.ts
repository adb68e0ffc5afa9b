import { HeadError } from '../errors.js';
import {
  realSystem,
  removeStale,
  type StoreOptions,
  type StoreSystem,
  tryFolder,
  whyUnwritable,
  writeFiles,
} from '../files/index.js';

/**
 * Puts the files of a head into a folder, made if it is missing; they appear whole, in the given order. What dead runs left there is
 * removed.
 * @throws HeadError when that fails; no temporary file is left then
 */
export async function placeFiles(
  dir: string,
  files: readonly (readonly [string, Uint8Array])[],
  { system = realSystem }: StoreOptions = {},
): Promise<void> {
  try {
    await system.makeFolder(dir);
    await removeStale(system, dir);
    await writeFiles(
      system,
      dir,
      files.map(([name, bytes]) => [name, [bytes]] as const),
    );
  } catch (error) {
    await system.removeFolder(dir).catch(() => {}); // only an empty one goes
    throw headError(error, dir);
  }
}

/**
 * Tries, before training begins, whether a head can be written into a folder.
 * @throws HeadError where it cannot
 */
export async function tryPlace(dir: string, { system = realSystem }: { system?: StoreSystem } = {}): Promise<void> {
  try {
    await tryFolder(system, dir);
  } catch (error) {
    throw headError(error, dir);
  }
}

function headError(error: unknown, dir: string): unknown {
  const why = whyUnwritable(error, dir);
  return why === undefined ? error : new HeadError(`${dir} could not be written: ${why}`, { cause: error });
}
