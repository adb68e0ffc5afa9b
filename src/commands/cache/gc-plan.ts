import path from 'node:path';
import { baseDigest, readShortcut, superseded } from '../../base/index.js';
import {
  errorCode,
  isTemporary,
  realSystem,
  restoreAside,
  type StoreSystem,
  staleNames,
  treeSize,
} from '../../files/index.js';
import { compactSet } from '../../store/compact.js';
import { type FeatureSet, fingerprint, type SetSpec, type StoreOptions } from '../../store/index.js';
import { THUMBNAILS } from '../../store/thumbnails.js';
import { openSets } from './list.js';
import type { CacheProgressHook } from './progress.js';
import { DEPTH, labelledContents, type Needed, neededIn } from './references.js';

export interface GcOptions extends StoreOptions, CacheProgressHook {
  /** Sets that were not used for so long go, in ms. */
  readonly olderThan?: number;
  /**
   * Of the whole cache, in bytes: while it is larger the small pictures go, which are made again when they are needed, then the sets that
   * were not used for the longest time.
   */
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
  /**
   * `vectors`: rows of a set; `thumbnails`: all small pictures; `shortcut`: what names a base without opening it; `temporary`: what a dead
   * run left.
   */
  readonly kind: 'set' | 'vectors' | 'thumbnails' | 'base' | 'shortcut' | 'temporary';
  /** Absolute. */
  readonly path: string;
  readonly reason: string;
  /** What it frees. */
  readonly bytes: number;
  /** Of `vectors`. */
  readonly rows?: number;
}

/** What would go, and how it is told from what has come into use since. */
export interface Planned extends Garbage {
  /** Of sets and vectors: their set, and when it was last used. */
  readonly set?: FeatureSet;
  readonly used?: number;
  /** Of sets: whether they go because nothing needs them. */
  readonly isUnneeded?: boolean;
  /** Of vectors: whether the one of a content stays. */
  readonly keep?: (key: Uint8Array) => boolean;
}

/** A plan as data: nothing of it is done. */
export interface GcPlan {
  readonly items: readonly Planned[];
  /** As `GcResult` has them. */
  readonly inUse: readonly string[];
  readonly size: number;
}

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

interface Candidate {
  readonly set: FeatureSet;
  readonly used: number;
  readonly bytes: number;
}

/**
 * @returns what would go from a cache, in the order in which it goes
 * @throws as `collectGarbage`
 */
export async function planGarbage(cache: string, options: GcOptions): Promise<GcPlan> {
  const { labels = [], unreferenced = false, maxSize } = options;
  const system = options.system ?? realSystem;
  for (const folder of [cache, path.join(cache, 'bases')]) await restoreAside(system, folder);
  const size = await treeSize(system, cache);
  const needed = await neededIn(cache, options);
  const candidates: Candidate[] = [];
  for (const set of await openSets(cache, options)) {
    candidates.push({ set, used: await set.lastUsed(), bytes: await treeSize(system, set.dir) });
  }
  candidates.sort((a, b) => a.used - b.used);
  const going = new Map<FeatureSet, Planned>();
  const inUse = new Set<string>();
  const isInUse = ({ set, used }: Candidate): boolean => {
    if (system.now() - used >= MINUTE) return false;
    inUse.add(set.dir);
    return true;
  };
  const drop = (candidate: Candidate, reason: string, isUnneeded = false): void => {
    const { set, used, bytes } = candidate;
    const isGoing = going.get(set)?.kind === 'set';
    if (isGoing || isInUse(candidate)) return;
    going.set(set, { kind: 'set', path: set.dir, reason, bytes, set, used, isUnneeded });
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
      const { set, used } = candidate;
      if (going.has(set)) continue;
      const isNeeded = needed.sets.has(set.fingerprint);
      if (contents === null) {
        if (!isNeeded) drop(candidate, 'no head and no sweep was made from it', true);
        continue;
      }
      const keep = (key: Uint8Array): boolean => contents.has(key);
      const found = await compactSet(set, { keep, dryRun: true });
      if (found.dropped === 0) continue;
      if (found.parts.after === 0 && !isNeeded) {
        drop(candidate, 'no head and no sweep was made from it, and no label file names what it holds', true);
        continue;
      }
      if (isInUse(candidate)) continue;
      const bytes = Math.max(0, found.bytes.before - found.bytes.after);
      const reason = 'no label file names their images';
      going.set(set, { kind: 'vectors', path: set.dir, reason, bytes, rows: found.dropped, set, used, keep });
    }
  }
  const pictures: Planned[] = [];
  const left = (): number => size - [...pictures, ...going.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  if (maxSize !== undefined) {
    const place = path.join(path.resolve(cache), THUMBNAILS);
    const bytes = (await listed(system, place)).length === 0 ? 0 : await treeSize(system, place);
    if (bytes > 0 && left() > maxSize) {
      pictures.push({ kind: 'thumbnails', path: place, reason: 'made again when they are needed', bytes });
    }
    for (const candidate of candidates) {
      if (left() <= maxSize) break;
      drop(candidate, 'used least recently');
    }
  }
  const sets = [...going.values()].sort((a, b) => Number(a.kind === 'set') - Number(b.kind === 'set'));
  const staying = candidates.filter(({ set }) => going.get(set)?.kind !== 'set').map(({ set }) => set);
  const bases = await unusedBases(system, path.resolve(cache), staying, needed);
  const places = new Set(bases.map((item) => item.path));
  for (const { path: place } of pictures) places.add(place);
  const stale = await leftovers(system, path.resolve(cache), staying, places);
  return { items: [...pictures, ...sets, ...bases, ...stale], inUse: [...inUse], size };
}

/** @returns the name of the folder that keeps the base of a set; null of a set that has none */
export const digestOf = ({ graph, weights }: SetSpec): string | null =>
  typeof graph === 'string' && typeof weights === 'string' ? baseDigest({ graph, weights }) : null;

/** Kept bases that neither a set nor a head needs, and shortcuts that name a set which is not there. */
async function unusedBases(
  system: StoreSystem,
  cache: string,
  sets: readonly FeatureSet[],
  needed: Needed,
): Promise<Planned[]> {
  const bases = path.join(cache, 'bases');
  const digests = new Set([...needed.bases, ...sets.map(({ spec }) => digestOf(spec))]);
  const prints = new Set([...needed.sets, ...sets.map((set) => set.fingerprint)]);
  const plans: Planned[] = [];
  for (const name of (await listed(system, bases)).sort()) {
    const place = path.join(bases, name);
    const bytes = await treeSize(system, place);
    if (/^[0-9a-f]{32}$/.test(name) && !digests.has(name)) {
      const reason = 'no set and no head needs it';
      plans.push({ kind: 'base', path: place, reason, bytes });
    }
    if (!/^_opened-.*\.json$/.test(name)) continue;
    const found = await readShortcut(place, system);
    if (found === null || !prints.has(fingerprint(found.named.spec as unknown as SetSpec))) {
      const reason = found === null ? 'it is damaged, or of another version' : 'it names a set that is not there';
      plans.push({ kind: 'shortcut', path: place, reason, bytes });
    }
  }
  return plans;
}

/** What runs that are dead left half done, wherever they write. */
async function leftovers(
  system: StoreSystem,
  cache: string,
  sets: readonly FeatureSet[],
  going: ReadonlySet<string>,
): Promise<Planned[]> {
  const bases = path.join(cache, 'bases');
  const kept = (await listed(system, bases))
    .filter((name) => !name.startsWith('_'))
    .map((name) => path.join(bases, name))
    .filter((place) => !going.has(place));
  const plans: Planned[] = [];
  const made = [
    ...(await foldersBelow(system, path.join(cache, 'heads'), DEPTH)),
    ...(await foldersBelow(system, path.join(cache, 'sweeps'), DEPTH)),
  ];
  const pictures = [path.join(cache, THUMBNAILS)].filter((place) => !going.has(place));
  const others = [path.join(cache, '_index'), ...pictures, ...kept, ...made, ...sets.map(({ dir }) => dir)];
  for (const folder of [cache, bases, ...others]) {
    for (const name of await staleNames(system, folder)) {
      const place = path.join(folder, name);
      const bytes = await treeSize(system, place);
      const reason = 'a run that is dead left it';
      plans.push({ kind: 'temporary', path: place, reason, bytes });
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
