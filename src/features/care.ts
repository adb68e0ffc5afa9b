import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { byCodePoint } from '../canonical.js';
import { CacheError } from '../errors.js';
import { realSystem } from '../files/index.js';
import { listParts, type Maker, Part } from './part.js';
import { firstUnstorable } from './part-writer.js';
import { FeatureSet } from './set.js';

/** What `cache ls` shows of a set. */
export interface SetSummary {
  /** Name of its folder. */
  readonly set: string;
  readonly dir: string;
  /** Length of a vector. */
  readonly dim: number;
  /** Distinct contents with a vector. */
  readonly images: number;
  readonly quarantined: number;
  readonly parts: number;
  /** Of all parts. */
  readonly bytes: number;
  /** When it last grew; null while it is empty. */
  readonly modified: Date | null;
  /** Who made the parts; more than one is a mix. */
  readonly makers: readonly Maker[];
  /** Sentences about parts that cannot be read. */
  readonly damaged: readonly string[];
}

const SET = /-[0-9a-f]{12}$/;

/** The folders of a cache that hold feature sets, sorted. */
async function setFolders(cache: string): Promise<string[]> {
  const entries = await readdir(cache, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'there is no such folder' : `it cannot be read (${error.code})`;
    throw new CacheError(`${cache}: ${reason}: give the --cache that features wrote to`, { cause: error });
  });
  const names = entries.filter((entry) => entry.isDirectory() && SET.test(entry.name)).map(({ name }) => name);
  return names.sort(byCodePoint).map((name) => path.join(cache, name));
}

/**
 * The feature sets of a cache, by name. Reads keys, no vectors.
 * @throws CacheError when the cache cannot be read
 */
export async function listSets(cache: string): Promise<SetSummary[]> {
  const found: SetSummary[] = [];
  for (const folder of await setFolders(cache)) {
    const set = await FeatureSet.open(folder);
    const damaged: string[] = [];
    const { parts, bytes, makers } = await set.info();
    const keys = await set.keys((error) => damaged.push(error.message));
    const times = await Promise.all(
      (await listParts(realSystem, set.dir)).map((name) => realSystem.modified(path.join(set.dir, name))),
    );
    found.push({
      set: path.basename(set.dir),
      dir: set.dir,
      dim: set.spec.features,
      images: keys.size,
      quarantined: (await set.quarantine()).size,
      parts,
      bytes,
      modified: times.length === 0 ? null : new Date(Math.max(...times)),
      makers: makers.map(({ engine, engineVersion, version }) => ({ engine, engineVersion, version })),
      damaged,
    });
  }
  return found;
}

/** What `cache verify` found in one set. */
export interface Verified {
  readonly set: string;
  readonly dir: string;
  readonly parts: number;
  /** Rows of sound parts. */
  readonly rows: number;
  readonly damaged: readonly { readonly part: string; readonly reason: string }[];
  /** Whether the damaged parts have been deleted; the next `features` extracts their images again. */
  readonly repaired: boolean;
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** @returns the rows of a sound part, or why it is not sound */
async function check(set: FeatureSet, name: string): Promise<number | string> {
  const id = (await sha256(path.join(set.dir, name))).slice(0, 32);
  if (name !== `part-${id}.arrow`) return `its bytes hash to ${id}, so they are not those that were written`;
  const part = await Part.open(realSystem, set.dir, name, set);
  try {
    for (let batch = 0; batch < part.batches; batch++) {
      await part.keys(batch);
      const vectors = await part.vectors(batch);
      const bad = firstUnstorable(vectors, set.spec.type);
      if (bad >= 0) return `row ${Math.floor(bad / set.spec.features)} of batch ${batch} holds ${vectors[bad]}`;
    }
    return part.rows;
  } finally {
    await part.close();
  }
}

/**
 * Checks every part of the sets of a cache, or of the folders given: that its bytes are those it is named after, that it reads to
 * its end, belongs to the set, and that every value is finite.
 * @param options `repair` deletes damaged parts, so that the next `features` extracts their images again
 * @throws CacheError for a folder that is no set
 */
export async function verifySets(
  cache: string,
  folders: readonly string[] = [],
  { repair = false }: { readonly repair?: boolean } = {},
): Promise<Verified[]> {
  const results: Verified[] = [];
  const given = await Promise.all(
    folders.map(async (folder) => ((await stat(folder).catch(() => null)) ? folder : path.join(cache, folder))),
  );
  for (const folder of folders.length > 0 ? given : await setFolders(cache)) {
    const set = await FeatureSet.open(folder);
    const names = await listParts(realSystem, set.dir);
    const damaged: { part: string; reason: string }[] = [];
    let rows = 0;
    for (const part of names) {
      const found = await check(set, part).catch((error: unknown) => {
        if (error instanceof CacheError) return error.message;
        throw error;
      });
      if (typeof found === 'number') rows += found;
      else damaged.push({ part, reason: found });
    }
    if (repair) for (const { part } of damaged) await unlink(path.join(set.dir, part));
    const repaired = repair && damaged.length > 0;
    results.push({ set: path.basename(set.dir), dir: set.dir, parts: names.length, rows, damaged, repaired });
  }
  return results;
}
