import { join, resolve } from 'node:path';
import { canonicalJson, type Json } from '../canonical.js';
import { CacheError } from '../errors.js';
import {
  errorCode,
  readWhole,
  realSystem,
  removeStale,
  type StoreOptions,
  type StoreSystem,
  storeError,
  writeAtomically,
} from '../files/index.js';
import { KeySet } from './key-set.js';
import { listParts, type Maker, Part } from './part.js';
import { PartWriter } from './part-writer.js';
import { Quarantine } from './quarantine.js';
import { checkSpec, fingerprint, type SetSpec } from './spec.js';

const SPEC_FILE = '_set.json';
/** Its time is when the set was last used. */
const USED_FILE = '_used';
/** A set that changes faster than it is listed. */
const MAX_LISTINGS = 20;
const MAX_SPEC = 2 ** 20;

/** Rows of one batch on disk. */
export interface VectorBatch {
  /** File name of the part. */
  readonly part: string;
  readonly rows: number;
  /** [rows, 32] flat: SHA-256 of each image file. */
  readonly keys: Uint8Array;
  /** [rows, d] flat. */
  readonly vectors: Float32Array;
}

export interface SetOptions extends StoreOptions {
  /** Rows at which a part is closed: what a crash costs at most. Default 1,024, and fewer where vectors are very long. */
  readonly partRows?: number;
}

/** What `FeatureSet.read` found of the keys it was asked for. */
export interface FoundVectors {
  /** [found.length, d] flat, in the order asked. */
  readonly vectors: Float32Array;
  /** Which of the asked keys each row is, ascending; [0, 1, …] when none is missing. */
  readonly found: Uint32Array;
  /** Keys without a vector, in hexadecimal, each once, in the order asked. */
  readonly missing: readonly string[];
}

/** Some rows of one batch on disk, and what they were asked as. */
export interface LocatedRows {
  /** File name of the part, and the number of the batch in it. */
  readonly part: string;
  readonly batch: number;
  /** Rows of the batch. */
  readonly at: Uint32Array;
  /** For each of them its place among the keys that were asked. */
  readonly places: Uint32Array;
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

/** A feature set on disk: image content → vector. DESIGN.md, "A feature set", is its contract. */
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
    try {
      await system.makeFolder(dir);
    } catch (error) {
      throw storeError(error, 'to make a folder', dir);
    }
    await removeStale(system, dir);
    await writeAtomically(system, dir, SPEC_FILE, [Buffer.from(canonicalJson(spec))]);
    return new FeatureSet(dir, spec, print, system, options.partRows);
  }

  /** @throws CacheError when the folder is no feature set, is damaged, or was made with another format */
  static async open(dir: string, options: SetOptions = {}): Promise<FeatureSet> {
    const system = options.system ?? realSystem;
    const folder = resolve(dir);
    const spec = await readSpec(system, folder);
    if (spec === null) {
      throw new CacheError(`${folder} is not a feature set: it has no ${SPEC_FILE}; make one with permafrost features`);
    }
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
   * The keys of all rows. Reads no vectors.
   * @param onDamaged is told of each damaged part, whose keys are left out; without it the first one is thrown
   */
  async keys(onDamaged?: (error: CacheError) => void): Promise<KeySet> {
    const keys = new KeySet();
    for await (const part of this.parts(onDamaged)) {
      try {
        const batches: Uint8Array[] = [];
        for (let batch = 0; batch < part.batches; batch++) batches.push(await part.keys(batch));
        for (const flat of batches) for (let row = 0; row < flat.length / 32; row++) keys.addRow(flat, row);
      } catch (error) {
        if (onDamaged === undefined || !(error instanceof CacheError)) throw error;
        onDamaged(error);
      }
    }
    return keys;
  }

  /**
   * The vectors of the asked keys (64 hexadecimal digits or 32 bytes), in that order; one asked twice is there twice.
   * @throws CacheError when a part on the way is damaged, or the matrix is too large for this machine
   */
  async read(keys: Iterable<string | Uint8Array>): Promise<FoundVectors> {
    const d = this.spec.features;
    const unique = new KeySet();
    const asked: number[] = [];
    /** The first row of each unique key. */
    const first: number[] = [];
    for (const key of keys) {
      const index = unique.add(key);
      if (index === first.length) first.push(asked.length);
      asked.push(index);
    }
    const vectors = allocate(asked.length, d);
    const have = await this.gather(unique, first, vectors);
    const found = new Uint32Array(asked.length);
    let rows = 0;
    asked.forEach((index, row) => {
      if (have[index] === 0) return;
      // A row asked before stands at its first place, or has moved up from there with the rows that are missing.
      const from = first[index] as number;
      if (from !== rows) vectors.copyWithin(rows * d, from * d, (from + 1) * d);
      if (from === row) first[index] = rows;
      found[rows++] = row;
    });
    const missing: string[] = [];
    for (let index = 0; index < have.length; index++) {
      if (have[index] === 0) missing.push(Buffer.from(unique.at(index)).toString('hex'));
    }
    return { vectors: vectors.subarray(0, rows * d), found: found.subarray(0, rows), missing };
  }

  /**
   * Where the vectors of the asked keys lie, parts by name. Reads no vectors.
   * @returns the batches that hold any, and for each asked key 1 where it was found, else 0
   */
  async locate(keys: Iterable<string | Uint8Array>): Promise<{ batches: LocatedRows[]; have: Uint8Array }> {
    const unique = new KeySet();
    /** The last place asked for each unique key, and before each place the one of the same key: a list for each key. */
    const last: number[] = [];
    const before: number[] = [];
    for (const key of keys) {
      const index = unique.add(key);
      before.push(last[index] ?? -1);
      last[index] = before.length - 1;
    }
    const have = new Uint8Array(before.length);
    const batches: LocatedRows[] = [];
    for await (const part of this.parts()) {
      for (let batch = 0; batch < part.batches; batch++) {
        const flat = await part.keys(batch);
        const at: number[] = [];
        const places: number[] = [];
        for (let row = 0; row < flat.length / 32; row++) {
          const index = unique.indexOfRow(flat, row);
          if (index < 0 || have[last[index] as number] === 1) continue;
          for (let place = last[index] as number; place >= 0; place = before[place] as number) {
            have[place] = 1;
            at.push(row);
            places.push(place);
          }
        }
        if (at.length > 0) {
          batches.push({ part: part.name, batch, at: Uint32Array.from(at), places: Uint32Array.from(places) });
        }
      }
    }
    return { batches, have };
  }

  /**
   * One batch as `locate` named it.
   * @param scratch as of `Part.vectors`
   * @returns [rows of the batch, d] flat; null where the part is not there any more, since it was merged or deleted
   */
  async readBatch({ part, batch }: LocatedRows, scratch?: ArrayBuffer): Promise<Float32Array | null> {
    let open: Part;
    try {
      open = await Part.open(this.system, this.dir, part, this);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null;
      throw error;
    }
    try {
      return await open.vectors(batch, scratch);
    } finally {
      await open.close();
    }
  }

  /** All rows, a batch of a part at a time, parts by name. Of a key in two parts the first counts. */
  async *batches(): AsyncGenerator<VectorBatch> {
    const d = this.spec.features;
    const seen = new KeySet();
    for await (const part of this.parts()) {
      for (let batch = 0; batch < part.batches; batch++) {
        const keys = await part.keys(batch);
        const vectors = await part.vectors(batch);
        let rows = 0;
        for (let row = 0; row < keys.length / 32; row++) {
          const size = seen.size;
          seen.addRow(keys, row);
          if (seen.size === size) continue;
          if (rows !== row) {
            keys.copyWithin(rows * 32, row * 32, (row + 1) * 32);
            vectors.copyWithin(rows * d, row * d, (row + 1) * d);
          }
          rows++;
        }
        if (rows > 0) {
          yield { part: part.name, rows, keys: keys.subarray(0, rows * 32), vectors: vectors.subarray(0, rows * d) };
        }
      }
    }
  }

  /** Reads footers only. @throws CacheError when a part is damaged and there is no `onDamaged` to be told */
  async info(onDamaged?: (error: CacheError) => void): Promise<SetInfo> {
    const makers = new Map<string, Maker & { parts: number; rows: number }>();
    let parts = 0;
    let rows = 0;
    let bytes = 0;
    for await (const part of this.parts(onDamaged)) {
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
   * Copies the vector of each key to its row.
   * @returns for each key 1 where it was found, else 0
   */
  private async gather(keys: KeySet, rowOf: readonly number[], vectors: Float32Array): Promise<Uint8Array> {
    const d = this.spec.features;
    const have = new Uint8Array(keys.size);
    let left = keys.size;
    let scratch = new ArrayBuffer(0);
    if (left === 0) return have;
    for await (const part of this.parts()) {
      for (let batch = 0; batch < part.batches; batch++) {
        const flat = await part.keys(batch);
        const hits: [row: number, index: number][] = [];
        for (let row = 0; row < flat.length / 32; row++) {
          const index = keys.indexOfRow(flat, row);
          if (index < 0 || have[index] === 1) continue;
          have[index] = 1;
          hits.push([row, index]);
        }
        if (hits.length === 0) continue;
        const values = await part.vectors(batch, scratch);
        scratch = values.buffer as ArrayBuffer;
        for (const [row, index] of hits) {
          vectors.set(values.subarray(row * d, (row + 1) * d), (rowOf[index] as number) * d);
        }
        left -= hits.length;
        if (left === 0) return have;
      }
    }
    return have;
  }

  /**
   * When it was last used or grew, whatever is later, in ms since 1970: marked by `markUsed`, else the time of its newest part.
   */
  async lastUsed(): Promise<number> {
    const names = [USED_FILE, SPEC_FILE, ...(await listParts(this.system, this.dir))];
    const times = await Promise.all(names.map((name) => this.system.modified(join(this.dir, name)).catch(() => 0)));
    return Math.max(...times);
  }

  /** Marks it as used now, for `cache ls` and `cache gc`. Where that fails, as on a read-only disk, it is no error. */
  async markUsed(): Promise<void> {
    await this.system.touch(join(this.dir, USED_FILE)).catch((error: unknown) => {
      if (errorCode(error) === undefined) throw error;
    });
  }

  /**
   * Opens one part after the other, by name, and lists again until a listing shows no new one: a part that vanishes has been
   * merged into another, and a listing made while that happens may show neither.
   */
  private async *parts(onDamaged?: (error: CacheError) => void): AsyncGenerator<Part> {
    const done = new Set<string>();
    for (let round = 0; round < MAX_LISTINGS; round++) {
      const names = await listParts(this.system, this.dir).catch((error: unknown) => {
        throw storeError(error, 'to list a feature set', this.dir);
      });
      const fresh = names.filter((name) => !done.has(name));
      if (fresh.length === 0) return;
      let vanished: unknown;
      for (const name of fresh) {
        let part: Part;
        try {
          part = await Part.open(this.system, this.dir, name, this);
        } catch (error) {
          if (errorCode(error) === 'ENOENT') {
            vanished = storeError(error, 'to read a part', join(this.dir, name));
            break;
          }
          if (onDamaged === undefined || !(error instanceof CacheError)) throw error;
          done.add(name);
          onDamaged(error);
          continue;
        }
        done.add(name);
        try {
          yield part;
        } finally {
          await part.close();
        }
      }
      if (vanished !== undefined && round === MAX_LISTINGS - 1) throw vanished;
    }
  }
}

function allocate(rows: number, d: number): Float32Array {
  try {
    return new Float32Array(rows * d);
  } catch (error) {
    const gigabytes = ((rows * d * 4) / 2 ** 30).toFixed(1);
    throw new CacheError(
      `${rows} vectors of ${d} values take ${gigabytes} GiB of memory, more than there is; use fewer images, or a base with fewer features`,
      { cause: error },
    );
  }
}

/** What people read before the digits; anything but letters, digits, dot, hyphen and underscore becomes a hyphen. */
function folderName(name: string): string {
  const safe = name.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[._-]+/, '');
  return safe.slice(0, 64) || 'set';
}

/** @returns the folders in a cache whose name ends in the first 12 digits of the fingerprint, in order */
async function folders(system: StoreSystem, cache: string, print: string): Promise<string[]> {
  const digits = print.slice(0, 12);
  try {
    const names = (await system.list(cache)).filter((name) => name === digits || name.endsWith(`-${digits}`));
    return names.sort().map((name) => join(resolve(cache), name));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw storeError(error, 'to list the cache', cache);
  }
}

/** @returns null where the folder has no `_set.json` */
async function readSpec(system: StoreSystem, dir: string): Promise<SetSpec | null> {
  const path = join(dir, SPEC_FILE);
  let text: string;
  try {
    text = Buffer.from(await readWhole(system, path, MAX_SPEC)).toString('utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return null;
    throw storeError(error, 'to read a feature set', path);
  }
  const damaged = (reason: unknown): CacheError =>
    new CacheError(
      `${path} is damaged: it must hold JSON; put it back from a copy, or delete ${dir} and run features again`,
      {
        cause: reason,
      },
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(error);
  }
  const spec = checkSpec(value, path);
  try {
    canonicalJson(spec as Json);
  } catch (error) {
    throw damaged(error);
  }
  return spec;
}
