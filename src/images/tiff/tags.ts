import { ImageError } from '../../errors.js';

/** Bytes of a value of each type of TIFF 6.0 and BigTIFF. */
const SIZES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8] as const;

interface Entry {
  readonly type: number;
  readonly count: number;
  readonly at: number;
}

/** The first directory of a TIFF file. */
export class Tags {
  private readonly entries = new Map<number, Entry>();
  readonly isLittle: boolean;

  /** @throws ImageError where the directory is not all there */
  constructor(readonly buffer: Buffer) {
    this.isLittle = buffer[0] === 0x49;
    const isBig = buffer[2] === 0x2b || buffer[3] === 0x2b;
    const inHead = isBig ? 16 : 8;
    if (buffer.length < inHead) throw cutOff('within its header');
    const start = isBig ? this.uint64(8) : this.uint32(4);
    const [countSize, entrySize, offsetSize] = isBig ? ([8, 20, 8] as const) : ([2, 12, 4] as const);
    if (start + countSize > buffer.length) throw cutOff('its tags are missing');
    const count = isBig ? this.uint64(start) : this.uint16(start);
    if (start + countSize + count * entrySize > buffer.length) throw cutOff('some of its tags are missing');
    for (let i = 0; i < count; i++) {
      const at = start + countSize + i * entrySize;
      const type = this.uint16(at + 2);
      const values = isBig ? this.uint64(at + 4) : this.uint32(at + 4);
      const inline = at + entrySize - offsetSize;
      const bytes = values * (SIZES[type] ?? 0);
      const from = bytes <= offsetSize ? inline : isBig ? this.uint64(inline) : this.uint32(inline);
      const tag = this.uint16(at);
      if (!this.entries.has(tag)) this.entries.set(tag, { type, count: values, at: from });
    }
  }

  has(tag: number): boolean {
    return this.entries.has(tag);
  }

  /**
   * The bytes of a tag; undefined where the file has none.
   * @throws ImageError where they lie behind the end of the file
   */
  bytes(tag: number): Buffer | undefined {
    const entry = this.entries.get(tag);
    if (entry === undefined) return undefined;
    const end = entry.at + entry.count * (SIZES[entry.type] ?? 0);
    if (end > this.buffer.length) throw cutOff(`the values of its tag ${tag} are missing`);
    return this.buffer.subarray(entry.at, end);
  }

  /** The bytes of a tag, of those that no pixel depends on; undefined where they are not there. */
  held(tag: number): Buffer | undefined {
    try {
      return this.bytes(tag);
    } catch {
      return undefined;
    }
  }

  /**
   * The numbers of a tag; `standard` where the file has none.
   * @throws ImageError where they lie behind the end of the file, or are no numbers
   */
  numbers(tag: number, standard: readonly number[] = []): readonly number[] {
    const entry = this.entries.get(tag);
    const bytes = this.bytes(tag);
    if (entry === undefined || bytes === undefined) return standard;
    const read = this.reader(entry.type);
    const size = SIZES[entry.type];
    if (read === undefined || !size) {
      throw new ImageError('decode', `is a TIFF whose tag ${tag} is of type ${entry.type}: save it again as PNG`);
    }
    return Array.from({ length: entry.count }, (_, i) => read(entry.at + i * size));
  }

  /** The first number of a tag. */
  number(tag: number, standard: number): number {
    return this.numbers(tag, [standard])[0] ?? standard;
  }

  private reader(type: number): ((at: number) => number) | undefined {
    const { buffer, isLittle } = this;
    const readers: Readonly<Record<number, (at: number) => number>> = {
      1: (at) => buffer.readUInt8(at),
      3: (at) => this.uint16(at),
      4: (at) => this.uint32(at),
      5: (at) => this.uint32(at) / this.uint32(at + 4),
      6: (at) => buffer.readInt8(at),
      7: (at) => buffer.readUInt8(at),
      8: (at) => (isLittle ? buffer.readInt16LE(at) : buffer.readInt16BE(at)),
      9: (at) => (isLittle ? buffer.readInt32LE(at) : buffer.readInt32BE(at)),
      11: (at) => (isLittle ? buffer.readFloatLE(at) : buffer.readFloatBE(at)),
      12: (at) => (isLittle ? buffer.readDoubleLE(at) : buffer.readDoubleBE(at)),
      13: (at) => this.uint32(at),
      16: (at) => this.uint64(at),
      18: (at) => this.uint64(at),
    };
    return readers[type];
  }

  private uint16(at: number): number {
    return this.isLittle ? this.buffer.readUInt16LE(at) : this.buffer.readUInt16BE(at);
  }

  private uint32(at: number): number {
    return this.isLittle ? this.buffer.readUInt32LE(at) : this.buffer.readUInt32BE(at);
  }

  private uint64(at: number): number {
    return Number(this.isLittle ? this.buffer.readBigUInt64LE(at) : this.buffer.readBigUInt64BE(at));
  }
}

/** What a TIFF that ends too early is put aside with. */
export const cutOff = (what: string): ImageError =>
  new ImageError('decode', `is a TIFF that is cut off (${what}): fetch the file again`);
