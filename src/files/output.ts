import { basename, dirname, join, resolve } from 'node:path';
import { type Chunks, isFromSource, removeStale, tryWrite, writeFiles } from './atomic.js';
import { writeError } from './failure.js';
import { refusal } from './open.js';
import { realSystem, type StoreOptions, type StoreSystem } from './system.js';

/**
 * Where a file that a person named goes: a link leads to the file that is replaced.
 * @throws `EISDIR` for a folder, `EFTYPE` for a pipe or a device, which a rename would take away
 */
async function target(system: StoreSystem, path: string): Promise<string> {
  const kind = await system.kind(path);
  if (kind === null) return resolve(path);
  if (kind !== 'file') throw refusal(kind === 'folder' ? 'EISDIR' : 'EFTYPE', path);
  return system.realPath(path);
}

/** The nearest folder that is there. @throws `ENOTDIR` where a part of the path is a file */
async function nearestFolder(system: StoreSystem, folder: string): Promise<string> {
  let place = resolve(folder);
  for (;;) {
    const kind = await system.kind(place);
    if (kind === 'folder' || dirname(place) === place) return place;
    if (kind !== null) throw Object.assign(new Error(`${place} is no folder`), { code: 'ENOTDIR' });
    place = dirname(place);
  }
}

/**
 * Tries whether files can be written into a folder, or where it is missing, whether it can be made, before work begins whose result
 * shall lie there. Nothing is made; what dead runs left is removed.
 * @throws system errors as they are
 */
export async function tryFolder(system: StoreSystem, folder: string): Promise<void> {
  const place = await nearestFolder(system, folder);
  await removeStale(system, place);
  await tryWrite(system, place);
}

/**
 * Tries whether a file that a person named can be written, before the work whose result it holds.
 * @throws FileError in one sentence where it cannot
 */
export async function tryOutput(path: string, { system = realSystem }: StoreOptions = {}): Promise<void> {
  try {
    await tryFolder(system, dirname(await target(system, path)));
  } catch (error) {
    throw writeError(error, path);
  }
}

/**
 * Writes a file that a person named, whole or not at all, in the place of one that is there; its folder is made where it is
 * missing. What dead runs left beside it is removed.
 * @throws FileError in one sentence where it cannot be written; whatever making the bytes throws
 */
export async function writeOutput(
  path: string,
  chunks: Chunks,
  { system = realSystem }: StoreOptions = {},
): Promise<void> {
  let file = path;
  try {
    file = await target(system, path);
  } catch (error) {
    throw writeError(error, path);
  }
  await writeOutputs(dirname(file), [[basename(file), chunks]], { system });
}

/**
 * Writes several files of one folder as `writeOutput` writes one; they appear in the given order, the last as the mark of all.
 * @param old names of files that are taken away before, so that they never stand beside those of another time
 */
export async function writeOutputs(
  folder: string,
  files: readonly (readonly [name: string, chunks: Chunks])[],
  { system = realSystem, old = [] }: StoreOptions & { readonly old?: readonly string[] } = {},
): Promise<void> {
  const path = join(folder, files.at(-1)?.[0] ?? '');
  let isNew = false;
  try {
    isNew = (await system.kind(folder)) === null;
    await system.makeFolder(folder);
    await removeStale(system, folder);
    await writeFiles(system, folder, files, old);
  } catch (error) {
    if (isNew) await system.removeFolder(folder).catch(() => {}); // only an empty one goes
    throw isFromSource(error) ? error : writeError(error, path);
  }
}
