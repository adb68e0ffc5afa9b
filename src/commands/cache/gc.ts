import path from 'node:path';
import { baseDigest, readShortcut, superseded } from '../../base/index.js';
import {
  discard,
  errorCode,
  isTemporary,
  realSystem,
  type StoreSystem,
  staleNames,
  treeSize,
} from '../../files/index.js';
import { checkOptions } from '../../options/check.js';
import { compactSet } from '../../store/compact.js';
import { type FeatureSet, fingerprint, type SetSpec, type StoreOptions } from '../../store/index.js';
import { openSets } from './list.js';
import { DEPTH, labelledContents, type Needed, neededByHeads } from './references.js';

export interface GcOptions extends StoreOptions {
  /** Sets that were not used for so long go, in ms. */
  readonly olderThan?: number;
  /** Of the whole cache, in bytes: while it is larger the sets go that were not used for the longest time. */
  readonly maxSize?: number;
  /** Sets go that were made from pixels of an older revision. Default false. */
  readonly superseded?: boolean;
  /** Sets that no head of the cache was trained on go; with `labels`, those that hold something labelled stay. Default false. */
  readonly unreferenced?: boolean;
  /** Label files: with `unreferenced`, vectors of contents that none of them names go too. */
  readonly labels?: readonly string[];
  /** Where paths in label files lie that are not beside them. */
  readonly data?: string;
  /** Do it; without it only what would go is told. Default false. */
  readonly yes?: boolean;
}

/** Something that goes. */
export interface Garbage {
  /** `vectors`: rows of a set; `shortcut`: what names a base without opening it; `temporary`: what a dead run left. */
  readonly kind: 'set' | 'vectors' | 'base' | 'shortcut' | 'temporary';
  /** Absolute. */
  readonly path: string;
  readonly reason: string;
  /** What it frees. */
  readonly bytes: number;
  /** Of `vectors`. */
  readonly rows?: number;
}

export interface GcResult {
  readonly garbage: readonly Garbage[];
  /** Sets that would go but were used within the last minute, so that a run may be writing them. */
  readonly inUse: readonly string[];
  /** Bytes of `garbage`. */
  readonly frees: number;
  /** Bytes of the cache before. */
  readonly size: number;
  /** False after a dry run. */
  readonly done: boolean;
}

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

interface Candidate {
  readonly set: FeatureSet;
  readonly used: number;
  readonly bytes: number;
}

type Plan = Garbage & { readonly act: () => Promise<void> };

/**
 * Takes out of a cache what is not wanted any more: sets by age, by size, because their pixels are outdated or because nothing
 * refers to them, and always what nothing can use: bases that no set and no head needs, shortcuts to such, and what dead runs left. Heads are never touched.
 * It is a dry run without `yes`.
 * @throws UsageError for options that do not go together; CacheError, DataError or LabelError where what is needed is not known
 */
export async function collectGarbage(cache: string, options: GcOptions = {}): Promise<GcResult> {
  checkOptions('cache gc', options);
  const { labels = [], unreferenced = false, maxSize, yes = false } = options;
  const system = options.system ?? realSystem;
  const size = await treeSize(system, cache);
  const needed = await neededByHeads(cache, options);
  const candidates: Candidate[] = [];
  for (const set of await openSets(cache, options)) {
    candidates.push({ set, used: await set.lastUsed(), bytes: await treeSize(system, set.dir) });
  }
  candidates.sort((a, b) => a.used - b.used);
  const plans: Plan[] = [];
  const goes = new Map<FeatureSet, string>();
  const inUse = new Set<string>();
  const drop = ({ set, used }: Candidate, reason: string): void => {
    if (system.now() - used < MINUTE) inUse.add(set.dir);
    else if (!goes.has(set)) goes.set(set, reason);
  };

  for (const candidate of candidates) {
    const idle = system.now() - candidate.used;
    if (options.olderThan !== undefined && idle > options.olderThan) {
      drop(candidate, `not used for ${Math.floor(idle / DAY)} days`);
    }
  }
  if (options.superseded) {
    for (const candidate of candidates) {
      const old = superseded(candidate.set.spec);
      if (old !== null) drop(candidate, old);
    }
  }
  if (unreferenced) {
    const contents = labels.length > 0 ? await labelledContents(cache, labels, options.data, options) : null;
    for (const candidate of candidates) {
      const { set } = candidate;
      if (goes.has(set)) continue;
      const hasHead = needed.sets.has(set.fingerprint);
      if (contents === null) {
        if (!hasHead) drop(candidate, 'no head was trained on it');
        continue;
      }
      const keep = (key: Uint8Array): boolean => contents.has(key);
      const found = await compactSet(set, { keep, dryRun: true });
      if (found.dropped === 0) continue;
      if (found.parts.after === 0 && !hasHead) {
        drop(candidate, 'no head was trained on it and no label file names what it holds');
        continue;
      }
      plans.push({
        kind: 'vectors',
        path: set.dir,
        reason: 'no label file names their images',
        bytes: Math.max(0, found.bytes.before - found.bytes.after),
        rows: found.dropped,
        act: async () => {
          await compactSet(set, { keep });
        },
      });
    }
  }
  const left = (): number =>
    size -
    plans.reduce((sum, { bytes }) => sum + bytes, 0) -
    candidates.reduce((sum, { set, bytes }) => sum + (goes.has(set) ? bytes : 0), 0);
  if (maxSize !== undefined) {
    for (const candidate of candidates) {
      if (left() <= maxSize) break;
      drop(candidate, 'used least recently');
    }
  }
  for (const { set, bytes } of candidates) {
    const reason = goes.get(set);
    if (reason === undefined) continue;
    plans.push({ kind: 'set', path: set.dir, reason, bytes, act: () => discard(system, set.dir) });
  }
  const staying = candidates.filter(({ set }) => !goes.has(set)).map(({ set }) => set);
  plans.push(...(await unusedBases(system, path.resolve(cache), staying, needed)));
  plans.push(...(await leftovers(system, path.resolve(cache), staying)));
  if (yes) for (const { act } of plans) await act();
  const garbage = plans.map(({ act: _, ...item }) => item);
  return {
    garbage,
    inUse: [...inUse],
    frees: garbage.reduce((sum, { bytes }) => sum + bytes, 0),
    size,
    done: yes,
  };
}

const digestOf = ({ graph, weights }: SetSpec): string | null =>
  typeof graph === 'string' && typeof weights === 'string' ? baseDigest({ graph, weights }) : null;

/** Kept bases that neither a set nor a head needs, and shortcuts that name a set which is not there. */
async function unusedBases(
  system: StoreSystem,
  cache: string,
  sets: readonly FeatureSet[],
  needed: Needed,
): Promise<Plan[]> {
  const bases = path.join(cache, 'bases');
  const digests = new Set([...needed.bases, ...sets.map(({ spec }) => digestOf(spec))]);
  const prints = new Set([...needed.sets, ...sets.map((set) => set.fingerprint)]);
  const plans: Plan[] = [];
  for (const name of (await listed(system, bases)).sort()) {
    const place = path.join(bases, name);
    const bytes = await treeSize(system, place);
    if (/^[0-9a-f]{32}$/.test(name) && !digests.has(name)) {
      const reason = 'no set and no head needs it';
      plans.push({ kind: 'base', path: place, reason, bytes, act: () => discard(system, place) });
    }
    if (!/^_opened-.*\.json$/.test(name)) continue;
    const found = await readShortcut(place, system);
    if (found === null || !prints.has(fingerprint(found.named.spec as unknown as SetSpec))) {
      const reason = found === null ? 'it is damaged, or of another version' : 'it names a set that is not there';
      plans.push({ kind: 'shortcut', path: place, reason, bytes, act: () => system.unlink(place) });
    }
  }
  return plans;
}

/** What runs that are dead left half done, wherever they write. */
async function leftovers(system: StoreSystem, cache: string, sets: readonly FeatureSet[]): Promise<Plan[]> {
  const bases = path.join(cache, 'bases');
  const kept = (await listed(system, bases))
    .filter((name) => !name.startsWith('_'))
    .map((name) => path.join(bases, name));
  const plans: Plan[] = [];
  const made = [
    ...(await foldersBelow(system, path.join(cache, 'heads'), DEPTH)),
    ...(await foldersBelow(system, path.join(cache, 'sweeps'), DEPTH)),
  ];
  for (const folder of [cache, bases, path.join(cache, '_index'), ...kept, ...made, ...sets.map(({ dir }) => dir)]) {
    for (const name of await staleNames(system, folder)) {
      const place = path.join(folder, name);
      const bytes = await treeSize(system, place);
      const reason = 'a run that is dead left it';
      plans.push({ kind: 'temporary', path: place, reason, bytes, act: () => discard(system, place) });
    }
  }
  return plans;
}

/** A folder and those below it, temporary ones left out. */
async function foldersBelow(system: StoreSystem, folder: string, depth: number): Promise<string[]> {
  const found = [folder];
  if (depth === 0) return found;
  for (const name of (await listed(system, folder)).sort()) {
    const place = path.join(folder, name);
    if (!isTemporary(name) && (await system.kind(place).catch(() => null)) === 'folder') {
      found.push(...(await foldersBelow(system, place, depth - 1)));
    }
  }
  return found;
}

const listed = (system: StoreSystem, folder: string): Promise<string[]> =>
  system.list(folder).catch((error: unknown) => {
    if (errorCode(error) === undefined) throw error;
    return [];
  });
