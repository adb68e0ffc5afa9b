import path from 'node:path';
import { discard, realSystem, type StoreSystem, takeOut } from '../../files/index.js';
import { checkOptions } from '../../options/check.js';
import { compactSet } from '../../store/compact.js';
import { type FeatureSet, isGone, lastUsed } from '../../store/index.js';
import { digestOf, type Garbage, type GcOptions, type GcPlan, type Planned, planGarbage } from './gc-plan.js';
import { openSets } from './list.js';
import { neededIn } from './references.js';

export type { Garbage, GcOptions } from './gc-plan.js';

export interface GcResult {
  readonly garbage: readonly Garbage[];
  /** Sets that would go but were used within the last minute, or since it was planned, so that a run may be writing them. */
  readonly inUse: readonly string[];
  /** Bytes of `garbage`: what would be freed, or what was. */
  readonly frees: number;
  /** Bytes of the cache before. */
  readonly size: number;
  /** False after a dry run. */
  readonly done: boolean;
}

/**
 * Takes out of a cache what is not wanted any more: sets by age, by size, because their pixels are outdated or because nothing
 * refers to them, and always what nothing can use: bases that no set, no head and no sweep needs, shortcuts to such, and what dead
 * runs left. Heads and sweeps are never touched, nor is what comes into use meanwhile.
 * It is a dry run without `yes`.
 * @throws UsageError for options that do not go together; CacheError, DataError or LabelError where what is needed is not known
 */
export async function collectGarbage(cache: string, options: GcOptions = {}): Promise<GcResult> {
  checkOptions('cache gc', options);
  const { yes = false } = options;
  const plan = await planGarbage(cache, options);
  const { items, inUse } = yes ? await act(cache, plan, options) : plan;
  const garbage = items.map(({ set: _, used: __, isUnneeded: ___, keep: ____, ...item }): Garbage => item);
  const frees = garbage.reduce((sum, { bytes }) => sum + bytes, 0);
  return { garbage, inUse, frees, size: plan.size, done: yes };
}

/** Does what is planned. @returns what was done of it, and what was in use */
async function act(
  cache: string,
  plan: GcPlan,
  options: GcOptions,
): Promise<{ readonly items: readonly Planned[]; readonly inUse: readonly string[] }> {
  const system = options.system ?? realSystem;
  const items: Planned[] = [];
  const inUse = new Set(plan.inUse);
  for (const item of plan.items) {
    const done = await actOn(system, cache, item, options);
    if (done !== null) items.push(done);
    else if (item.set !== undefined && !(await isGone(system, item.path))) inUse.add(item.path);
  }
  return { items, inUse: [...inUse] };
}

/** @returns what was done; null where it has come into use, or another has done it */
async function actOn(system: StoreSystem, cache: string, item: Planned, options: GcOptions): Promise<Planned | null> {
  const { kind, set, used = 0, keep, isUnneeded = false } = item;
  const isUsed = async (place: string): Promise<boolean> => (await lastUsed(system, place)) > used;
  if (kind === 'vectors' && set !== undefined && keep !== undefined) {
    if (await isUsed(set.dir)) return null;
    const onPart = (done: number, total: number): void => options.onProgress?.({ done, total, what: 'parts' });
    const { bytes, dropped } = await compactSet(set, { keep, onPart });
    return dropped === 0 ? null : { ...item, bytes: Math.max(0, bytes.before - bytes.after), rows: dropped };
  }
  if (kind === 'set' && set !== undefined) {
    const isNeeded = async (): Promise<boolean> =>
      isUnneeded && (await neededIn(cache, options)).sets.has(set.fingerprint);
    const went = await takeOut(system, item.path, async (place) => (await isUsed(place)) || (await isNeeded()));
    return went ? item : null;
  }
  if (kind === 'base') {
    return (await takeOut(system, item.path, () => isBaseNeeded(cache, path.basename(item.path), options)))
      ? item
      : null;
  }
  await discard(system, item.path);
  return item;
}

async function isBaseNeeded(cache: string, digest: string, options: GcOptions): Promise<boolean> {
  const needed = await neededIn(cache, options);
  if (needed.bases.has(digest)) return true;
  const sets: readonly FeatureSet[] = await openSets(cache, options);
  return sets.some(({ spec }) => digestOf(spec) === digest);
}
