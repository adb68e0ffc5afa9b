import { join } from 'node:path';
import {
  Binary,
  Field,
  FixedSizeBinary,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  type Table,
  tableFromIPC,
} from 'apache-arrow';
import { sha256Hex } from '../canonical.js';
import { CacheError } from '../errors.js';
import {
  errorCode,
  readNamed,
  realSystem,
  removeStale,
  type StoreOptions,
  type StoreSystem,
  storeError,
  writeAtomically,
} from '../files/index.js';
import { ArrowFileWriter } from '../formats/arrow/file.js';
import { listParts } from './part.js';
import { PART_ROWS } from './part-writer.js';

/** Folder of a cache that holds small pictures for people. */
export const THUMBNAILS = 'thumbnails';
/** What says how they were made; parts made otherwise are not read. */
const METADATA = 'permafrost.thumbnails';
/** Bytes of the largest part, and of the largest picture in one. */
const LARGEST = { part: 64 * 2 ** 20, picture: 64 * 2 ** 10 } as const;

/** A small picture: the hash of the image file's bytes, and WebP. */
export interface Thumbnail {
  readonly sha256: string;
  readonly webp: Uint8Array;
}

const fields = [new Field('sha256', new FixedSizeBinary(32), false), new Field('webp', new Binary(), false)];

/**
 * @param made how they were made
 * @returns one part, as docs/format.md has it: rows sorted by hash, one a hash, so that the same pictures are the same bytes
 */
export function encodeThumbnails(rows: readonly Thumbnail[], made: string): { name: string; bytes: Uint8Array } {
  const distinct = new Map(rows.map((row) => [row.sha256, row]));
  const sorted = [...distinct.values()].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  const { length } = sorted;
  const offsets = new Int32Array(length + 1);
  for (const [i, { webp }] of sorted.entries()) offsets[i + 1] = (offsets[i] as number) + webp.length;
  const schema = new Schema(fields, new Map([[METADATA, made]]));
  const children = [
    makeData({
      type: new FixedSizeBinary(32),
      length,
      nullCount: 0,
      data: Buffer.concat(sorted.map(({ sha256 }) => Buffer.from(sha256, 'hex'))),
    }),
    makeData({
      type: new Binary(),
      length,
      nullCount: 0,
      valueOffsets: offsets,
      data: Buffer.concat(sorted.map(({ webp }) => webp)),
    }),
  ];
  const writer = new ArrowFileWriter();
  writer.write(new RecordBatch(schema, makeData({ type: new Struct(fields), length, nullCount: 0, children })));
  const bytes = writer.finish().toUint8Array(true);
  return { name: `part-${sha256Hex(bytes).slice(0, 32)}.arrow`, bytes };
}

const damaged = (path: string, reason: string, cause?: unknown): CacheError =>
  new CacheError(`${path} is damaged: ${reason}; delete it, its pictures are made again when they are needed`, {
    cause,
  });

/**
 * @param path for messages; ends in the part's name
 * @param made how they must be made. Default: however they were
 * @returns the rows of a part; null of one that was made otherwise
 * @throws CacheError for bytes that its name does not stand for, or that are no such part
 */
export function decodeThumbnails(bytes: Uint8Array, path: string, made?: string): Thumbnail[] | null {
  if (!path.endsWith(`part-${sha256Hex(bytes).slice(0, 32)}.arrow`)) {
    throw damaged(path, 'its bytes are not those that its name stands for');
  }
  let table: Table;
  try {
    table = tableFromIPC(bytes);
  } catch (error) {
    throw damaged(path, 'it is not a whole Arrow file', error);
  }
  if (made !== undefined && table.schema.metadata.get(METADATA) !== made) return null;
  const names = table.schema.fields.map(({ name, type }) => `${name} ${type}`).join(', ');
  if (names !== fields.map(({ name, type }) => `${name} ${type}`).join(', ')) {
    throw damaged(path, `its columns must be sha256 and webp, found ${names}`);
  }
  const [keys, pictures] = ['sha256', 'webp'].map((name) => table.getChild(name));
  return Array.from({ length: table.numRows }, (_, i) => {
    const sha256: unknown = keys?.get(i);
    const webp: unknown = pictures?.get(i);
    const isPicture = webp instanceof Uint8Array && webp.length <= LARGEST.picture;
    if (!(sha256 instanceof Uint8Array) || sha256.length !== 32 || !isPicture || !isWebp(webp)) {
      throw damaged(path, `row ${i} holds no hash and WebP picture`);
    }
    return { sha256: Buffer.from(sha256).toString('hex'), webp };
  });
}

const isWebp = (bytes: Uint8Array): boolean => {
  const text = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  return text.startsWith('RIFF') && text.endsWith('WEBP');
};

export interface ThumbnailOptions extends StoreOptions {
  /** Told of a part that cannot be used, and is left alone. */
  readonly onDamaged?: (error: CacheError) => void;
}

/** The small pictures of a cache, by content. They may be lost at any time: whoever needs one that is missing makes it again. */
export class ThumbnailStore {
  /** The part that holds each. */
  private readonly held = new Map<string, string>();
  private waiting = new Map<string, Uint8Array>();

  private constructor(
    readonly dir: string,
    private readonly made: string,
    private readonly system: StoreSystem,
  ) {}

  /**
   * @param made how pictures are made: those of parts that were made otherwise are missing
   * @throws CacheError where the folder cannot be read
   */
  static async open(cache: string, made: string, options: ThumbnailOptions = {}): Promise<ThumbnailStore> {
    const { system = realSystem, onDamaged } = options;
    const store = new ThumbnailStore(join(cache, THUMBNAILS), made, system);
    for (const name of await thumbnailParts(cache, system)) {
      for (const { sha256 } of (await store.part(name, onDamaged)) ?? []) {
        if (!store.held.has(sha256)) store.held.set(sha256, name);
      }
    }
    return store;
  }

  has(sha256: string): boolean {
    return this.held.has(sha256) || this.waiting.has(sha256);
  }

  /** @returns those of the asked ones that are stored */
  async read(hashes: Iterable<string>): Promise<Map<string, Uint8Array>> {
    const found = new Map<string, Uint8Array>();
    const wanted = new Map<string, Set<string>>();
    for (const sha256 of hashes) {
      const webp = this.waiting.get(sha256);
      const part = this.held.get(sha256);
      if (webp !== undefined) found.set(sha256, webp);
      else if (part !== undefined) wanted.set(part, (wanted.get(part) ?? new Set()).add(sha256));
    }
    for (const [name, asked] of wanted) {
      for (const { sha256, webp } of (await this.part(name)) ?? []) if (asked.has(sha256)) found.set(sha256, webp);
    }
    return found;
  }

  /** Takes a picture; the one that fills a part waits until it is in place. @throws CacheError where it cannot be written */
  async add(sha256: string, webp: Uint8Array): Promise<void> {
    if (this.has(sha256)) return;
    this.waiting.set(sha256, webp);
    if (this.waiting.size >= PART_ROWS) await this.flush();
  }

  /** Writes what was added. @throws CacheError where it cannot be written */
  async flush(): Promise<void> {
    if (this.waiting.size === 0) return;
    const rows = [...this.waiting].map(([sha256, webp]) => ({ sha256, webp }));
    this.waiting = new Map();
    const { name, bytes } = encodeThumbnails(rows, this.made);
    try {
      await this.system.makeFolder(this.dir);
    } catch (error) {
      throw storeError(error, 'to make a folder', this.dir);
    }
    await removeStale(this.system, this.dir);
    await writeAtomically(this.system, this.dir, name, [bytes]);
    for (const { sha256 } of rows) this.held.set(sha256, name);
  }

  private async part(name: string, onDamaged?: (error: CacheError) => void): Promise<Thumbnail[] | null> {
    const path = join(this.dir, name);
    try {
      return decodeThumbnails(await readNamed(path, LARGEST.part, this.system), path, this.made);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null; // taken out meanwhile
      const told = storeError(error, 'to read small pictures', path);
      if (!(told instanceof CacheError)) throw told;
      onDamaged?.(told);
      return null;
    }
  }
}

/**
 * @param file a part, whatever way its pictures were made
 * @returns how many pictures it holds; why it cannot be used; null where it is not there any more
 */
export async function checkThumbnails(system: StoreSystem, file: string): Promise<number | string | null> {
  try {
    return decodeThumbnails(await readNamed(file, LARGEST.part, system), file)?.length ?? 0;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    const told = storeError(error, 'to read small pictures', file);
    if (told instanceof CacheError) return told.message;
    throw told;
  }
}

/** @returns names of the parts of small pictures of a cache, in order @throws CacheError where they cannot be listed */
export async function thumbnailParts(cache: string, system: StoreSystem = realSystem): Promise<string[]> {
  const dir = join(cache, THUMBNAILS);
  try {
    return await listParts(system, dir);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw storeError(error, 'to list small pictures', dir);
  }
}
