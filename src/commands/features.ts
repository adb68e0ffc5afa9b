import { type Base, type BaseOptions, keptBase, nameBase, openBase, rememberBase } from '../base/index.js';
import { DataError } from '../errors.js';
import { type ExtractOptions, extract, type FeaturesResult } from '../extract/extract.js';
import { holdsFiles } from '../images/index.js';
import { checkOptions } from '../options/check.js';
import { FeatureSet } from '../store/set.js';
import { fingerprint } from '../store/spec.js';

export interface FeaturesOptions extends BaseOptions, ExtractOptions {}

/**
 * Stage one: runs every image of a folder once through the base and stores the pooled vectors in the set of that base. What
 * the set holds already is not computed again; a broken image goes into the set's quarantine and costs only itself.
 * @throws UsageError, ModelError, WeightsError or DownloadError about the base; DataError about the folder; CacheError about the set;
 *   EngineError about the device; the signal's reason when it is aborted, after what is done has been stored
 */
export async function features(options: FeaturesOptions): Promise<FeaturesResult> {
  const started = performance.now();
  const { cache = 'cache' } = options;
  checkOptions('features', options);
  if (!(await holdsFiles(options.data)))
    throw new DataError(`${options.data} holds no files: give --data a folder of images`);
  const { name, spec } = await nameBase(cache, options, options);
  const set = await FeatureSet.create(cache, name, spec, options);
  options.onStart?.({ name, dir: set.dir, features: spec.features });
  const open = async (): Promise<Base> => {
    const base = (await keptBase(cache, spec).catch(() => null)) ?? (await openBase(options, options));
    if (fingerprint(base.spec) !== set.fingerprint) throw new DataError(`the base ${name} changed while it was used`);
    await rememberBase(cache, options, base, options);
    return base;
  };
  return extract(set, { ...options, started }, open);
}
