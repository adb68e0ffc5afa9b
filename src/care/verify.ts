import { createHash } from 'node:crypto';
import path from 'node:path';
import { CacheError } from '../errors.js';
import { type FeatureSet, firstUnstorable, type StoreOptions } from '../features/index.js';
import { listParts, Part } from '../features/part.js';
import { storeError } from '../files/index.js';
import { chooseSets } from './list.js';

/** What `cache verify` found in one set. */
export interface Verified {
  readonly set: string;
  readonly dir: string;
  readonly parts: number;
  /** Rows of sound parts. */
  readonly rows: number;
  readonly damaged: readonly DamagedPart[];
  /** Whether the damaged parts have been deleted; the next `features` extracts their images again. */
  readonly repaired: boolean;
}

export interface DamagedPart {
  /** File name. */
  readonly part: string;
  readonly reason: string;
}

export interface VerifyOptions extends StoreOptions {
  /** Names or folders of sets. Default: all of the cache. */
  readonly sets?: readonly string[];
  /** Delete damaged parts, so that the next `features` extracts their images again. Default false. */
  readonly repair?: boolean;
}

const PIECE = 2 ** 20;

/** @returns the SHA-256 of a file's bytes in hex */
async function sha256(set: FeatureSet, name: string): Promise<string> {
  const file = path.join(set.dir, name);
  const hash = createHash('sha256');
  try {
    const open = await set.system.open(file, 'read');
    try {
      const piece = new Uint8Array(PIECE);
      for (let at = 0, read = PIECE; read === PIECE; at += read) {
        read = await open.read(piece, at);
        hash.update(piece.subarray(0, read));
      }
    } finally {
      await open.close();
    }
  } catch (error) {
    throw storeError(error, 'to read a part', file);
  }
  return hash.digest('hex');
}

/** @returns the rows of a sound part, or why it is not sound */
async function check(set: FeatureSet, name: string): Promise<number | string> {
  const id = (await sha256(set, name)).slice(0, 32);
  if (name !== `part-${id}.arrow`) return `its bytes hash to ${id}, so they are not those that were written`;
  const part = await Part.open(set.system, set.dir, name, set);
  try {
    let scratch = new ArrayBuffer(0);
    for (let batch = 0; batch < part.batches; batch++) {
      await part.keys(batch);
      const vectors = await part.vectors(batch, scratch);
      scratch = vectors.buffer as ArrayBuffer;
      const bad = firstUnstorable(vectors, set.spec.type);
      if (bad >= 0) return `row ${Math.floor(bad / set.spec.features)} of batch ${batch} holds ${vectors[bad]}`;
    }
    return part.rows;
  } finally {
    await part.close();
  }
}

/**
 * Checks every part of the sets of a cache, or of the sets given: that its bytes are those it is named after, that it reads to
 * its end, belongs to the set, and that every value is finite.
 * @throws CacheError for a folder that is no set
 */
export async function verifySets(cache: string, options: VerifyOptions = {}): Promise<Verified[]> {
  const { sets = [], repair = false } = options;
  const results: Verified[] = [];
  for (const set of await chooseSets(cache, sets, options)) {
    const names = await listParts(set.system, set.dir);
    const damaged: DamagedPart[] = [];
    let rows = 0;
    for (const part of names) {
      const found = await check(set, part).catch((error: unknown) => {
        if (error instanceof CacheError) return error.message;
        throw error;
      });
      if (typeof found === 'number') rows += found;
      else damaged.push({ part, reason: found });
    }
    if (repair) for (const { part } of damaged) await set.system.unlink(path.join(set.dir, part));
    const repaired = repair && damaged.length > 0;
    results.push({ set: path.basename(set.dir), dir: set.dir, parts: names.length, rows, damaged, repaired });
  }
  return results;
}
