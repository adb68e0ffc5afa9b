import path from 'node:path';
import { errorCode, removeStale } from '../../files/index.js';
import { checkOptions } from '../../options/check.js';
import { type Compacted, type CompactOptions, compactSet } from '../../store/compact.js';
import { isGone, type StoreOptions } from '../../store/index.js';
import { chooseSets } from './list.js';
import type { CacheProgressHook } from './progress.js';

export interface CompactSetsOptions extends StoreOptions, CacheProgressHook {
  /** Names or folders of sets. Default: all of the cache. */
  readonly sets?: readonly string[];
  readonly onDamaged?: CompactOptions['onDamaged'];
}

/** What `cache compact` did to one set. */
export interface CompactedSet extends Compacted {
  /** Name of its folder. */
  readonly set: string;
  readonly dir: string;
}

/**
 * Merges the small parts of sets into full ones, takes out rows whose content stands twice, and makes one file of a quarantine of several. Vectors keep their bits; parts of
 * different engines and versions are not mixed. Sets stay valid at every moment, and may be read and written meanwhile.
 * @throws CacheError for a folder that is no set, when the disk fails, or for a damaged part where `onDamaged` is not given
 */
export async function compactSets(cache: string, options: CompactSetsOptions = {}): Promise<CompactedSet[]> {
  checkOptions('cache compact', options);
  const { sets = [], onDamaged, onProgress } = options;
  const results: CompactedSet[] = [];
  for (const set of await chooseSets(cache, sets, options)) {
    await removeStale(set.system, set.dir);
    const onPart = (done: number, total: number): void => onProgress?.({ done, total, what: 'parts' });
    try {
      const done = await compactSet(set, { onPart, ...(onDamaged === undefined ? {} : { onDamaged }) });
      await (await set.quarantine()).merge();
      results.push({ set: path.basename(set.dir), dir: set.dir, ...done });
    } catch (error) {
      if (!(await isGone(set.system, set.dir)) && errorCode((error as Error).cause) !== 'ENOENT') throw error;
      // else cache gc took it out meanwhile: there is nothing to merge
    }
  }
  return results;
}
