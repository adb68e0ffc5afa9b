import { join } from 'node:path';
import { CacheError } from '../errors.js';
import { errorCode } from '../files/index.js';
import { isKeyFileName, KeyFile } from './key-file.js';
import { KeySet } from './key-set.js';
import { KeySorter } from './key-sorter.js';
import { openParts, type SetFolder } from './parts.js';

/** Keys that are held in memory (some 100 MB); of more a key file is made. */
export const MOST_HELD = 2 ** 21;

/** The keys that a set holds: in memory, and of a large set most of them in a key file. */
export class HeldKeys {
  private readonly bytes = Buffer.alloc(32);

  constructor(
    private readonly file: KeyFile | null = null,
    /** Those of parts that the file lacks; some may be in it. */
    private readonly rest = new KeySet(),
  ) {}

  /** Distinct keys. */
  get size(): number {
    if (this.file === null) return this.rest.size;
    let size = this.file.size;
    for (let i = 0; i < this.rest.size; i++) if (this.file.indexOf(this.rest.at(i)) < 0) size++;
    return size;
  }

  /** Places from 0 on to below this are given by `find`. */
  get places(): number {
    return (this.file?.size ?? 0) + this.rest.size;
  }

  /**
   * @param key 64 hexadecimal digits or 32 bytes; anything else is a TypeError
   * @returns the place of the key, always the same one, -1 where it is absent
   * @throws CacheError where the key file is damaged
   */
  find(key: string | Uint8Array): number {
    const index = this.rest.indexOf(key);
    if (this.file === null) return index;
    if (index >= 0) return this.file.size + index;
    if (typeof key !== 'string') return this.file.indexOf(key);
    this.bytes.write(key, 'hex');
    return this.file.indexOf(this.bytes);
  }

  /** As `find`. */
  has(key: string | Uint8Array): boolean {
    return this.find(key) >= 0;
  }

  /** @param key as of `find` */
  add(key: string | Uint8Array): void {
    this.rest.add(key);
  }

  /** @returns the 32 bytes of the key at a place, not to be written @throws CacheError where the key file is damaged */
  at(place: number): Uint8Array {
    const filed = this.file?.size ?? 0;
    return place < filed && this.file !== null ? this.file.at(place) : this.rest.at(place - filed);
  }
}

export interface KeysOptions {
  /** Is told of each damaged part, whose keys are left out; without it the first one is thrown. */
  readonly onDamaged?: ((error: CacheError) => void) | undefined;
  /** Which keys are wanted, by their 32 bytes; others take no memory. Default: all */
  readonly isWanted?: ((key: Uint8Array) => boolean) | undefined;
  /** Keys that are held in memory; of more a key file is made, where the disk takes it. */
  readonly most?: number;
}

/**
 * The keys of all rows of a set. Reads no vectors.
 * @throws CacheError for a damaged part
 */
export async function readKeys(set: SetFolder, options: KeysOptions = {}): Promise<HeldKeys> {
  const { most = MOST_HELD } = options;
  const files = await keyFiles(set);
  const [file = null] = files;
  const rest = new KeySet();
  const read = await eachKeys(set, file, options, (flat) => {
    for (let row = 0; row < flat.length / 32; row++) {
      if (options.isWanted?.(flat.subarray(row * 32, row * 32 + 32)) !== false) rest.addRow(flat, row);
    }
    return rest.size <= most;
  });
  if (read !== null) return new HeldKeys(file, rest);
  try {
    return await makeKeyFile(set, file, options);
  } catch (error) {
    // A disk that takes no file, or parts that were merged meanwhile.
    if (errorCode((error as Error).cause ?? error) === undefined) throw error;
    return readKeys(set, { ...options, most: Number.POSITIVE_INFINITY });
  }
}

/** Makes one key file of all parts, in the place of those that are there. */
async function makeKeyFile(set: SetFolder, file: KeyFile | null, options: KeysOptions): Promise<HeldKeys> {
  const sorter = new KeySorter(set.system, set.dir);
  try {
    for (const flat of file?.flat() ?? []) sorter.add(flat);
    const read =
      (await eachKeys(set, file, options, (flat) => {
        sorter.add(flat);
        return true;
      })) ?? [];
    const name = await KeyFile.write(set.system, set.dir, [...(file?.parts ?? []), ...read], sorter.sorted());
    const made = await KeyFile.open(set.system, set.dir, name);
    if (made === null) throw new CacheError(`${join(set.dir, name)} was taken away while it was made`);
    await removeKeyFiles(set, name);
    return new HeldKeys(made);
  } finally {
    sorter.close();
  }
}

/**
 * Reads the keys of the parts that a key file lacks.
 * @param take is given those of a batch, [rows, 32] flat, when all of its part are sound; false ends it
 * @returns the names of the parts; null where it was ended
 */
async function eachKeys(
  set: SetFolder,
  file: KeyFile | null,
  { onDamaged }: KeysOptions,
  take: (flat: Uint8Array) => boolean,
): Promise<string[] | null> {
  const names: string[] = [];
  for await (const part of openParts(set, onDamaged, file?.parts)) {
    try {
      const batches: Uint8Array[] = [];
      for (let batch = 0; batch < part.batches; batch++) batches.push(await part.keys(batch));
      for (const flat of batches) if (!take(flat)) return null;
      names.push(part.name);
    } catch (error) {
      if (onDamaged === undefined || !(error instanceof CacheError)) throw error;
      onDamaged(error);
    }
  }
  return names;
}

/** @returns the key files of which all parts are there, that of the most keys first */
async function keyFiles(set: SetFolder): Promise<KeyFile[]> {
  const names = await set.system.list(set.dir).catch((): string[] => []);
  const there = new Set(names);
  const found: KeyFile[] = [];
  for (const name of names.filter(isKeyFileName)) {
    const file = await KeyFile.open(set.system, set.dir, name);
    if (file?.parts.every((part) => there.has(part))) found.push(file);
  }
  return found.sort((a, b) => b.size - a.size);
}

/** Takes away key files: by default those of parts that are not there any more, which nothing can use. */
export async function removeKeyFiles(set: SetFolder, kept?: string): Promise<void> {
  const keep = new Set(kept === undefined ? (await keyFiles(set)).map(({ name }) => name) : [kept]);
  for (const name of await set.system.list(set.dir).catch((): string[] => [])) {
    if (isKeyFileName(name) && !keep.has(name)) await set.system.unlink(join(set.dir, name)).catch(() => {});
  }
}
