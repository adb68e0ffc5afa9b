import { CacheError } from '../errors.js';
import type { StoreSystem } from '../files/index.js';
import { writeAtomically } from '../files/index.js';
import { FLOAT16_LIMIT } from '../float16.js';
import { encodePart } from './encode-part.js';
import type { Maker } from './part.js';
import { isGone, makeSetFolder } from './set-folder.js';
import type { SetSpec } from './spec.js';

/** Rows of a part. */
export const PART_ROWS = 1024;
/** How long a row may wait for its part to be closed, in ms. */
export const PART_MS = 20_000;
/** Vectors beyond 16,384 values make shorter parts, so that memory stays bounded. */
const PART_BYTES = 64 * 2 ** 20;

/** @returns the first index of a value that the stored type cannot hold (NaN, infinite, too large for float16), -1 where all fit */
export function firstUnstorable(vector: Float32Array, type: SetSpec['type']): number {
  const limit = type === 'float16' ? FLOAT16_LIMIT : Number.POSITIVE_INFINITY;
  for (let i = 0; i < vector.length; i++) {
    if (!(Math.abs(vector[i] as number) < limit)) return i;
  }
  return -1;
}

/** @returns the rows of a full part */
export function partCapacity({ features }: SetSpec, partRows = PART_ROWS): number {
  return Math.max(1, Math.min(partRows, Math.floor(PART_BYTES / (4 * features))));
}

/**
 * Gathers rows into parts. A part is closed at 1,024 rows or 20 seconds after its first row, and no row is taken while it is
 * being written, so a crash costs at most one part's rows. After a failed write every call throws what it threw.
 */
export class PartWriter {
  private readonly capacity: number;
  private readonly keys: Uint8Array;
  private readonly vectors: Float32Array;
  private rows = 0;
  private cancel: (() => void) | undefined;
  private writing: Promise<void> = Promise.resolve();
  private failure: { readonly error: unknown } | undefined;
  private closed = false;
  private inPlace = 0;
  private readonly written: string[] = [];

  /** @param origin of parts that are merged from others, which do not wait for time: a digest of those parts */
  constructor(
    private readonly system: StoreSystem,
    private readonly set: { readonly dir: string; readonly spec: SetSpec; readonly fingerprint: string },
    private readonly maker: Maker,
    partRows = PART_ROWS,
    private readonly origin: { readonly merged?: string } = {},
  ) {
    const d = set.spec.features;
    this.capacity = partCapacity(set.spec, partRows);
    this.keys = new Uint8Array(this.capacity * 32);
    this.vectors = new Float32Array(this.capacity * d);
  }

  /** Rows whose parts are in place, safe from a crash. */
  get stored(): number {
    return this.inPlace;
  }

  /** Names of the parts that are in place. */
  get names(): readonly string[] {
    return this.written;
  }

  /**
   * Takes a copy of a row; the one that fills a part waits until that part is in place.
   * @param sha256 of the image file, 32 bytes
   * @param vector d values
   * @throws CacheError for a value that cannot be stored, or when an earlier part could not be written
   */
  async add(sha256: Uint8Array, vector: Float32Array): Promise<void> {
    const { features, type } = this.set.spec;
    if (sha256.length !== 32) throw new TypeError(`a key has 32 bytes, found ${sha256.length}`);
    if (vector.length !== features) throw new TypeError(`a vector has ${features} values, found ${vector.length}`);
    if (this.closed) throw new TypeError('the writer is closed');
    await this.writing;
    this.check();
    const bad = firstUnstorable(vector, type);
    if (bad >= 0) {
      const image = Buffer.from(sha256).toString('hex');
      throw new CacheError(`the vector of image ${image} holds ${vector[bad]} at ${bad}, which ${type} cannot store`);
    }
    this.keys.set(sha256, this.rows * 32);
    this.vectors.set(vector, this.rows * features);
    this.rows++;
    if (this.rows === this.capacity) {
      await this.flush();
    } else if (this.rows === 1 && this.origin.merged === undefined) {
      this.cancel = this.system.after(PART_MS, () => this.closePart());
    }
  }

  /** Closes the part that is filling. Resolves when every row added so far is in place. */
  async flush(): Promise<void> {
    this.closePart();
    await this.writing;
    this.check();
  }

  /** Flushes; no row can be added after it. */
  async close(): Promise<void> {
    this.closed = true;
    await this.flush();
  }

  /** Where the set was taken out meanwhile it is made anew; what is merged belongs to what was taken out. */
  private async place(name: string, bytes: Uint8Array): Promise<void> {
    const { dir, spec } = this.set;
    try {
      await writeAtomically(this.system, dir, name, [bytes]);
    } catch (error) {
      if (this.origin.merged !== undefined || !(await isGone(this.system, dir))) throw error;
      await makeSetFolder(this.system, dir, spec);
      await writeAtomically(this.system, dir, name, [bytes]);
    }
  }

  private check(): void {
    if (this.failure !== undefined) throw this.failure.error;
  }

  private closePart(): void {
    this.cancel?.();
    this.cancel = undefined;
    if (this.rows === 0 || this.failure !== undefined) return;
    const { rows } = this;
    this.rows = 0;
    const d = this.set.spec.features;
    const keys = this.keys.subarray(0, rows * 32);
    const vectors = this.vectors.subarray(0, rows * d);
    let part: ReturnType<typeof encodePart>;
    try {
      part = encodePart(this.set, this.maker, keys, vectors, this.origin);
    } catch (error) {
      this.failure = { error };
      return;
    }
    this.writing = this.writing
      .then(async () => {
        this.check();
        await this.place(part.name, part.bytes);
        this.inPlace += part.rows;
        this.written.push(part.name);
      })
      .catch((error: unknown) => {
        this.failure ??= { error };
      });
  }
}
