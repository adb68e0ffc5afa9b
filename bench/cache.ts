/**
 * What a large set costs when little is new: every step is a process of the real command line, with its time and its peak of
 * resident memory.
 *
 *     npm run build && node dist/bench/cache.js [images=100000 …]
 *
 * Draws bitmaps of 118 bytes, no two alike, and writes made vectors (512 values, as xception-mini gives) under their hashes: what
 * is measured is the care for them, not the base.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { drawImages, fillSet } from './made_images.js';
import { type Row, tell } from './tables.js';

const sizes = process.argv.slice(2).map(Number);
const PER_FOLDER = 1000;
/** The last rows come in many small parts, as many small runs leave them. */
const SMALL = { rows: 10_000, part: 50 };
const root = fileURLToPath(new URL('../..', import.meta.url));
let work = '';

const draw = (from: number, to: number): Buffer[] =>
  drawImages(path.join(work, 'data'), from, to, (i) => `class-${String(Math.floor(i / PER_FOLDER)).padStart(4, '0')}`);

interface Measured {
  readonly seconds: number;
  readonly megabytes: number;
  readonly told: Readonly<Record<string, unknown>>;
}

async function permafrost(...args: string[]): Promise<Measured> {
  const rss = path.join(work, 'rss');
  const told = ['--cache', path.join(work, 'cache'), '--json', '--quiet'];
  const started = performance.now();
  const child = spawn(
    process.execPath,
    ['--import', path.join(root, 'dist/bench/rss.js'), path.join(root, 'dist/pipeline/cli.js'), ...args, ...told],
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
  return { seconds, megabytes: Number(readFileSync(rss, 'utf8')) / 1e6, told: JSON.parse(stdout) };
}

/** Times every step on a set of so many images. */
async function measure(images: number): Promise<void> {
  const [seconds, megabytes]: [Row[], Row[]] = [[], []];
  const step = async (
    name: string,
    args: readonly string[],
    expected: Readonly<Record<string, number | boolean>> = {},
    runs = 1,
  ): Promise<void> => {
    const found: Measured[] = [];
    for (let run = 0; run < runs; run++) found.push(await permafrost(...args));
    for (const { told } of found) {
      for (const [key, value] of Object.entries(expected)) {
        if (told[key] !== value) throw new Error(`${name}: ${key} is ${told[key]}, expected ${value}`);
      }
    }
    seconds.push({ name, values: found.map((one) => one.seconds) });
    megabytes.push({ name, values: found.map((one) => one.megabytes) });
  };
  draw(0, 10);
  const features = ['features', '--data', path.join(work, 'data')];
  const { told } = await permafrost(...features);
  const hashes = draw(10, images);
  await fillSet(String(told.dir), hashes, SMALL);
  await step('features, all files hashed anew', features, { images, extracted: 0 });
  await step('features, nothing new', features, { images, extracted: 0 }, 3);
  draw(images, images + 10);
  await step('features, ten images more', features, { images: images + 10, extracted: 10 });
  await step('cache verify', ['cache', 'verify']);
  await step('cache compact', ['cache', 'compact']);
  const half = path.join(work, 'half.csv');
  const rows = hashes.slice(0, images / 2).map((hash) => `${hash.toString('hex')},kept\n`);
  writeFileSync(half, `sha256,label\n${rows.join('')}`);
  const gc = ['cache', 'gc', '--unreferenced', '--labels', half];
  await step('cache gc of half: shown', gc, { done: false });
  await step('cache gc of half: done', [...gc, '--yes'], { done: true });
  const count = images.toLocaleString('en');
  const common = { command: `node dist/bench/cache.js ${images}`, over: [], versions: {} };
  const text = `Processes of the command line on ${count} bitmaps of 118 bytes and vectors of 512 values.`;
  tell({ ...common, title: `A cache of ${count} images`, text, unit: 's', rows: seconds });
  const peak = 'Peak of resident memory of the same.';
  tell({ ...common, title: `A cache of ${count} images, memory`, text: peak, unit: 'MB', rows: megabytes });
}

for (const images of sizes.length > 0 ? sizes : [100_000]) {
  work = mkdtempSync(path.join(tmpdir(), 'permafrost-bench-'));
  try {
    await measure(images);
  } finally {
    rmSync(work, { recursive: true });
  }
}
