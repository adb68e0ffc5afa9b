import { placesInOrder } from '../places.js';

const WORDS = 8;
const CHUNK = 8192;
/** The word of a key that says where in the table it stands: the last, as sorters and shards divide keys by the first ones. */
const HASHED = WORDS - 1;
const IS_LITTLE = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/**
 * SHA-256 digests, packed: 32 bytes a key and 8 to 16 of hash table, where a `Set` of hexadecimal strings takes about 130.
 * Keys keep the order in which they came.
 */
export class KeySet {
  private readonly chunks: Uint32Array[] = [];
  /** Open addressing with linear steps; an entry is the key's index + 1, and 0 where the place is free. */
  private table = new Uint32Array(1024);
  private readonly probe = new Uint32Array(WORDS);
  private readonly probeBytes = Buffer.from(this.probe.buffer);
  private count = 0;

  constructor(keys: Iterable<string | Uint8Array> = []) {
    for (const key of keys) this.add(key);
  }

  get size(): number {
    return this.count;
  }

  /** @param key 64 hexadecimal digits or 32 bytes; anything else is a TypeError */
  has(key: string | Uint8Array): boolean {
    return this.indexOf(key) >= 0;
  }

  /** @returns the key's index in order of arrival, -1 where it is absent */
  indexOf(key: string | Uint8Array): number {
    this.load(key);
    return (this.table[this.place()] as number) - 1;
  }

  /** @returns the key's index, the former size where it was absent */
  add(key: string | Uint8Array): number {
    this.load(key);
    return this.insert();
  }

  /** As `indexOf`, of the key that begins at byte 32·row of a flat array. */
  indexOfRow(flat: Uint8Array, row: number): number {
    this.probeBytes.set(flat.subarray(row * 32, row * 32 + 32));
    return (this.table[this.place()] as number) - 1;
  }

  /** As `add`, of the key that begins at byte 32·row of a flat array. */
  addRow(flat: Uint8Array, row: number): number {
    this.probeBytes.set(flat.subarray(row * 32, row * 32 + 32));
    return this.insert();
  }

  /** @returns the 32 bytes of the key with this index; a view, not to be written */
  at(index: number): Uint8Array {
    if (!(index >= 0 && index < this.count)) throw new RangeError(`no key ${index} among ${this.count}`);
    const chunk = this.chunks[Math.floor(index / CHUNK)] as Uint32Array;
    return new Uint8Array(chunk.buffer, (index % CHUNK) * 32, 32);
  }

  /** @returns the first four bytes of the key with this index, as a number of the highest byte first */
  leadOf(index: number): number {
    const chunk = this.chunks[Math.floor(index / CHUNK)] as Uint32Array;
    const word = chunk[(index % CHUNK) * WORDS] as number;
    if (!IS_LITTLE) return word;
    return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
  }

  /**
   * The indices of all keys in the order of their bytes, which is that of their hexadecimal digits. The first four bytes are sorted as
   * numbers; where these are the same, all decide.
   */
  order(): Uint32Array {
    const { count } = this;
    const leads = new Uint32Array(count);
    for (let index = 0; index < count; index++) leads[index] = this.leadOf(index);
    const order = placesInOrder(leads);
    const compare = (a: number, b: number): number => Buffer.compare(this.at(a), this.at(b));
    for (let from = 0, to = 1; to <= count; to++) {
      if (to < count && leads[order[to] as number] === leads[order[from] as number]) continue;
      if (to - from > 1) order.subarray(from, to).sort(compare);
      from = to;
    }
    return order;
  }

  private load(key: string | Uint8Array): void {
    const isKey =
      typeof key === 'string'
        ? key.length === 64 && this.probeBytes.write(key, 'hex') === 32
        : key.length === 32 && this.probeBytes.set(key) === undefined;
    if (isKey) return;
    throw new TypeError(
      `a key is 32 bytes or 64 hexadecimal digits, found ${JSON.stringify(String(key).slice(0, 80))}`,
    );
  }

  private insert(): number {
    const place = this.place();
    const entry = this.table[place] as number;
    if (entry > 0) return entry - 1;
    const index = this.count++;
    if (index % CHUNK === 0) this.chunks.push(new Uint32Array(CHUNK * WORDS));
    (this.chunks[this.chunks.length - 1] as Uint32Array).set(this.probe, (index % CHUNK) * WORDS);
    this.table[place] = index + 1;
    if (this.count * 2 > this.table.length) this.grow();
    return index;
  }

  /** @returns where in the table the probe stands, or would stand */
  private place(): number {
    const { table, probe } = this;
    const mask = table.length - 1;
    let place = (probe[HASHED] as number) & mask;
    for (;;) {
      const entry = table[place] as number;
      if (entry === 0) return place;
      const chunk = this.chunks[Math.floor((entry - 1) / CHUNK)] as Uint32Array;
      const base = ((entry - 1) % CHUNK) * WORDS;
      let word = 0;
      while (word < WORDS && chunk[base + word] === probe[word]) word++;
      if (word === WORDS) return place;
      place = (place + 1) & mask;
    }
  }

  private grow(): void {
    const table = new Uint32Array(this.table.length * 2);
    const mask = table.length - 1;
    for (let index = 0; index < this.count; index++) {
      const chunk = this.chunks[Math.floor(index / CHUNK)] as Uint32Array;
      let place = (chunk[(index % CHUNK) * WORDS + HASHED] as number) & mask;
      while (table[place] !== 0) place = (place + 1) & mask;
      table[place] = index + 1;
    }
    this.table = table;
  }
}
