import { createHash } from 'node:crypto';

const rotate = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

/**
 * A seeded stream of random numbers, the same on every machine: xoshiro128** (Blackman and Vigna 2018), its state the first
 * 16 bytes of the seed's SHA-256. Not for secrets.
 */
export class Random {
  private readonly state: Uint32Array;
  private spare: number | undefined;

  constructor(seed: number | string) {
    const digest = createHash('sha256').update(String(seed)).digest();
    this.state = Uint32Array.from({ length: 4 }, (_, i) => digest.readUInt32LE(4 * i));
  }

  /** @returns an integer in [0, 2^32) */
  uint32(): number {
    const s = this.state as Uint32Array & { 0: number; 1: number; 2: number; 3: number };
    const result = Math.imul(rotate(Math.imul(s[1], 5), 7), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 11);
    return result;
  }

  /** @returns a number in [low, high), 32 bits fine */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.uint32() / 2 ** 32);
  }

  /** Draws as many places of an array as `times`, each as likely as any other, and adds 1 to each: `floor(uniform(0, length))`. */
  tally(array: Uint32Array, times: number): void {
    const { length } = array;
    let [a, b, c, d] = this.state as Uint32Array & [number, number, number, number];
    for (let i = 0; i < times; i++) {
      const place = (length * ((Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0) * 2 ** -32)) >>> 0;
      const t = b << 9;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= t;
      d = rotate(d, 11);
      array[place] = (array[place] as number) + 1;
    }
    this.state.set([a, b, c, d]);
  }

  /** @returns an integer in [0, n), without bias, for n up to 2^32 */
  below(n: number): number {
    const limit = 2 ** 32 - (2 ** 32 % n);
    let value = this.uint32();
    while (value >= limit) value = this.uint32();
    return value % n;
  }

  /** @returns a normally distributed number (Box and Muller 1958) */
  normal(mean = 0, deviation = 1): number {
    if (this.spare !== undefined) {
      const value = this.spare;
      this.spare = undefined;
      return mean + deviation * value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.spare = radius * Math.sin(angle);
    return mean + deviation * radius * Math.cos(angle);
  }

  /** @returns the integers 0 to n - 1 in random order (Fisher and Yates) */
  permutation(n: number): Uint32Array {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const held = order[i] ?? 0;
      order[i] = order[j] ?? 0;
      order[j] = held;
    }
    return order;
  }
}
