import { hash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { CacheError } from '../errors.js';
import {
  errorCode,
  realSystem,
  removeStale,
  type StoreFile,
  type StoreOptions,
  type StoreSystem,
  writeAtomically,
} from '../files/index.js';
import { crc32c } from '../formats/arrow/crc32c.js';
import { KeySet } from './key-set.js';

/** A file as a `stat` with `bigint: true` shows it, made before the file is read. */
export interface FileStat {
  readonly absolute: string | Buffer;
  readonly size: number | bigint;
  readonly mtimeNs: bigint;
  readonly ino: bigint;
  /** SHA-256 of `absolute`, 32 bytes, where it is known already. */
  readonly pathKey?: Uint8Array;
}

/** What the index knows of a file: its digest, or that it is no image. */
export type FileFact = { readonly sha256: string } | { readonly other: true };

/** A file written so shortly before it was read may be written again without a new mtime (as git's "racy" entries). */
const RACY_MS = 2000;

/** An entry on disk: SHA-256 of the path, then what is kept in memory behind it. Little-endian. */
const KEY = 32;
/** size int64, mtimeNs int64, ino int64, digest 32 bytes, kind int32, 4 unused. */
const FACT = 64;
const STAT = 24;
const RECORD = KEY + FACT;
const KIND = { untrusted: 0, sha256: 1, other: 2 };

/** What is known of 8,192 files. */
interface Facts {
  readonly bytes: Buffer;
  readonly view: DataView;
}

const MAGIC = Buffer.from('PFINDEX1');
const SEGMENT = /^(\d{10})-[0-9a-f]{12}\.index$/;
/** Segments are merged when there are so many. */
const MERGE_AT = 8;
/** Entries of one block of a segment, each block with its own CRC. */
const BLOCK = 4096;
const CHUNK = 8192;
/** The oldest beyond these are dropped. */
const MAX_ENTRIES = 8_000_000;

/**
 * `cache/_index`: (path, size, mtime, inode) → SHA-256 of the content. A shortcut: whatever is wrong with it costs hashing and
 * is never an error. Each run adds a segment of its own (written whole, then renamed), so runs at once cannot hurt each other;
 * a run that finds eight merges them. A million files take about 110 MB of memory.
 */
export class FileIndex {
  private readonly paths = new KeySet();
  private readonly facts: Facts[] = [];
  private readonly changed = new Set<number>();
  private readonly segments: string[] = [];

  private constructor(
    private readonly system: StoreSystem,
    private readonly dir: string,
  ) {}

  /** @param cache the cache folder; it need not exist */
  static async open(cache: string, options: StoreOptions = {}): Promise<FileIndex> {
    const index = new FileIndex(options.system ?? realSystem, join(cache, '_index'));
    const names = await index.system.list(index.dir).catch(ignoreSystem);
    // By their number, so that a later segment's entry takes the place of an earlier one's.
    for (const name of (names ?? []).filter((name) => SEGMENT.test(name)).sort()) await index.load(name);
    return index;
  }

  /** Ms since 1970, by the clock that `remember` compares with. */
  now(): number {
    return this.system.now();
  }

  /** Files it knows. */
  get size(): number {
    return this.paths.size;
  }

  /** @returns what is known of a file that has not changed since, else null */
  lookup(file: FileStat): FileFact | null {
    const index = this.paths.indexOf(keyOf(file));
    if (index < 0) return null;
    const { bytes: chunk, view } = this.facts[Math.floor(index / CHUNK)] as Facts;
    const at = (index % CHUNK) * FACT;
    const isSame =
      view.getBigInt64(at + 8, true) === file.mtimeNs &&
      view.getBigInt64(at + 16, true) === BigInt.asIntN(64, file.ino) &&
      view.getBigInt64(at, true) === BigInt(file.size);
    if (!isSame) return null;
    const kind = view.getInt32(at + 56, true);
    if (kind === KIND.other) return { other: true };
    if (kind !== KIND.sha256) return null;
    return { sha256: chunk.toString('hex', at + STAT, at + STAT + 32) };
  }

  /**
   * Notes what a file holds.
   * @param file as it was before it was read
   * @param readAt when its reading began, in ms since 1970; default: now. A file written less than 2 s before is not noted
   */
  remember(file: FileStat, known: FileFact, readAt = this.system.now()): void {
    const racy = readAt - Number(file.mtimeNs / 1_000_000n) < RACY_MS;
    const kind = racy ? KIND.untrusted : 'other' in known ? KIND.other : KIND.sha256;
    const key = keyOf(file);
    if (racy && !this.paths.has(key)) return;
    const fact = encodeFact(file, kind);
    if (!racy && 'sha256' in known) fact.set(Buffer.from(known.sha256, 'hex'), STAT);
    this.changed.add(this.put(this.paths.add(key), fact));
  }

  /** Writes what is new. A failure is not told: the next run hashes those files again. */
  async save(): Promise<void> {
    if (this.changed.size === 0) return;
    const merge = this.segments.length + 1 >= MERGE_AT;
    const last = Number(this.segments.at(-1)?.slice(0, 10) ?? 0);
    const name = `${String(last + 1).padStart(10, '0')}-${randomBytes(6).toString('hex')}.index`;
    const all = this.paths.size;
    const indices = merge
      ? Array.from({ length: Math.min(all, MAX_ENTRIES) }, (_, i) => i + Math.max(0, all - MAX_ENTRIES))
      : [...this.changed];
    try {
      await this.system.makeFolder(this.dir);
      await removeStale(this.system, this.dir);
      await writeAtomically(this.system, this.dir, name, this.encode(indices));
    } catch (error) {
      if (error instanceof CacheError) return;
      ignoreSystem(error);
      return;
    }
    this.changed.clear();
    if (merge) {
      for (const old of this.segments.splice(0)) await this.system.unlink(join(this.dir, old)).catch(ignoreSystem);
    }
    this.segments.push(name);
  }

  private fact(index: number): Uint8Array {
    const at = (index % CHUNK) * FACT;
    return (this.facts[Math.floor(index / CHUNK)] as Facts).bytes.subarray(at, at + FACT);
  }

  /** @param index of its path */
  private put(index: number, fact: Uint8Array): number {
    if (index === this.facts.length * CHUNK) {
      const bytes = Buffer.alloc(CHUNK * FACT);
      this.facts.push({ bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) });
    }
    this.fact(index).set(fact);
    return index;
  }

  private *encode(indices: readonly number[]): Generator<Uint8Array> {
    yield MAGIC;
    for (let start = 0; start < indices.length; start += BLOCK) {
      const block = indices.slice(start, start + BLOCK);
      const bytes = new Uint8Array(8 + block.length * RECORD);
      block.forEach((index, i) => {
        bytes.set(this.paths.at(index), 8 + i * RECORD);
        bytes.set(this.fact(index), 8 + i * RECORD + KEY);
      });
      const header = new DataView(bytes.buffer);
      header.setUint32(0, block.length, true);
      header.setUint32(4, crc32c(bytes.subarray(8)), true);
      yield bytes;
    }
  }

  private async load(name: string): Promise<void> {
    this.segments.push(name);
    try {
      const file = await this.system.open(join(this.dir, name), 'read');
      try {
        for await (const block of readBlocks(file)) {
          for (let at = 0; at < block.length && this.paths.size < MAX_ENTRIES; at += RECORD) {
            const index = this.paths.add(block.subarray(at, at + KEY));
            this.put(index, block.subarray(at + KEY, at + RECORD));
          }
        }
      } finally {
        await file.close();
      }
    } catch (error) {
      ignoreSystem(error);
    }
  }
}

/** The whole blocks from the start of a segment; what follows a damaged one is lost. */
async function* readBlocks(file: StoreFile): AsyncGenerator<Uint8Array> {
  const head = new Uint8Array(8);
  if ((await file.read(head, 0)) !== 8 || !MAGIC.equals(head)) return;
  for (let at = 8; (await file.read(head, at)) === 8; ) {
    const header = new DataView(head.buffer);
    const rows = header.getUint32(0, true);
    if (rows > BLOCK) return;
    const block = new Uint8Array(rows * RECORD);
    if ((await file.read(block, at + 8)) !== block.length || crc32c(block) !== header.getUint32(4, true)) return;
    yield block;
    at += 8 + block.length;
  }
}

/** Digits, as Node makes them in half the time of bytes. */
const keyOf = ({ pathKey, absolute }: FileStat): string | Uint8Array => pathKey ?? hash('sha256', absolute, 'hex');

function encodeFact(file: FileStat, kind: number): Uint8Array {
  const bytes = new Uint8Array(FACT);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, BigInt(file.size), true);
  view.setBigInt64(8, file.mtimeNs, true);
  view.setBigInt64(16, file.ino, true);
  view.setInt32(56, kind, true);
  return bytes;
}

/** @throws what is not the system's */
function ignoreSystem(error: unknown): undefined {
  if (errorCode(error) === undefined) throw error;
}
