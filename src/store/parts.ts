import { join } from 'node:path';
import { CacheError } from '../errors.js';
import { errorCode, type StoreSystem, storeError } from '../files/index.js';
import { listParts, Part } from './part.js';
import type { SetSpec } from './spec.js';

/** A set that changes faster than it is listed. */
const MAX_LISTINGS = 20;

/** A feature set as its parts see it. */
export interface SetFolder {
  /** Absolute path. */
  readonly dir: string;
  readonly spec: SetSpec;
  readonly fingerprint: string;
  readonly system: StoreSystem;
}

/**
 * Opens one part after the other, by name, and lists again until a listing shows no new one: a part that vanishes has been
 * merged into another, and a listing made while that happens may show neither.
 * @param without names of parts to pass over
 */
export async function* openParts(
  set: SetFolder,
  onDamaged?: (error: CacheError) => void,
  without: Iterable<string> = [],
): AsyncGenerator<Part> {
  const done = new Set(without);
  for (let round = 0; round < MAX_LISTINGS; round++) {
    const names = await listParts(set.system, set.dir).catch((error: unknown) => {
      throw storeError(error, 'to list a feature set', set.dir);
    });
    const fresh = names.filter((name) => !done.has(name));
    if (fresh.length === 0) return;
    let vanished: unknown;
    for (const name of fresh) {
      let part: Part;
      try {
        part = await Part.open(set.system, set.dir, name, set);
      } catch (error) {
        if (errorCode(error) === 'ENOENT') {
          vanished = storeError(error, 'to read a part', join(set.dir, name));
          break;
        }
        if (onDamaged === undefined || !(error instanceof CacheError)) throw error;
        done.add(name);
        onDamaged(error);
        continue;
      }
      done.add(name);
      try {
        yield part;
      } finally {
        await part.close();
      }
    }
    if (vanished !== undefined && round === MAX_LISTINGS - 1) throw vanished;
  }
}
