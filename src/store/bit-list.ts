/** Some of the whole numbers from 0 on, a bit each. */
export class BitList {
  private bytes: Uint8Array;

  /** @param length of what is known to come; it grows where more comes */
  constructor(length = 0) {
    this.bytes = new Uint8Array(Math.ceil(length / 8));
  }

  /** @returns whether it was not there before */
  set(at: number): boolean {
    const byte = Math.floor(at / 8);
    if (byte >= this.bytes.length) {
      const longer = new Uint8Array(Math.max(64, byte + 1, this.bytes.length * 2));
      longer.set(this.bytes);
      this.bytes = longer;
    }
    const before = this.bytes[byte] as number;
    this.bytes[byte] = before | (1 << (at % 8));
    return before !== this.bytes[byte];
  }

  has(at: number): boolean {
    return (((this.bytes[Math.floor(at / 8)] ?? 0) >> (at % 8)) & 1) === 1;
  }

  /** Those that are there, ascending. */
  *[Symbol.iterator](): Generator<number> {
    for (let byte = 0; byte < this.bytes.length; byte++) {
      if (this.bytes[byte] === 0) continue;
      for (let at = byte * 8; at < byte * 8 + 8; at++) if (this.has(at)) yield at;
    }
  }
}
