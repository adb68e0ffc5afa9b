import { join } from 'node:path';
import { sha256Hex } from '../canonical.js';
import { CacheError } from '../errors.js';
import { errorCode, openReader, type Reader, type StoreSystem, storeError, writeAtomically } from '../files/index.js';
import { crc32c } from '../formats/arrow/crc32c.js';
import { BitList } from './bit-list.js';

/** Keys of a block. Behind them stands the CRC-32C of their bytes, then nothing up to its end. */
const BLOCK_KEYS = 127;
const BLOCK = 4096;
const KEY_BYTES = BLOCK_KEYS * 32;
/** Of the name of a part: 32 hexadecimal digits. */
const ID = 16;
/** Magic, keys (8 bytes), parts (4), CRC-32C of all behind the blocks (4). Numbers are little-endian. */
const TRAILER = 24;
const MAGIC = Buffer.from('PFKEYS01');
const NAME = /^_keys-[0-9a-f]{32}\.bin$/;
const PART = /^part-([0-9a-f]{32})\.arrow$/;
/** More than that is no file of ours: parts of one row each of 10⁹ keys. */
const MOST_TAIL = 2 ** 35;

/** @returns whether files of that name hold the keys of parts */
export const isKeyFileName = (name: string): boolean => NAME.test(name);

const nameOf = (parts: readonly string[]): string => `_keys-${sha256Hex(parts.join()).slice(0, 32)}.bin`;

/**
 * `_keys-<32 hex>.bin`: the distinct keys of many parts, sorted, so that one is found with one look at the disk. A shortcut of a large
 * set, which may be deleted at any time; its name follows from those of its parts, which follow from their bytes. Blocks of 4,096
 * bytes, then the leading 4 bytes of the first key of each block, the parts, and a trailer.
 */
export class KeyFile {
  /** Blocks whose CRC was found right. */
  private readonly checked: BitList;
  private readonly block = Buffer.alloc(BLOCK);
  /** The block that stands in `block`. */
  private read = -1;

  private constructor(
    /** Of the file. */
    readonly name: string,
    private readonly path: string,
    private readonly reader: Reader,
    /** Distinct keys. */
    readonly size: number,
    /** Names of the parts whose keys these are, sorted. */
    readonly parts: readonly string[],
    /** Leading 32 bits of the first key of each block. */
    private readonly leads: Uint32Array,
  ) {
    this.checked = new BitList(leads.length);
  }

  /** @returns null for what is no whole key file, or is not there any more */
  static async open(system: StoreSystem, folder: string, name: string): Promise<KeyFile | null> {
    const path = join(folder, name);
    try {
      const file = await system.open(path, 'read');
      try {
        const end = (await file.size()) - TRAILER;
        const trailer = Buffer.alloc(TRAILER);
        if (end < 0 || (await file.read(trailer, end)) !== TRAILER || !trailer.subarray(0, 8).equals(MAGIC))
          return null;
        const [size, parts] = [Number(trailer.readBigUInt64LE(8)), trailer.readUInt32LE(16)];
        const blocks = Math.ceil(size / BLOCK_KEYS);
        const bytes = blocks * 4 + parts * ID;
        if (bytes > MOST_TAIL || blocks * BLOCK + bytes !== end) return null;
        const tail = Buffer.alloc(bytes);
        if ((await file.read(tail, blocks * BLOCK)) !== bytes) return null;
        if (crc32c(trailer.subarray(0, 20), crc32c(tail)) !== trailer.readUInt32LE(20)) return null;
        const leads = Uint32Array.from({ length: blocks }, (_, i) => tail.readUInt32LE(i * 4));
        const names = Array.from({ length: parts }, (_, i) => {
          const at = blocks * 4 + i * ID;
          return `part-${tail.toString('hex', at, at + ID)}.arrow`;
        });
        return nameOf(names) === name ? new KeyFile(name, path, openReader(path), size, names, leads) : null;
      } finally {
        await file.close();
      }
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
      return null;
    }
  }

  /**
   * Writes the keys of parts.
   * @param parts their names
   * @param sorted the distinct keys, ascending, [any, 32] flat
   * @returns the name of the file
   * @throws CacheError where the disk takes it not
   */
  static async write(
    system: StoreSystem,
    folder: string,
    parts: readonly string[],
    sorted: AsyncIterable<Uint8Array>,
  ): Promise<string> {
    const names = [...parts].sort();
    await writeAtomically(system, folder, nameOf(names), encode(names, sorted));
    return nameOf(names);
  }

  /**
   * @param key 32 bytes
   * @returns its place among all, ascending; -1 where it is absent
   * @throws CacheError where the file is damaged
   */
  indexOf(key: Uint8Array): number {
    const lead = leadOf(key, 0);
    // The first block that begins with as much or more: the key stands in the one before, or where many begin alike behind it.
    let [low, high] = [0, this.leads.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.leads[middle] as number) < lead) low = middle + 1;
      else high = middle;
    }
    for (let block = Math.max(0, low - 1); block < this.leads.length; block++) {
      if ((this.leads[block] as number) > lead) break;
      const row = this.find(block, key, lead);
      if (row >= 0) return block * BLOCK_KEYS + row;
    }
    return -1;
  }

  /** @returns the 32 bytes of a key by its place @throws CacheError where the file is damaged */
  at(index: number): Uint8Array {
    if (!(index >= 0 && index < this.size)) throw new RangeError(`no key ${index} among ${this.size}`);
    this.load(Math.floor(index / BLOCK_KEYS));
    const row = index % BLOCK_KEYS;
    return Uint8Array.from(this.block.subarray(row * 32, row * 32 + 32));
  }

  /** All keys ascending, [any, 32] flat; each stands until the next are asked for. @throws CacheError where the file is damaged */
  *flat(): Generator<Uint8Array> {
    for (let block = 0; block < this.leads.length; block++) {
      this.load(block);
      yield this.block.subarray(0, this.rows(block) * 32);
    }
  }

  private rows(block: number): number {
    return Math.min(BLOCK_KEYS, this.size - block * BLOCK_KEYS);
  }

  private find(block: number, key: Uint8Array, lead: number): number {
    this.load(block);
    let [low, high] = [0, this.rows(block)];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = leadOf(this.block, middle * 32);
      const order = other - lead || this.block.compare(key, 0, 32, middle * 32, middle * 32 + 32);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1;
  }

  private load(block: number): void {
    if (this.read === block) return;
    this.read = -1;
    let found: number;
    try {
      found = this.reader.read(this.block, block * BLOCK);
    } catch (error) {
      throw storeError(error, 'to read the keys of a set', this.path);
    }
    if (found === BLOCK && !this.checked.has(block)) {
      if (crc32c(this.block.subarray(0, KEY_BYTES)) !== this.block.readUInt32LE(KEY_BYTES)) found = -1;
      else this.checked.set(block);
    }
    if (found !== BLOCK) throw new CacheError(`${this.path} is damaged: delete it, and it is made anew`);
    this.read = block;
  }
}

const leadOf = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)) >>>
  0;

async function* encode(parts: readonly string[], sorted: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const leads: number[] = [];
  let block = Buffer.alloc(BLOCK);
  let rows = 0;
  let size = 0;
  const sealed = (): Uint8Array => {
    const whole = block;
    leads.push(leadOf(whole, 0));
    whole.writeUInt32LE(crc32c(whole.subarray(0, KEY_BYTES)), KEY_BYTES);
    block = Buffer.alloc(BLOCK);
    rows = 0;
    return whole;
  };
  for await (const flat of sorted) {
    for (let at = 0; at < flat.length; ) {
      const taken = Math.min(BLOCK_KEYS - rows, (flat.length - at) / 32);
      block.set(flat.subarray(at, at + taken * 32), rows * 32);
      rows += taken;
      size += taken;
      at += taken * 32;
      if (rows === BLOCK_KEYS) yield sealed();
    }
  }
  if (rows > 0) yield sealed();
  const tail = Buffer.alloc(leads.length * 4 + parts.length * ID);
  for (const [i, lead] of leads.entries()) tail.writeUInt32LE(lead, i * 4);
  for (const [i, part] of parts.entries()) tail.write(PART.exec(part)?.[1] ?? '', leads.length * 4 + i * ID, 'hex');
  const trailer = Buffer.alloc(TRAILER);
  trailer.set(MAGIC);
  trailer.writeBigUInt64LE(BigInt(size), 8);
  trailer.writeUInt32LE(parts.length, 16);
  trailer.writeUInt32LE(crc32c(trailer.subarray(0, 20), crc32c(tail)), 20);
  yield tail;
  yield trailer;
}
