import { breathe, isBreath } from '../breathe.js';
import { CacheError, UsageError } from '../errors.js';
import { FeatureSet, KeySet } from '../store/index.js';
import type { VectorSource } from '../train/vectors.js';
import { joinVectors } from './joined-vectors.js';
import { type HoldingOptions, openVectors } from './stored-vectors.js';

/** Sets of one fingerprint: what one of them lacks, another may have. */
interface Group {
  readonly fingerprint: string;
  readonly sets: readonly FeatureSet[];
}

/** What a head is trained on, as `head.json` describes it. */
export interface SetFacts {
  /** 64 hex digits. */
  readonly fingerprint: string;
  /** All of its `_set.json`. */
  readonly set: Readonly<Record<string, unknown>>;
}

/** Vectors by content. */
export interface VectorTable {
  /** In memory, or streamed from the parts. */
  readonly vectors: VectorSource;
  /** The content of each row. */
  readonly rows: KeySet;
}

/**
 * Where vectors come from: one feature set, or several. Sets of the same fingerprint are one set in several folders. Sets of
 * different fingerprints hold other features of the same images: their vectors are joined, in the order given, and an image needs
 * a vector in each of them.
 */
export class JoinedSets {
  private constructor(private readonly groups: readonly Group[]) {}

  /** @throws UsageError when a folder is given twice */
  static of(sets: readonly FeatureSet[]): JoinedSets {
    const groups = new Map<string, FeatureSet[]>();
    for (const set of sets) {
      const group = groups.get(set.fingerprint) ?? [];
      if (group.some(({ dir }) => dir === set.dir)) throw new UsageError(`the feature set ${set.dir} is given twice`);
      groups.set(set.fingerprint, [...group, set]);
    }
    return new JoinedSets([...groups].map(([fingerprint, members]) => ({ fingerprint, sets: members })));
  }

  /** @throws CacheError when a folder is no feature set */
  static async open(dirs: readonly string[]): Promise<JoinedSets> {
    return JoinedSets.of(await Promise.all(dirs.map((dir) => FeatureSet.open(dir))));
  }

  /** Folders of the sets, for messages. */
  get dirs(): readonly string[] {
    return this.groups.flatMap(({ sets }) => sets.map(({ dir }) => dir));
  }

  /** The sets whose vectors are joined, in order. */
  get facts(): readonly SetFacts[] {
    return this.groups.map(({ fingerprint, sets }) => ({
      fingerprint,
      set: sets[0]?.spec as unknown as Record<string, unknown>,
    }));
  }

  /** Notes that the sets are in use, for `cache gc`. @returns whether all are there still */
  async markUsed(): Promise<boolean> {
    let areThere = true;
    for (const { sets } of this.groups) for (const set of sets) areThere = (await set.markUsed()) && areThere;
    return areThere;
  }

  /**
   * The contents that are in quarantine and have no vector: what one machine could not use another may have, as where its disk failed.
   * @throws CacheError when a part is damaged; the signal's reason
   */
  async quarantined(signal?: AbortSignal): Promise<ReadonlySet<string>> {
    const aside = new Set<string>();
    for (const { sets } of this.groups) {
      const lists = await Promise.all(sets.map((set) => set.quarantine()));
      const keys = [...new Set(lists.flatMap((list) => list.entries().flatMap(({ sha256 }) => sha256 ?? [])))];
      if (keys.length === 0) continue;
      const found = await Promise.all(sets.map((set) => set.locate(keys, signal)));
      for (const [i, key] of keys.entries()) if (!found.some(({ have }) => have[i] === 1)) aside.add(key);
    }
    return aside;
  }

  /**
   * @returns the vectors of the contents that have one everywhere, in the order of their hashes, so that a head depends neither on
   * names nor on what else is read; others are not in `rows`. Vectors that take more bytes than `memory` (1 GiB) are read from disk
   * again each time
   */
  async read(keys: readonly string[], options: HoldingOptions = {}): Promise<VectorTable> {
    const { signal } = options;
    const asked = await distinctInOrder(keys, signal);
    const [only] = this.groups;
    if (only !== undefined && this.groups.length === 1) {
      const { source, found } = await openVectors(only.sets, asked, options);
      const rows = new KeySet();
      for (const [row, place] of found.entries()) {
        if (isBreath(row)) await breathe(signal);
        rows.add(asked[place] as string);
      }
      return { vectors: source, rows };
    }
    const { source, keys: complete } = await joinVectors(
      this.groups.map(({ sets }) => sets),
      asked,
      options,
    );
    return { vectors: source, rows: new KeySet(complete) };
  }
}

/** @returns each key once, sorted */
async function distinctInOrder(keys: readonly string[], signal?: AbortSignal): Promise<string[]> {
  const contents = new KeySet();
  const first: string[] = [];
  for (const [place, key] of keys.entries()) {
    if (isBreath(place)) await breathe(signal);
    if (contents.add(key) === first.length) first.push(key);
  }
  await breathe(signal);
  const order = contents.order();
  await breathe(signal);
  return Array.from(order, (content) => first[content] as string);
}

/**
 * @param rows ascending
 * @returns how many features have the same value in all of these rows
 * @throws CacheError when that is so of all features, as nothing can be learned then
 */
export async function constantFeatures({ vectors }: VectorTable, rows: Uint32Array): Promise<number> {
  const { d } = vectors;
  if (rows.every((row) => row === rows[0])) return 0;
  let constant = Array.from({ length: d }, (_, j) => j);
  let first: Float32Array | undefined;
  for await (const { x, at } of vectors.blocks(distinct(rows))) {
    for (const row of at) {
      const from = row * d;
      first ??= x.slice(from, from + d);
      const values = first;
      if (constant.some((j) => x[from + j] !== values[j])) constant = constant.filter((j) => x[from + j] === values[j]);
    }
    if (constant.length === 0) return 0;
  }
  if (constant.length < d) return constant.length;
  throw new CacheError('all training vectors are the same: the base, or its tap, does not tell these images apart');
}

/** @param rows ascending @returns each of them once */
export const distinct = (rows: Uint32Array): Uint32Array => rows.filter((row, i) => i === 0 || row !== rows[i - 1]);
