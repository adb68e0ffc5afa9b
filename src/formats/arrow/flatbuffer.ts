/**
 * Reads tables of a FlatBuffer (https://flatbuffers.dev/internals), every access within bounds: a damaged one ends in a
 * RangeError, in bounded time, whatever its bytes.
 */
export class FlatTable {
  private constructor(
    private readonly view: DataView,
    private readonly at: number,
  ) {}

  /** @throws RangeError as every method here does where an offset leads outside */
  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new FlatTable(view, view.getUint32(0, true));
  }

  int8(slot: number): number {
    const at = this.field(slot);
    return at === 0 ? 0 : this.view.getInt8(at);
  }

  int16(slot: number): number {
    const at = this.field(slot);
    return at === 0 ? 0 : this.view.getInt16(at, true);
  }

  int32(slot: number): number {
    const at = this.field(slot);
    return at === 0 ? 0 : this.view.getInt32(at, true);
  }

  int64(slot: number): number {
    const at = this.field(slot);
    return at === 0 ? 0 : toNumber(this.view.getBigInt64(at, true));
  }

  has(slot: number): boolean {
    return this.field(slot) !== 0;
  }

  table(slot: number): FlatTable {
    const at = this.field(slot);
    if (at === 0) throw new RangeError('a table is missing');
    return this.follow(at);
  }

  string(slot: number): string {
    const { at, length } = this.vector(slot, 1);
    return Buffer.from(this.view.buffer, this.view.byteOffset + at, length).toString('utf8');
  }

  tables(slot: number): FlatTable[] {
    const { at, length } = this.vector(slot, 4);
    return Array.from({ length }, (_, i) => this.follow(at + 4 * i));
  }

  int32s(slot: number): number[] {
    const { at, length } = this.vector(slot, 4);
    return Array.from({ length }, (_, i) => this.view.getInt32(at + 4 * i, true));
  }

  /** A vector of structs, each of 64-bit words (32-bit members are read with the padding that follows them). */
  structs(slot: number, words: number): number[][] {
    const { at, length } = this.vector(slot, 8 * words);
    return Array.from({ length }, (_, i) =>
      Array.from({ length: words }, (_, w) => toNumber(this.view.getBigInt64(at + 8 * (i * words + w), true))),
    );
  }

  /** @returns where the field lies, 0 where it is absent */
  private field(slot: number): number {
    const vtable = this.at - this.view.getInt32(this.at, true);
    const entry = 4 + 2 * slot;
    if (entry + 2 > this.view.getUint16(vtable, true)) return 0;
    const offset = this.view.getUint16(vtable + entry, true);
    return offset === 0 ? 0 : this.at + offset;
  }

  private follow(at: number): FlatTable {
    return new FlatTable(this.view, at + this.view.getUint32(at, true));
  }

  private vector(slot: number, size: number): { at: number; length: number } {
    const field = this.field(slot);
    if (field === 0) return { at: 0, length: 0 };
    const start = field + this.view.getUint32(field, true);
    const length = this.view.getUint32(start, true);
    if (start + 4 + length * size > this.view.byteLength) throw new RangeError('a vector runs past the end');
    return { at: start + 4, length };
  }
}

function toNumber(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError(`${value} is out of range`);
  return number;
}
