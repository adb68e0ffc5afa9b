import path from 'node:path';
import { type Table, tableFromIPC } from 'apache-arrow';
import { HeadError } from '../errors.js';
import { errorCode, readNamed, realSystem, type StoreSystem, whyUnreadable } from '../files/index.js';
import { HEAD_RULES, type HeadOptions } from '../train/options.js';
import { isFields } from './fields.js';
import type { SweepRow } from './sweep-row.js';
import { sweepRows } from './sweep-table.js';

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

/** A sweep as it lies on disk. */
export interface SavedSweep extends SweepFacts {
  /** Options that differ between the heads. */
  readonly tried: readonly (keyof HeadOptions)[];
  /** Null where the file is damaged, or an earlier version wrote it without all that was measured. */
  readonly rows: readonly SweepRow[] | null;
}

/**
 * @returns what the results in a folder say; null where it holds none
 * @throws HeadError where they may not be read
 */
export async function readSweepFacts(dir: string, system: StoreSystem = realSystem): Promise<SweepFacts | null> {
  return (await readResults(dir, system))?.facts ?? null;
}

/** As `readSweepFacts`, with the results themselves. */
export async function readSweep(dir: string, system: StoreSystem = realSystem): Promise<SavedSweep | null> {
  const found = await readResults(dir, system);
  if (found === null) return null;
  const { facts, tried, table } = found;
  try {
    const isWhole = table !== null && table.getChild('metrics') !== null && table.numRows > 0;
    return { ...facts, tried, rows: isWhole ? sweepRows(table) : null };
  } catch {
    return { ...facts, tried, rows: null };
  }
}

interface Results {
  readonly facts: SweepFacts;
  readonly tried: readonly (keyof HeadOptions)[];
  readonly table: Table | null;
}

async function readResults(dir: string, system: StoreSystem): Promise<Results | null> {
  const file = path.join(dir, 'results.arrow');
  let bytes: Buffer;
  try {
    bytes = await readNamed(file, LARGEST, system);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return null;
    throw new HeadError(`${file} ${whyUnreadable(error)}: change its permissions`, { cause: error });
  }
  try {
    const table = tableFromIPC(bytes);
    const facts: unknown = JSON.parse(table.schema.metadata.get('permafrost.sweep') ?? '');
    const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
    const texts = (value: unknown): string[] | null =>
      Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : null;
    if (isFields(facts)) {
      const tried = (texts(facts.tried) ?? []).filter((name): name is keyof HeadOptions =>
        Object.hasOwn(HEAD_RULES, name),
      );
      return {
        facts: { identity: text(facts.identity), head: text(facts.head), sets: texts(facts.sets) },
        tried,
        table,
      };
    }
  } catch {
    // damaged: it says nothing
  }
  return { facts: { identity: null, head: null, sets: null }, tried: [], table: null };
}
