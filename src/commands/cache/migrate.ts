import path from 'node:path';
import { byCodePoint, canonicalJson, type Json, sha256Hex } from '../../canonical.js';
import { CacheError } from '../../errors.js';
import {
  discard,
  errorCode,
  readWhole,
  realSystem,
  restoreAside,
  type StoreSystem,
  storeError,
} from '../../files/index.js';
import { checkOptions } from '../../options/check.js';
import { FeatureSet, KeySet, type Maker, type PartWriter, Quarantine, type StoreOptions } from '../../store/index.js';
import { listParts, Part } from '../../store/part.js';
import { checkSpec, MIGRATIONS, type Migration, SET_FORMAT } from '../../store/spec.js';
import type { CacheProgressHook } from './progress.js';

export interface MigrateOptions extends StoreOptions, CacheProgressHook {
  /** From each older format to the next. Default: those that this version knows. */
  readonly migrations?: ReadonlyMap<number, Migration>;
}

/** A set that was brought to today's format. */
export interface MigratedSet {
  /** Names of its folder before and after: a description of another format has another fingerprint. */
  readonly from: string;
  readonly set: string;
  readonly dir: string;
  /** The format it had. */
  readonly format: number;
  readonly images: number;
}

/**
 * Brings the sets of a cache that have an older format to today's: each is copied into a set of the new description, vectors
 * bit by bit, and goes when all of it is in place. A run that is stopped is continued by the next.
 * @throws CacheError when a set is damaged, of a format that cannot be brought to today's, or the disk fails
 */
export async function migrateSets(cache: string, options: MigrateOptions = {}): Promise<MigratedSet[]> {
  checkOptions('cache migrate', options);
  const { system = realSystem, migrations = MIGRATIONS } = options;
  await restoreAside(system, cache);
  const names = await system.list(cache).catch((error: unknown) => {
    throw storeError(error, 'to list the cache', cache);
  });
  const done: MigratedSet[] = [];
  for (const name of names.filter((name) => /-[0-9a-f]{12}$/.test(name)).sort(byCodePoint)) {
    const dir = path.resolve(cache, name);
    const older = await readDescription(system, dir);
    if (older === null || older.format === SET_FORMAT) continue;
    const spec = checkSpec(migrate(older, migrations), path.join(dir, '_set.json'));
    const set = await FeatureSet.create(cache, name.slice(0, -13), spec, { system });
    await copyParts(system, dir, sha256Hex(canonicalJson(older)), set, options);
    const quarantine = await set.quarantine();
    for (const entry of (await Quarantine.open(dir, { system })).entries()) quarantine.add(entry);
    await quarantine.flush();
    await set.markUsed();
    const images = (await set.keys()).size;
    await discard(system, dir);
    done.push({ from: name, set: path.basename(set.dir), dir: set.dir, format: Number(older.format), images });
  }
  return done;
}

type Description = Readonly<Record<string, Json>>;

/** A description as it stands, whatever its format; null where the folder is no set. */
async function readDescription(system: StoreSystem, dir: string): Promise<Description | null> {
  const file = path.join(dir, '_set.json');
  try {
    const value: unknown = JSON.parse(Buffer.from(await readWhole(system, file, 2 ** 20)).toString('utf8'));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new SyntaxError('no object');
    return value as Description;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return null;
    if (error instanceof SyntaxError) throw new CacheError(`${file} is damaged: it must hold JSON`, { cause: error });
    throw storeError(error, 'to read a feature set', file);
  }
}

/** Step by step; a format from which no step leads on is returned as it is, for `checkSpec` to refuse. */
function migrate(older: Description, migrations: ReadonlyMap<number, Migration>): Description {
  let spec = older;
  for (let step = migrations.get(Number(spec.format)); step !== undefined; step = migrations.get(Number(spec.format))) {
    const next = step(spec);
    if (!(Number(next.format) > Number(spec.format)))
      throw new TypeError(`a migration from ${spec.format} must lead on`);
    spec = next;
  }
  return spec;
}

/** Copies the rows that a set lacks out of the parts of an older one, each under its own maker; of a key the first by name. */
async function copyParts(
  system: StoreSystem,
  dir: string,
  fingerprint: string,
  set: FeatureSet,
  { onProgress }: CacheProgressHook,
): Promise<void> {
  const d = set.spec.features;
  const held = await set.keys();
  const seen = new KeySet();
  const writers = new Map<string, PartWriter>();
  const writerOf = (maker: Maker): PartWriter => {
    const name = JSON.stringify(maker);
    const writer = writers.get(name) ?? set.writer(maker);
    writers.set(name, writer);
    return writer;
  };
  const names = await listParts(system, dir);
  for (const [read, name] of names.entries()) {
    onProgress?.({ done: read, total: names.length, what: 'parts' });
    const part = await Part.open(system, dir, name, { spec: set.spec, fingerprint });
    try {
      for (let batch = 0; batch < part.batches; batch++) {
        const keys = await part.keys(batch);
        const vectors = await part.vectors(batch);
        for (let row = 0; row < keys.length / 32; row++) {
          const size = seen.size;
          const key = keys.subarray(row * 32, row * 32 + 32);
          if (seen.addRow(keys, row) < size || held.has(key)) continue;
          await writerOf(part.maker).add(key, vectors.subarray(row * d, (row + 1) * d));
        }
      }
    } finally {
      await part.close();
    }
  }
  for (const writer of writers.values()) await writer.close();
}
