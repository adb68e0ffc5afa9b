import type { Random } from '../../src/random.js';

const EXTREMES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** A place in the bytes, half of the time among the first 128, where headers stand. */
function place(random: Random, length: number): number {
  return random.below(Math.max(1, random.below(2) === 0 ? Math.min(128, length) : length));
}

type Mutation = (bytes: Buffer, random: Random, other: Buffer) => Buffer;

const MUTATIONS: readonly Mutation[] = [
  (bytes, random) => {
    const at = place(random, bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    return bytes;
  },
  (bytes, random) => {
    bytes[place(random, bytes.length)] = random.below(256);
    return bytes;
  },
  (bytes, random) => {
    const at = place(random, bytes.length);
    if (at + 4 > bytes.length) return bytes;
    const value = EXTREMES[random.below(EXTREMES.length)] as number;
    if (random.below(2) === 0) bytes.writeUInt32LE(value, at);
    else bytes.writeUInt32BE(value, at);
    return bytes;
  },
  (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  (bytes, random) => {
    const at = place(random, bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(64))]);
  },
  (bytes, random) => {
    const at = place(random, bytes.length);
    const piece = bytes.subarray(at, at + 1 + random.below(256));
    return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
  },
  (bytes, random) => {
    const at = place(random, bytes.length);
    return bytes.fill(random.below(2) * 255, at, Math.min(bytes.length, at + 1 + random.below(128)));
  },
  (bytes, random, other) => {
    const at = place(random, bytes.length);
    return Buffer.concat([bytes.subarray(0, at), other.subarray(place(random, other.length))]);
  },
];

/** @returns a copy of a file with one to three faults of the kinds that disks, networks and enemies make; `other` lends bytes */
export function mutate(bytes: Buffer, random: Random, other: Buffer): Buffer {
  let mutant: Buffer = Buffer.from(bytes);
  const faults = 1 + random.below(3);
  for (let i = 0; i < faults && mutant.length > 0; i++) {
    mutant = (MUTATIONS[random.below(MUTATIONS.length)] as Mutation)(mutant, random, other);
  }
  return mutant;
}
