import path from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { HeadError } from '../errors.js';
import { errorCode, readNamed, realSystem, type StoreSystem, whyUnreadable } from '../files/index.js';
import { isFields } from './fields.js';

/** Bytes of the largest results that are read. */
const LARGEST = 2 ** 30;

/** What the results of a sweep say of it. */
export interface SweepFacts {
  /** Of the sweep, 64 hex digits; null where an earlier version did not note it, or the file is damaged. */
  readonly identity: string | null;
  /** Of its best head. */
  readonly head: string | null;
  /** Fingerprints of the sets that it was made from; null where the file is damaged. */
  readonly sets: readonly string[] | null;
}

/**
 * @returns what the results in a folder say; null where it holds none
 * @throws HeadError where they may not be read
 */
export async function readSweepFacts(dir: string, system: StoreSystem = realSystem): Promise<SweepFacts | null> {
  const file = path.join(dir, 'results.arrow');
  let bytes: Buffer;
  try {
    bytes = await readNamed(file, LARGEST, system);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return null;
    throw new HeadError(`${file} ${whyUnreadable(error)}: change its permissions`, { cause: error });
  }
  try {
    const facts: unknown = JSON.parse(tableFromIPC(bytes).schema.metadata.get('permafrost.sweep') ?? '');
    const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
    const texts = (value: unknown): string[] | null =>
      Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : null;
    if (isFields(facts)) return { identity: text(facts.identity), head: text(facts.head), sets: texts(facts.sets) };
  } catch {
    // damaged: it says nothing
  }
  return { identity: null, head: null, sets: null };
}
