import { type BaseSpec, renewed, superseded } from '../base/index.js';
import { canonicalJson, type Json } from '../canonical.js';
import type { FeatureSet, SetSpec, StoreOptions } from '../store/index.js';
import { openSets } from './cache/list.js';

/** @returns the sets of a cache that hold what a spec describes, made from pixels of an older revision */
export async function olderSets(
  cache: string,
  spec: BaseSpec | SetSpec,
  options: StoreOptions = {},
): Promise<FeatureSet[]> {
  const wanted = canonicalJson(spec as Json);
  const sets = await openSets(cache, options).catch(() => []);
  return sets.filter(({ spec }) => superseded(spec) !== null && canonicalJson(renewed(spec) as Json) === wanted);
}
