import path from 'node:path';
import { type BaseSpec, calibrationOf, keptSpeed } from '../../base/index.js';
import { byCodePoint } from '../../canonical.js';
import { CacheError } from '../../errors.js';
import { errorCode, realSystem, restoreAside, treeSize, whyUnreadable } from '../../files/index.js';
import { checkOptions } from '../../options/check.js';
import type { Int8Report } from '../../quantize/index.js';
import { FeatureSet, type Maker, type StoreOptions, type StoreSystem } from '../../store/index.js';
import { THUMBNAILS, thumbnailParts } from '../../store/thumbnails.js';

/** What `cache ls` shows of a set. */
export interface SetSummary {
  /** Name of its folder. */
  readonly set: string;
  readonly dir: string;
  /** Name of the base in front of its digits. */
  readonly base: string;
  /** Length of a vector. */
  readonly dim: number;
  /** How the values are stored. */
  readonly type: 'float32' | 'float16';
  /** What the base computed in; of int8 how near to float32, where the cache keeps its calibration. */
  readonly precision: 'float32' | 'int8';
  readonly int8: Pick<Int8Report, 'fidelity' | 'share' | 'speed'> | null;
  /** Distinct contents with a vector. */
  readonly images: number;
  readonly quarantined: number;
  readonly parts: number;
  /** Of all parts. */
  readonly bytes: number;
  /** When it was last extracted into, trained on, predicted with or exported. */
  readonly used: Date;
  /** Who made the parts; more than one is a mix. */
  readonly makers: readonly Maker[];
  /** Sentences about parts that cannot be read. */
  readonly damaged: readonly string[];
}

const SET = /-[0-9a-f]{12}$/;

/**
 * The feature sets of a cache, by name; folders that a crash left without `_set.json` are none.
 * @throws CacheError when the cache cannot be read, or a set is damaged or of another format
 */
export async function openSets(cache: string, options: StoreOptions = {}): Promise<FeatureSet[]> {
  const system = options.system ?? realSystem;
  await restoreAside(system, cache);
  const names = await system.list(cache).catch((error: unknown) => {
    const reason =
      errorCode(error) === 'ENOENT' ? 'there is no such folder' : `it cannot be read (${errorCode(error)})`;
    throw new CacheError(`${cache}: ${reason}: give the --cache that features wrote to`, { cause: error });
  });
  const sets: FeatureSet[] = [];
  for (const name of names.filter((name) => SET.test(name)).sort(byCodePoint)) {
    const folder = path.join(cache, name);
    const mark = path.join(folder, '_set.json');
    if (!(await exists(system, mark))) continue;
    try {
      sets.push(await FeatureSet.open(folder, options));
    } catch (error) {
      if (await exists(system, mark)) throw error; // else it was taken out meanwhile
    }
  }
  return sets;
}

/**
 * Sets by their folders, or by their names in a cache; without any, all of the cache.
 * @throws CacheError for a folder that is no set
 */
export async function chooseSets(
  cache: string,
  given: readonly string[],
  options: StoreOptions = {},
): Promise<FeatureSet[]> {
  if (given.length === 0) return openSets(cache, options);
  const system = options.system ?? realSystem;
  const sets: FeatureSet[] = [];
  for (const one of given) {
    sets.push(await FeatureSet.open((await exists(system, one)) ? one : path.join(cache, one), options));
  }
  return sets;
}

async function exists(system: StoreSystem, file: string): Promise<boolean> {
  try {
    return (await system.kind(file)) !== null;
  } catch (error) {
    throw new CacheError(`${file} ${whyUnreadable(error)}: change its permissions`, { cause: error });
  }
}

async function int8Of(cache: string, { spec }: FeatureSet, options: StoreOptions): Promise<SetSummary['int8']> {
  if (spec.precision !== 'int8') return null;
  const found = await calibrationOf(cache, spec as unknown as BaseSpec, options).catch(() => null);
  if (found === null) return null;
  const { mean, low, images } = found.fidelity;
  return {
    fidelity: { mean, low, images },
    share: found.share,
    speed: await keptSpeed(cache, spec as unknown as BaseSpec, options),
  };
}

/**
 * What the feature sets of a cache hold, by name. Reads keys, no vectors.
 * @throws CacheError when the cache cannot be read
 */
export async function listSets(cache: string, options: StoreOptions = {}): Promise<SetSummary[]> {
  checkOptions('cache ls', options);
  const found: SetSummary[] = [];
  for (const set of await openSets(cache, options)) {
    const damaged = new Set<string>();
    const { parts, bytes, makers } = await set.info((error) => damaged.add(error.message));
    const keys = await set.keys((error) => damaged.add(error.message));
    const name = path.basename(set.dir);
    found.push({
      set: name,
      dir: set.dir,
      base: name.replace(SET, ''),
      dim: set.spec.features,
      type: set.spec.type,
      precision: set.spec.precision === 'int8' ? 'int8' : 'float32',
      int8: await int8Of(cache, set, options),
      images: keys.size,
      quarantined: (await set.quarantine()).size,
      parts,
      bytes,
      used: new Date(await set.lastUsed()),
      makers: makers.map(({ engine, engineVersion, version }) => ({ engine, engineVersion, version })),
      damaged: [...damaged],
    });
  }
  return found;
}

/** @returns how many parts of small pictures a cache holds, and their bytes @throws CacheError when it cannot be read */
export async function listThumbnails(
  cache: string,
  { system = realSystem }: StoreOptions = {},
): Promise<{ readonly parts: number; readonly bytes: number }> {
  const parts = (await thumbnailParts(cache, system)).length;
  return { parts, bytes: parts === 0 ? 0 : await treeSize(system, path.join(cache, THUMBNAILS)) };
}
