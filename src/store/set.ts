import { dirname, join, resolve } from 'node:path';
import { CacheError } from '../errors.js';
import {
  errorCode,
  realSystem,
  removeStale,
  restoreAside,
  type StoreOptions,
  type StoreSystem,
} from '../files/index.js';
import { type HeldKeys, readKeys } from './held-keys.js';
import { isPartName, listParts, type Maker } from './part.js';
import { PartWriter } from './part-writer.js';
import { openParts } from './parts.js';
import { isQuarantineName, Quarantine } from './quarantine.js';
import {
  type FoundVectors,
  type LocatedRows,
  locateRows,
  readBatch,
  readRows,
  uniqueBatches,
  type VectorBatch,
} from './rows.js';
import { folderName, folders, isGone, makeSetFolder, readSpec, SPEC_FILE } from './set-folder.js';
import { checkSpec, fingerprint, type SetSpec } from './spec.js';

/** Its time is when the set was last used. */
const USED_FILE = '_used';

export interface SetOptions extends StoreOptions {
  /** Rows at which a part is closed: what a crash costs at most. Default 1,024, and fewer where vectors are very long. */
  readonly partRows?: number;
}

/** What a set holds. */
export interface SetInfo {
  readonly parts: number;
  /** A key that stands in two parts counts twice. */
  readonly rows: number;
  /** Of all parts. */
  readonly bytes: number;
  /** Who made the parts; more than one entry is a mix. */
  readonly makers: readonly (Maker & { readonly parts: number; readonly rows: number })[];
}

/** How often, and how many ms apart, it is looked whether a set that is gone is put back. */
const PATIENCE = 3;
const PUT_BACK_MS = 20;

/** @returns when the set in a folder was last used, as `FeatureSet.lastUsed`; 0 where there is none */
export async function lastUsed(system: StoreSystem, dir: string): Promise<number> {
  const names = [USED_FILE, SPEC_FILE, ...(await listParts(system, dir).catch(() => []))];
  const times = await Promise.all(names.map((name) => system.modified(join(dir, name)).catch(() => 0)));
  return Math.max(...times);
}

/** @returns why a folder without a description is no feature set: a copy may have brought its other files first */
async function noSet(system: StoreSystem, dir: string): Promise<CacheError> {
  const names = await system.list(dir).catch((): string[] => []);
  if (!names.some((name) => isPartName(name) || isQuarantineName(name))) {
    return new CacheError(`${dir} is not a feature set: it has no ${SPEC_FILE}; make one with permafrost features`);
  }
  return new CacheError(
    `${dir} has files of a feature set but no ${SPEC_FILE}, which says what they are: copy that file of the set here too`,
  );
}

/** A feature set on disk: image content → vector. docs/format.md is its contract. */
export class FeatureSet {
  private constructor(
    /** Absolute path of its folder. */
    readonly dir: string,
    readonly spec: SetSpec,
    /** 64 hexadecimal digits. */
    readonly fingerprint: string,
    /** What its files are reached through. */
    readonly system: StoreSystem,
    private readonly partRows: number | undefined,
  ) {}

  /**
   * Opens the set of this fingerprint in a cache folder, whatever name stands before its hexadecimal digits, or makes it as
   * `<name>-<12 digits>`. Removes temporary files of dead runs.
   * @throws CacheError when the folder of that name holds another set, or cannot be written
   */
  static async create(cache: string, name: string, spec: SetSpec, options: SetOptions = {}): Promise<FeatureSet> {
    const system = options.system ?? realSystem;
    const print = fingerprint(checkSpec(spec, 'the description of the set'));
    let unfinished: string | undefined;
    let other: CacheError | undefined;
    for (const dir of await folders(system, cache, print)) {
      const found = await readSpec(system, dir);
      if (found === null) {
        unfinished ??= dir;
      } else if (fingerprint(found) === print) {
        await removeStale(system, dir);
        return new FeatureSet(dir, found, print, system, options.partRows);
      } else {
        other ??= new CacheError(
          `${join(dir, SPEC_FILE)} must have the fingerprint ${print} and has ${fingerprint(found)}; rename or delete that folder`,
        );
      }
    }
    if (other !== undefined) throw other;
    const dir = unfinished ?? join(resolve(cache), `${folderName(name)}-${print.slice(0, 12)}`);
    await removeStale(system, dir);
    await makeSetFolder(system, dir, spec);
    return new FeatureSet(dir, spec, print, system, options.partRows);
  }

  /** @throws CacheError when the folder is no feature set, is damaged, or was made with another format */
  static async open(dir: string, options: SetOptions = {}): Promise<FeatureSet> {
    const system = options.system ?? realSystem;
    const folder = resolve(dir);
    let spec = await readSpec(system, folder);
    if (spec === null && (await restoreAside(system, dirname(folder)))) spec = await readSpec(system, folder);
    if (spec === null) throw await noSet(system, folder);
    return new FeatureSet(folder, spec, fingerprint(spec), system, options.partRows);
  }

  /** @returns the set of this fingerprint (64 digits) in a cache folder, null where there is none */
  static async find(cache: string, print: string, options: SetOptions = {}): Promise<FeatureSet | null> {
    const system = options.system ?? realSystem;
    for (const dir of await folders(system, cache, print)) {
      const spec = await readSpec(system, dir);
      if (spec !== null && fingerprint(spec) === print)
        return new FeatureSet(dir, spec, print, system, options.partRows);
    }
    return null;
  }

  /** A writer of new rows. Any number may work on one set, in any number of processes. */
  writer(maker: Maker): PartWriter {
    return new PartWriter(this.system, this, maker, this.partRows);
  }

  /** The images that could not be used. */
  quarantine(): Promise<Quarantine> {
    return Quarantine.open(this.dir, { system: this.system });
  }

  /**
   * The keys of all rows. Reads no vectors; of a large set keeps a key file.
   * @param onDamaged is told of each damaged part, whose keys are left out; without it the first one is thrown
   * @param isWanted which keys are given, by their 32 bytes; others take no memory, but may be given. Default: all
   */
  keys(onDamaged?: (error: CacheError) => void, isWanted?: (key: Uint8Array) => boolean): Promise<HeldKeys> {
    return readKeys(this, { onDamaged, isWanted });
  }

  /**
   * The vectors of the asked keys (64 hexadecimal digits or 32 bytes), in that order; one asked twice is there twice.
   * @throws CacheError when a part on the way is damaged, or the matrix is too large for this machine
   */
  read(keys: Iterable<string | Uint8Array>): Promise<FoundVectors> {
    return readRows(this, keys);
  }

  /**
   * Where the vectors of the asked keys lie, parts by name. Reads no vectors.
   * @returns the batches that hold any, and for each asked key 1 where it was found, else 0
   */
  locate(
    keys: Iterable<string | Uint8Array>,
    signal?: AbortSignal,
  ): Promise<{ batches: LocatedRows[]; have: Uint8Array }> {
    return locateRows(this, keys, signal);
  }

  /**
   * One batch as `locate` named it.
   * @param scratch as of `Part.vectors`
   * @returns [rows of the batch, d] flat; null where the part is not there any more, since it was merged or deleted
   */
  readBatch(rows: LocatedRows, scratch?: ArrayBuffer): Promise<Float32Array | null> {
    return readBatch(this, rows, scratch);
  }

  /** All rows, a batch of a part at a time, parts by name. Of a key in two parts the first counts. */
  batches(): AsyncGenerator<VectorBatch> {
    return uniqueBatches(this);
  }

  /** Reads footers only. @throws CacheError when a part is damaged and there is no `onDamaged` to be told */
  async info(onDamaged?: (error: CacheError) => void): Promise<SetInfo> {
    const makers = new Map<string, Maker & { parts: number; rows: number }>();
    let parts = 0;
    let rows = 0;
    let bytes = 0;
    for await (const part of openParts(this, onDamaged)) {
      const name = JSON.stringify(part.maker);
      const entry = makers.get(name) ?? { ...part.maker, parts: 0, rows: 0 };
      entry.parts++;
      entry.rows += part.rows;
      makers.set(name, entry);
      parts++;
      rows += part.rows;
      bytes += part.size;
    }
    return { parts, rows, bytes, makers: [...makers.values()] };
  }

  /**
   * When it was last used or grew, whatever is later, in ms since 1970: marked by `markUsed`, else the time of its newest part.
   */
  lastUsed(): Promise<number> {
    return lastUsed(this.system, this.dir);
  }

  /** @returns the names of its parts now */
  partNames(): Promise<string[]> {
    return listParts(this.system, this.dir);
  }

  /**
   * Marks it as used now, for `cache ls` and `cache gc`. Where that fails, as on a read-only disk, it is no error.
   * @returns whether it is there: what is marked is not taken out by a `cache gc` that runs already
   */
  async markUsed(): Promise<boolean> {
    try {
      await this.system.touch(join(this.dir, USED_FILE));
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
    }
    return !(await isGone(this.system, this.dir));
  }

  /**
   * Marks it as used, and makes it anew, empty, where it was taken out meanwhile. A `cache gc` that finds it used puts back what it
   * has moved aside.
   * @throws CacheError when it cannot be written
   */
  async hold(): Promise<void> {
    for (let tries = 0; tries < PATIENCE; tries++) {
      if (await this.markUsed()) return;
      await new Promise((resolve) => setTimeout(resolve, PUT_BACK_MS));
    }
    await restoreAside(this.system, dirname(this.dir));
    if (await this.markUsed()) return;
    await makeSetFolder(this.system, this.dir, this.spec);
    await this.markUsed();
  }
}
