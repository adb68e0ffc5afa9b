import { join } from 'node:path';
import { sha256Hex } from '../canonical.js';
import { CacheError } from '../errors.js';
import { errorCode, storeError } from '../files/index.js';
import { BitList } from './bit-list.js';
import { removeKeyFiles } from './held-keys.js';
import { KeySorter } from './key-sorter.js';
import { listParts, type Maker, Part } from './part.js';
import { PART_ROWS, PartWriter, partCapacity } from './part-writer.js';
import type { FeatureSet } from './set.js';

export interface CompactOptions {
  /** Which contents stay; rows of others are dropped. Default: all. @param key 32 bytes, not to be kept */
  readonly keep?: (key: Uint8Array) => boolean;
  /** Only say what would be done. Default false. */
  readonly dryRun?: boolean;
  /** Is told of each damaged part, which is left alone; without it the first one is thrown. */
  readonly onDamaged?: (error: CacheError) => void;
  /** How many of the parts that are merged are read. */
  readonly onPart?: (done: number, total: number) => void;
}

export interface Compacted {
  /** Parts before and after; before also where nothing was to be done. */
  readonly parts: { readonly before: number; readonly after: number };
  readonly bytes: { readonly before: number; readonly after: number };
  /** Rows whose key stands in an earlier part too. */
  readonly duplicates: number;
  /** Rows that `keep` refused. */
  readonly dropped: number;
}

/** A part as the first pass saw it. */
interface Seen {
  readonly name: string;
  readonly bytes: number;
  readonly rows: number;
  readonly maker: Maker;
  /** The number of its first row among those of all parts. */
  readonly first: number;
  /** Its rows whose key an earlier row has. */
  readonly repeated: number;
  /** Rows besides those that `keep` refuses. */
  readonly refused: number;
}

/** Processes that compact one set at once see each other's parts vanish, and begin again. */
const ATTEMPTS = 5;

/**
 * Merges small parts of one maker into full ones, and takes out rows that do not count: of a key in two parts the later one, and
 * what `keep` refuses. Vectors keep their bits, parts of different makers stay apart. The new parts are in place before an old
 * one goes, and old ones go from the last name to the first, so that at every moment each key has the vector that it had before.
 * Any number of processes may read, write and compact the set meanwhile.
 * @throws CacheError when a part is damaged and there is no `onDamaged`, or the disk fails
 */
export async function compactSet(set: FeatureSet, options: CompactOptions = {}): Promise<Compacted> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await compactOnce(set, options);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || attempt === ATTEMPTS) throw storeError(error, 'to merge parts', set.dir);
    }
  }
}

async function compactOnce(
  set: FeatureSet,
  { keep, dryRun = false, onDamaged, onPart }: CompactOptions,
): Promise<Compacted> {
  const { seen, isLeft } = await survey(set, keep, onDamaged);
  const capacity = partCapacity(set.spec);
  const groups = new Map<string, Seen[]>();
  for (const part of seen) {
    const maker = JSON.stringify(part.maker);
    const group = groups.get(maker);
    if (group === undefined) groups.set(maker, [part]);
    else group.push(part);
  }
  const rewrites = [...groups.values()].map((group) => toRewrite(group, capacity)).filter(({ length }) => length > 0);
  const gone = rewrites.flat();
  const sum = (values: readonly Seen[], of: (part: Seen) => number): number =>
    values.reduce((total, part) => total + of(part), 0);
  const before = { parts: seen.length, bytes: sum(seen, ({ bytes }) => bytes) };
  const made = { parts: 0, bytes: 0 };
  let read = 0;
  const onRead = (): void => onPart?.(++read, gone.length);
  for (const group of rewrites) {
    const rows = sum(group, staying);
    if (dryRun) {
      made.parts += Math.ceil(rows / capacity);
      made.bytes += sum(group, (part) => (part.rows === 0 ? 0 : (part.bytes * staying(part)) / part.rows));
    } else {
      const written = await rewrite(set, group, isLeft, onRead);
      made.parts += written.length;
      for (const name of written) made.bytes += await set.system.size(join(set.dir, name));
    }
  }
  if (!dryRun && gone.length > 0) {
    await remove(set, gone.map(({ name }) => name).sort());
    await removeKeyFiles(set);
  }
  return {
    parts: { before: before.parts, after: before.parts - gone.length + made.parts },
    bytes: { before: before.bytes, after: Math.round(before.bytes - sum(gone, ({ bytes }) => bytes) + made.bytes) },
    duplicates: sum(seen, ({ repeated }) => repeated),
    dropped: sum(seen, ({ refused }) => refused),
  };
}

const staying = ({ rows, repeated, refused }: Seen): number => rows - repeated - refused;

/**
 * Those parts of one maker that are to be written anew: any with a row that must go, as else a merged part's name might put that
 * row before the one that counts; and the small ones, where that makes fewer parts.
 */
function toRewrite(group: readonly Seen[], capacity: number): Seen[] {
  const mustGo = group.filter((part) => staying(part) < part.rows);
  const isSmall = (part: Seen): boolean => staying(part) < capacity;
  const rest = group.filter((part) => staying(part) === part.rows && isSmall(part));
  const rows = [...mustGo, ...rest].reduce((sum, part) => sum + staying(part), 0);
  const saves = Math.ceil(rows / capacity) < mustGo.length + rest.length;
  return saves && rest.length + mustGo.length > 1 ? [...mustGo, ...rest] : mustGo;
}

/**
 * Reads the keys of all parts, by name.
 * @returns `isLeft`: whether a row, by its number, stays
 */
async function survey(
  set: FeatureSet,
  keep: CompactOptions['keep'],
  onDamaged: CompactOptions['onDamaged'],
): Promise<{ readonly seen: Seen[]; readonly isLeft: (row: number) => boolean }> {
  const sorter = new KeySorter(set.system, set.dir);
  try {
    const read: Omit<Seen, 'repeated' | 'refused'>[] = [];
    const refused = new BitList();
    for (const name of await listParts(set.system, set.dir)) {
      try {
        const part = await Part.open(set.system, set.dir, name, set);
        try {
          // All of a part's keys are sound before the first of them counts.
          const batches: Uint8Array[] = [];
          for (let batch = 0; batch < part.batches; batch++) batches.push(await part.keys(batch));
          const first = sorter.rows;
          for (const flat of batches) {
            for (let row = 0; keep !== undefined && row < flat.length / 32; row++) {
              if (!keep(flat.subarray(row * 32, row * 32 + 32))) refused.set(sorter.rows + row);
            }
            sorter.add(flat);
          }
          read.push({ name, bytes: part.size, rows: part.rows, maker: part.maker, first });
        } finally {
          await part.close();
        }
      } catch (error) {
        if (onDamaged === undefined || !(error instanceof CacheError)) throw error;
        onDamaged(error);
      }
    }
    const repeats = await sorter.repeats();
    const seen = read.map((part): Seen => {
      let [repeated, gone] = [0, 0];
      for (let row = part.first; row < part.first + part.rows; row++) {
        if (repeats.has(row)) repeated++;
        else if (refused.has(row)) gone++;
      }
      return { ...part, repeated, refused: gone };
    });
    return { seen, isLeft: (row) => !repeats.has(row) && !refused.has(row) };
  } finally {
    sorter.close();
  }
}

/** Writes the rows of the parts that stay into new parts. @returns their names */
async function rewrite(
  set: FeatureSet,
  group: readonly Seen[],
  isLeft: (row: number) => boolean,
  onRead: () => void,
): Promise<readonly string[]> {
  const [first] = group;
  if (first === undefined) return [];
  const d = set.spec.features;
  const sources = group.map(({ name }) => name).sort();
  // That the names of its sources are in a part makes its own name differ from theirs, and theirs from what is made of it: of
  // processes that merge at once none can remove as old what another has just made.
  const writer = new PartWriter(set.system, set, first.maker, PART_ROWS, { merged: sha256Hex(sources.join()) });
  let scratch = new ArrayBuffer(0);
  for (const one of [...group].sort((a, b) => a.first - b.first)) {
    const part = await Part.open(set.system, set.dir, one.name, set);
    let number = one.first;
    try {
      for (let batch = 0; batch < part.batches; batch++) {
        const flat = await part.keys(batch);
        const vectors = await part.vectors(batch, scratch);
        scratch = vectors.buffer as ArrayBuffer;
        for (let row = 0; row < flat.length / 32; row++) {
          if (!isLeft(number++)) continue;
          await writer.add(flat.subarray(row * 32, row * 32 + 32), vectors.subarray(row * d, (row + 1) * d));
        }
      }
    } finally {
      await part.close();
    }
    onRead();
  }
  await writer.close();
  return writer.names;
}

/** @param names ascending; a crash on the way leaves the first of them, whose rows come first as they did */
async function remove(set: FeatureSet, names: readonly string[]): Promise<void> {
  for (const name of names.toReversed()) {
    await set.system.unlink(join(set.dir, name)).catch((error: unknown) => {
      if (errorCode(error) !== 'ENOENT') throw storeError(error, 'to remove a merged part', join(set.dir, name));
    });
  }
  await set.system.syncFolder(set.dir).catch((error: unknown) => {
    throw storeError(error, 'to remove merged parts', set.dir);
  });
}
