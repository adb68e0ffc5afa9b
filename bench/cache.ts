/**
 * What a large set costs when little is new: every step is a process of the real command line, with its time and its peak of
 * resident memory.
 *
 *     npm run bench:cache [-- images=100000]
 *
 * Draws bitmaps of 114 bytes, no two alike, and writes made vectors (512 values, as xception-mini gives) under their hashes: what
 * is measured is the care for them, not the base.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FeatureSet } from '../src/index.js';
import { Random } from '../src/random.js';

const images = Number(process.argv[2] ?? 100_000);
const PER_FOLDER = 1000;
/** The last rows come in many small parts, as many small runs leave them. */
const SMALL = { rows: 10_000, part: 50 };
const root = fileURLToPath(new URL('../..', import.meta.url));
const work = mkdtempSync(path.join(tmpdir(), 'permafrost-bench-'));
const data = path.join(work, 'data');
const cache = path.join(work, 'cache');

/** A 5×4 bitmap of 24 bits whose first pixels count. */
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

/** Writes images [from, to) into folders. @returns their hashes */
function draw(from: number, to: number): Buffer[] {
  const hashes: Buffer[] = [];
  for (let i = from; i < to; i++) {
    const folder = path.join(data, `class-${String(Math.floor(i / PER_FOLDER)).padStart(4, '0')}`);
    if (i === from || i % PER_FOLDER === 0) mkdirSync(folder, { recursive: true });
    const bytes = bitmap(i);
    const file = path.join(folder, `${i}.bmp`);
    writeFileSync(file, bytes);
    // The index does not trust a file that is younger than two seconds.
    utimesSync(file, 1_700_000_000, 1_700_000_000);
    hashes.push(createHash('sha256').update(bytes).digest());
  }
  return hashes;
}

interface Measured {
  readonly seconds: number;
  readonly megabytes: number;
  readonly stdout: string;
}

async function permafrost(...args: string[]): Promise<Measured> {
  const rss = path.join(work, 'rss');
  const started = performance.now();
  const child = spawn(
    process.execPath,
    ['--import', path.join(root, 'dist/bench/rss.js'), path.join(root, 'dist/pipeline/cli.js'), ...args],
    { env: { ...process.env, PERMAFROST_RSS: rss }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  const seconds = (performance.now() - started) / 1000;
  if (code !== 0) throw new Error(`permafrost ${args.join(' ')}: ${stderr.slice(-2000)}`);
  return { seconds, megabytes: Number(readFileSync(rss, 'utf8')) / 1e6, stdout };
}

async function step(
  name: string,
  args: readonly string[],
  expected: Record<string, number | boolean> = {},
): Promise<void> {
  const { seconds, megabytes, stdout } = await permafrost(...args, '--cache', cache, '--json', '--quiet');
  const told = JSON.parse(stdout) as Record<string, unknown>;
  for (const [key, value] of Object.entries(expected)) {
    if (told[key] !== value) throw new Error(`${name}: ${key} is ${told[key]}, expected ${value}`);
  }
  console.log(`${name.padEnd(52)} ${seconds.toFixed(2).padStart(7)} s ${megabytes.toFixed(0).padStart(6)} MB`);
}

async function fill(dir: string, hashes: readonly Buffer[]): Promise<void> {
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
    if (i >= hashes.length - SMALL.rows && i % SMALL.part === 0) await writer.flush();
  }
  await writer.close();
}

try {
  draw(0, 10);
  const features = ['features', '--data', data];
  const { dir } = JSON.parse((await permafrost(...features, '--cache', cache, '--json', '--quiet')).stdout) as {
    dir: string;
  };
  const hashes = draw(10, images);
  await fill(dir, hashes);
  await step(`features: ${images} images of a moved folder, hashed anew`, features, { images, extracted: 0 });
  for (let i = 0; i < 3; i++) await step('features: a rerun with nothing new', features, { images, extracted: 0 });
  draw(images, images + 10);
  await step('features: ten images more', features, { images: images + 10, extracted: 10 });
  await step('cache verify', ['cache', 'verify']);
  await step('cache compact', ['cache', 'compact']);
  await step('features: a rerun after it', features, { images: images + 10, extracted: 0 });
  const half = path.join(work, 'half.csv');
  const rows = hashes.slice(0, images / 2).map((hash) => `${hash.toString('hex')},kept\n`);
  writeFileSync(half, `sha256,label\n${rows.join('')}`);
  const gc = ['cache', 'gc', '--unreferenced', '--labels', half];
  await step('cache gc: what half the labels would free', gc, { done: false });
  await step('cache gc --yes', [...gc, '--yes'], { done: true });
} finally {
  rmSync(work, { recursive: true });
}
