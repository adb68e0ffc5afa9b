import path from 'node:path';
import {
  type Base,
  type BaseOptions,
  type BaseSpec,
  dropBase,
  keptBase,
  nameBase,
  readBase,
  superseded,
} from '../base/index.js';
import { CacheError, DataError } from '../errors.js';
import { type ExtractOptions, extract, type FeaturesResult } from '../extract/extract.js';
import { holdsFiles } from '../images/index.js';
import { checkOptions } from '../options/check.js';
import { FeatureSet } from '../store/set.js';
import { fingerprint } from '../store/spec.js';
import { olderSets } from './superseded.js';

export interface FeaturesOptions extends BaseOptions, ExtractOptions {}

/**
 * Stage one: runs every image of a folder once through the base and stores the pooled vectors in the set of that base. What
 * the set holds already is not computed again; a broken image goes into the set's quarantine and costs only itself.
 * @throws UsageError, ModelError, WeightsError or DownloadError about the base; DataError about the folder, or where the base's files
 *   change meanwhile; CacheError about the set; EngineError about the device, or where the engine computes something else; the
 *   signal's reason when it is aborted, after what is done has been stored
 */
export async function features(options: FeaturesOptions): Promise<FeaturesResult> {
  const started = performance.now();
  const { cache = 'cache' } = options;
  checkOptions('features', options);
  if (!(await holdsFiles(options.data)))
    throw new DataError(`${options.data} holds no files: give --data a folder of images`);
  const hooks = { ...options, ...toldOnce(options), makesCache: true };
  const { name, spec } = await nameBase(cache, options, { ...hooks, verify: options.verifyHashes ?? false });
  const set = await FeatureSet.create(cache, name, spec, options);
  options.onStart?.({ name, dir: set.dir, features: spec.features });
  if ((await set.partNames().catch(() => [])).length === 0) {
    for (const old of await olderSets(cache, spec, options)) {
      options.onWarning?.(
        `${path.basename(old.dir)} was ${superseded(old.spec)}: all vectors are computed anew, in ${path.basename(set.dir)}; ` +
          'permafrost cache gc --superseded takes the old ones out',
      );
    }
  }
  const open = async (): Promise<Base> => {
    const base = (await soundBase(cache, spec, options)) ?? (await readBase(cache, options, hooks));
    if (fingerprint(base.spec) !== set.fingerprint)
      throw new DataError(`the base ${name} was changed while it was used: run the same command again`);
    return base;
  };
  return extract(set, { ...options, started }, open);
}

/** What a base is noted for is told once, though it is opened twice: for its name, and to run. */
function toldOnce({ onWarning }: FeaturesOptions): Pick<FeaturesOptions, 'onWarning'> {
  const told = new Set<string>();
  return {
    onWarning: (message) => {
      if (told.size !== told.add(message).size) onWarning?.(message);
    },
  };
}

/** What the cache keeps of a base; what is damaged is taken away, so that it is kept anew. */
async function soundBase(cache: string, spec: BaseSpec, options: FeaturesOptions): Promise<Base | null> {
  try {
    return await keptBase(cache, spec);
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    options.onWarning?.(`${error.message.replace(/: delete .*/, '')}: it is kept anew`);
    await dropBase(cache, spec, options).catch(() => {});
    return null;
  }
}
