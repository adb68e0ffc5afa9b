import { CacheError, UsageError } from '../errors.js';
import { FeatureSet } from '../features/index.js';

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

/** Vectors by content, read once. */
export interface VectorTable {
  /** `[rows, d]` */
  readonly x: Float32Array;
  readonly d: number;
  /** Content hash to row. */
  readonly rows: ReadonlyMap<string, number>;
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

  /** Notes that the sets are in use, for `cache gc`. */
  async markUsed(): Promise<void> {
    for (const { sets } of this.groups) for (const set of sets) await set.markUsed();
  }

  /** The contents that are in quarantine in any of the sets. */
  async quarantined(): Promise<{ has(key: string): boolean }> {
    const lists = await Promise.all(this.groups.flatMap(({ sets }) => sets.map((set) => set.quarantine())));
    return { has: (key) => lists.some((list) => list.has(key)) };
  }

  /**
   * @returns the vectors of the contents that have one everywhere, in the order of their hashes, so that a head depends neither on
   * names nor on what else is read; others are not in `rows`
   */
  async read(keys: Iterable<string>): Promise<VectorTable> {
    const asked = [...new Set(keys)].sort();
    const tables: VectorTable[] = [];
    for (const group of this.groups) tables.push(await readGroup(group, asked));
    const [only] = tables;
    if (only !== undefined && tables.length === 1 && inOrder(only.rows)) return only;
    const d = tables.reduce((sum, table) => sum + table.d, 0);
    const complete = asked.filter((key) => tables.every(({ rows }) => rows.has(key)));
    const x = new Float32Array(complete.length * d);
    let left = 0;
    for (const table of tables) {
      for (const [row, key] of complete.entries()) x.set(vectorOf(table, key), row * d + left);
      left += table.d;
    }
    return { x, d, rows: new Map(complete.map((key, row) => [key, row])) };
  }
}

/** Whether the rows stand in the order of their hashes, as they do where one set holds all. */
function inOrder(rows: ReadonlyMap<string, number>): boolean {
  let last = '';
  for (const key of rows.keys()) {
    if (key < last) return false;
    last = key;
  }
  return true;
}

/** @returns the vector of a content that the table has */
function vectorOf({ x, d, rows }: VectorTable, key: string): Float32Array {
  const row = rows.get(key) ?? 0;
  return x.subarray(row * d, (row + 1) * d);
}

async function readGroup({ sets }: Group, keys: readonly string[]): Promise<VectorTable> {
  const d = sets[0]?.spec.features ?? 0;
  let table: VectorTable = { x: new Float32Array(0), d, rows: new Map() };
  let missing = keys;
  for (const set of sets) {
    const wanted = missing;
    const { vectors, found, missing: absent } = await set.read(wanted);
    const rows = new Map(table.rows);
    for (const index of found) rows.set(wanted[index] as string, rows.size);
    const x = table.rows.size === 0 ? vectors : new Float32Array(rows.size * d);
    if (x !== vectors) {
      x.set(table.x);
      x.set(vectors, table.x.length);
    }
    table = { x, d, rows };
    missing = absent;
    if (missing.length === 0) break;
  }
  return table;
}

/**
 * @returns how many features have the same value in all of these rows
 * @throws CacheError when that is so of all features, as nothing can be learned then
 */
export function constantFeatures({ x, d }: VectorTable, rows: Uint32Array): number {
  const first = rows[0];
  if (first === undefined || rows.every((row) => row === first)) return 0;
  const constant = new Uint8Array(d).fill(1);
  for (const row of rows) {
    for (let j = 0; j < d; j++) if (x[row * d + j] !== x[first * d + j]) constant[j] = 0;
  }
  const count = constant.reduce((sum, one) => sum + one, 0);
  if (count < d) return count;
  throw new CacheError('all training vectors are the same: the base, or its tap, does not tell these images apart');
}
