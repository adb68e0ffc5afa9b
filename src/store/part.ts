import { basename, join } from 'node:path';
import { CacheError } from '../errors.js';
import { errorCode, type StoreFile, type StoreSystem, storeError } from '../files/index.js';
import { fromFloat16 } from '../float16.js';
import { crc32c } from '../formats/arrow/crc32c.js';
import {
  type Batch,
  type Block,
  decodeBatch,
  decodeFooter,
  type Footer,
  Misfit,
  VALUE_BYTES,
} from '../formats/arrow/footer.js';
import type { SetSpec } from './spec.js';

/** The names of a part's metadata in its Arrow schema. */
export const METADATA = {
  fingerprint: 'permafrost.fingerprint',
  engine: 'permafrost.engine',
  engineVersion: 'permafrost.engine_version',
  version: 'permafrost.version',
  /** Of a part that was merged from others: SHA-256 over their names. */
  merged: 'permafrost.merged',
  /** `{"features":["1f2e3d4c"],"sha256":["…"]}`: the CRC-32C of each batch's values, in hexadecimal. */
  crc32c: 'permafrost.crc32c',
} as const;

/** Who made a part. */
export interface Maker {
  readonly engine: string;
  readonly engineVersion: string;
  /** Of Permafrost. */
  readonly version: string;
}

const PART = /^part-[0-9a-f]{32}\.arrow$/;
const MAGIC = 'ARROW1';
const MAX_FOOTER = 64 * 2 ** 20;

/** @returns whether files of that name are parts */
export const isPartName = (name: string): boolean => PART.test(name);

/** @returns the names of the parts in a folder, in order */
export async function listParts(system: StoreSystem, folder: string): Promise<string[]> {
  return (await system.list(folder)).filter(isPartName).sort();
}

type Checksums = Record<'sha256' | 'features', string[]>;

function parseChecksums(text: string | undefined, batches: number): Checksums {
  if (text === undefined) throw new Misfit('it has no checksums, so Permafrost did not make it');
  const value = JSON.parse(text) as Partial<Record<string, unknown>> | null;
  const list = (name: string): string[] => {
    const sums = value?.[name];
    if (!Array.isArray(sums) || sums.length !== batches)
      throw new Misfit(`it must have ${batches} checksums of ${name}`);
    return sums.map(String);
  };
  return { sha256: list('sha256'), features: list('features') };
}

/** One part of a set, open for reading. Its footer is checked on opening, each column's CRC when it is read. */
export class Part {
  private constructor(
    /** File name. */
    readonly name: string,
    /** Bytes. */
    readonly size: number,
    readonly maker: Maker,
    private readonly path: string,
    private readonly file: StoreFile,
    private readonly spec: SetSpec,
    private readonly checksums: Checksums,
    private readonly places: readonly (Block & Batch)[],
  ) {}

  /**
   * @throws CacheError when the part is damaged, or of another set
   * @throws the system's own ENOENT when it is not there any more
   */
  static async open(
    system: StoreSystem,
    folder: string,
    name: string,
    set: { readonly spec: SetSpec; readonly fingerprint: string },
  ): Promise<Part> {
    const path = join(folder, name);
    const file = await system.open(path, 'read').catch((error: unknown) => {
      throw errorCode(error) === 'ENOENT' ? error : storeError(error, 'to read a part', path);
    });
    try {
      return await guard(path, async () => {
        const size = await file.size();
        const footer = await readFooter(file, size, set.spec);
        const owner = footer.metadata.get(METADATA.fingerprint);
        if (owner !== set.fingerprint) {
          throw new Misfit(
            `it belongs to the set ${owner?.slice(0, 12) ?? 'of nobody'}, not ${set.fingerprint.slice(0, 12)}`,
          );
        }
        const checksums = parseChecksums(footer.metadata.get(METADATA.crc32c), footer.blocks.length);
        const places: (Block & Batch)[] = [];
        for (const block of footer.blocks) {
          const message = await bytesAt(file, size, block.offset, block.metadataLength);
          if (block.offset + block.metadataLength + block.bodyLength > size)
            throw new Misfit('a batch runs past its end');
          places.push({ ...block, ...decodeBatch(message, block, set.spec) });
        }
        const maker = {
          engine: footer.metadata.get(METADATA.engine) ?? '',
          engineVersion: footer.metadata.get(METADATA.engineVersion) ?? '',
          version: footer.metadata.get(METADATA.version) ?? '',
        };
        return new Part(name, size, maker, path, file, set.spec, checksums, places);
      });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get batches(): number {
    return this.places.length;
  }

  get rows(): number {
    return this.places.reduce((sum, { rows }) => sum + rows, 0);
  }

  /** @returns the keys of a batch, [rows, 32] flat */
  async keys(batch: number): Promise<Uint8Array> {
    const place = this.place(batch);
    return this.column('sha256', batch, place.keys, place.rows * 32, new ArrayBuffer(place.rows * 32));
  }

  /**
   * @param scratch where to put the bytes, if it is large enough: the values then stand until it is used again
   * @returns the vectors of a batch, [rows, d] flat; float32 ones are a view of the bytes that were read
   */
  async vectors(batch: number, scratch?: ArrayBuffer): Promise<Float32Array> {
    const place = this.place(batch);
    const count = place.rows * this.spec.features;
    const length = count * VALUE_BYTES[this.spec.type];
    const target = scratch !== undefined && scratch.byteLength >= length ? scratch : new ArrayBuffer(length);
    await this.column('features', batch, place.features, length, target);
    return this.spec.type === 'float16'
      ? fromFloat16(new Uint16Array(target, 0, count))
      : new Float32Array(target, 0, count);
  }

  close(): Promise<void> {
    return this.file.close();
  }

  private place(batch: number): Block & Batch {
    const place = this.places[batch];
    if (place === undefined) throw new RangeError(`${this.name} has no batch ${batch}`);
    return place;
  }

  private column(
    name: keyof Checksums,
    batch: number,
    offset: number,
    length: number,
    target: ArrayBuffer,
  ): Promise<Uint8Array> {
    return guard(this.path, async () => {
      const { offset: start, metadataLength } = this.place(batch);
      const bytes = new Uint8Array(target, 0, length);
      const read = await this.file.read(bytes, start + metadataLength + offset);
      if (read !== length) throw new Misfit(`it ends within the column ${name}`);
      const sum = crc32c(bytes).toString(16).padStart(8, '0');
      const expected = this.checksums[name][batch];
      if (sum !== expected) {
        throw new Misfit(`the checksum of the column ${name} is ${sum} and must be ${expected}`);
      }
      return bytes;
    });
  }
}

/** Names the file in whatever its bytes, or the disk, gave. */
async function guard<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Misfit || error instanceof RangeError || error instanceof SyntaxError) {
      const reason = error instanceof Misfit ? error.message : 'it is not a whole Arrow file';
      throw new CacheError(
        `the part ${basename(path)} is damaged: ${reason}; delete ${path} and run features again, which extracts its images anew`,
        { cause: error },
      );
    }
    throw storeError(error, 'to read a part', path);
  }
}

async function bytesAt(file: StoreFile, size: number, position: number, length: number): Promise<Uint8Array> {
  if (position < 0 || length < 0 || length > MAX_FOOTER || position + length > size) {
    throw new RangeError('outside the file');
  }
  const bytes = new Uint8Array(length);
  if ((await file.read(bytes, position)) !== length) throw new RangeError('a short read');
  return bytes;
}

/** The file ends in: footer, its length (int32), magic. */
async function readFooter(file: StoreFile, size: number, spec: SetSpec): Promise<Footer> {
  const end = size - 10;
  const tail = await bytesAt(file, size, end, 10);
  if (Buffer.from(tail.subarray(4)).toString('latin1') !== MAGIC)
    throw new Misfit('it does not end as an Arrow file does');
  const length = new DataView(tail.buffer).getInt32(0, true);
  return decodeFooter(await bytesAt(file, size, end - length, length), spec);
}
