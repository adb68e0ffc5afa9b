import { createHash } from 'node:crypto';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { FeatureSet } from '../src/index.js';
import { Random } from '../src/random.js';

/** A 5×4 bitmap of 24 bits (118 bytes) whose first pixels count. */
function bitmap(i: number): Buffer {
  const bytes = Buffer.alloc(54 + 16 * 4);
  bytes.write('BM');
  bytes.writeUInt32LE(bytes.length, 2);
  bytes.writeUInt32LE(54, 10);
  bytes.writeUInt32LE(40, 14);
  bytes.writeInt32LE(5, 18);
  bytes.writeInt32LE(4, 22);
  bytes.writeUInt16LE(1, 26);
  bytes.writeUInt16LE(24, 28);
  bytes.writeUInt32LE(i, 54);
  return bytes;
}

/**
 * Writes the bitmaps [from, to) below `data`, no two alike.
 * @param folderOf the folder of each, relative to `data`; those of one folder come one after the other
 * @returns their hashes
 */
export function drawImages(data: string, from: number, to: number, folderOf: (i: number) => string): Buffer[] {
  const hashes: Buffer[] = [];
  let folder: string | undefined;
  for (let i = from; i < to; i++) {
    const name = folderOf(i);
    if (name !== folder) mkdirSync(path.join(data, name), { recursive: true });
    folder = name;
    const bytes = bitmap(i);
    const file = path.join(data, name, `${i}.bmp`);
    writeFileSync(file, bytes);
    // The index does not trust a file that is younger than two seconds.
    utimesSync(file, 1_700_000_000, 1_700_000_000);
    hashes.push(createHash('sha256').update(bytes).digest());
  }
  return hashes;
}

/**
 * Writes made vectors under hashes into a set that has one part already, as its maker's.
 * @param small the last rows come in many small parts, as many small runs leave them
 */
export async function fillSet(
  dir: string,
  hashes: readonly Buffer[],
  small: { readonly rows: number; readonly part: number } = { rows: 0, part: 1 },
): Promise<void> {
  const set = await FeatureSet.open(dir);
  const { makers } = await set.info();
  const [maker] = makers;
  if (maker === undefined) throw new Error('the set has no part to take its maker from');
  const writer = set.writer(maker);
  const random = new Random('bench');
  const vector = Float32Array.from({ length: set.spec.features }, () => random.uniform());
  for (const [i, hash] of hashes.entries()) {
    vector[i % vector.length] = random.uniform();
    await writer.add(hash, vector);
    if (i >= hashes.length - small.rows && i % small.part === 0) await writer.flush();
  }
  await writer.close();
}
