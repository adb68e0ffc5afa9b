/**
 * Peak of resident memory of `features`, beyond the weights of the base, for every application at its default size.
 *
 *     npm run build && node dist/bench/stage_memory.js [base or FILE.onnx …] [images=40]
 *
 * Each named base has made weights and its own process, a fresh cache, and the same JPEGs of about 500×375: several batches of them.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { applications } from '../src/keras/index.js';
import { root } from './peer.js';
import { drawPhotos } from './photos.js';
import { type Row, tell } from './tables.js';

/** What a base may take beyond its weights, in MB. */
const LIMIT = 1000;

interface Peak {
  /** Both in MB. */
  readonly weights: number;
  readonly beyond: number;
  readonly seconds: number;
}

/** @returns null, said on stderr, where the base is refused with made weights */
function features(base: string, data: string, work: string): Peak | null {
  try {
    return peak(base, data, work);
  } catch (error) {
    const { stderr } = error as { stderr?: Buffer };
    console.error(`${base} is left out: ${String(stderr ?? error).trim()}`);
    return null;
  }
}

function peak(base: string, data: string, work: string): Peak {
  const cache = mkdtempSync(path.join(work, 'cache-'));
  const rss = path.join(work, 'rss');
  try {
    const started = performance.now();
    const cli = [path.join(root, 'dist/bench/rss.js'), path.join(root, 'dist/pipeline/cli.js'), 'features'];
    const isFile = base.endsWith('.onnx');
    const own = isFile ? ['--preprocess', 'torch'] : ['--weights', 'random:1'];
    const flags = ['--base', base, ...own, '--data', data, '--cache', cache, '--quiet'];
    const env = { ...process.env, PERMAFROST_RSS: rss };
    execFileSync(process.execPath, ['--import', ...cli, ...flags], { stdio: ['ignore', 'ignore', 'pipe'], env });
    const seconds = (performance.now() - started) / 1000;
    const kept = readdirSync(path.join(cache, 'bases')).find((name) => !name.startsWith('_')) ?? '';
    const weights = statSync(path.join(cache, 'bases', kept, isFile ? 'model.onnx' : 'weights.f32')).size / 1e6;
    return { weights, beyond: Number(readFileSync(rss, 'utf8')) / 1e6 - weights, seconds };
  } finally {
    rmSync(cache, { recursive: true });
  }
}

const args = process.argv.slice(2);
const images = Number(args.find((arg) => /^\d+$/.test(arg)) ?? 40);
const asked = args.filter((arg) => !/^\d+$/.test(arg));
const names = asked.length > 0 ? asked : [...applications.keys()];
const work = mkdtempSync(path.join(tmpdir(), 'permafrost-bench-'));
try {
  await drawPhotos(images, work);
  const rows: Row[] = [];
  for (const name of names) {
    const measured = features(name, path.join(work, 'photos'), work);
    if (measured === null) continue;
    const { weights, beyond, seconds } = measured;
    rows.push({ name, values: [beyond] });
    console.error(
      `${name}: ${beyond.toFixed(0)} MB beyond ${weights.toFixed(0)} of weights, ${(beyond / LIMIT).toFixed(2)} of the limit, ${seconds.toFixed(1)} s`,
    );
  }
  tell({
    title: 'Peak memory of stage one beyond the weights',
    text: `\`features\` over ${images} JPEGs with each application at its default size, made weights, the default batch: the peak of resident memory of the whole process less the bytes of the float32 weights.`,
    command: ['node dist/bench/stage_memory.js', ...args].join(' '),
    unit: 'MB',
    rows: [...rows, { name: 'limit', values: [LIMIT] }],
    over: ['limit'],
    versions: {},
  });
} finally {
  rmSync(work, { recursive: true });
}
