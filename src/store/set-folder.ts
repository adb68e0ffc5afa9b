import { join, resolve } from 'node:path';
import { canonicalJson, type Json } from '../canonical.js';
import { CacheError } from '../errors.js';
import { errorCode, readWhole, restoreAside, type StoreSystem, storeError, writeAtomically } from '../files/index.js';
import { checkSpec, type SetSpec } from './spec.js';

/** What says whose vectors a folder holds. */
export const SPEC_FILE = '_set.json';
const MAX_SPEC = 2 ** 20;

/** What people read before the digits; anything but letters, digits, dot, hyphen and underscore becomes a hyphen. */
export function folderName(name: string): string {
  const safe = name.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[._-]+/, '');
  return safe.slice(0, 64) || 'set';
}

/** @returns the folders in a cache whose name ends in the first 12 digits of the fingerprint, in order, those too that a dead gc had aside */
export async function folders(system: StoreSystem, cache: string, print: string): Promise<string[]> {
  const digits = print.slice(0, 12);
  try {
    await restoreAside(system, cache);
    const names = (await system.list(cache)).filter((name) => name === digits || name.endsWith(`-${digits}`));
    return names.sort().map((name) => join(resolve(cache), name));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw storeError(error, 'to list the cache', cache);
  }
}

/**
 * Makes the folder of a set, with what says whose vectors it holds.
 * @throws CacheError when it cannot be written
 */
export async function makeSetFolder(system: StoreSystem, dir: string, spec: SetSpec): Promise<void> {
  try {
    await system.makeFolder(dir);
  } catch (error) {
    throw storeError(error, 'to make a folder', dir);
  }
  await writeAtomically(system, dir, SPEC_FILE, [Buffer.from(canonicalJson(spec as Json))]);
}

/** @returns whether a set is not there any more: `cache gc` took it out */
export const isGone = async (system: StoreSystem, dir: string): Promise<boolean> =>
  (await system.kind(join(dir, SPEC_FILE)).catch(() => 'other')) === null;

/** @returns null where the folder has no `_set.json` */
export async function readSpec(system: StoreSystem, dir: string): Promise<SetSpec | null> {
  const path = join(dir, SPEC_FILE);
  let text: string;
  try {
    text = Buffer.from(await readWhole(system, path, MAX_SPEC)).toString('utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return null;
    throw storeError(error, 'to read a feature set', path);
  }
  const damaged = (reason: unknown): CacheError =>
    new CacheError(
      `${path} is damaged: it must hold JSON; put it back from a copy, or delete ${dir} and run features again`,
      {
        cause: reason,
      },
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(error);
  }
  const spec = checkSpec(value, path);
  try {
    canonicalJson(spec as Json);
  } catch (error) {
    throw damaged(error);
  }
  return spec;
}
