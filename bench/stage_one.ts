/**
 * Stage one against a bare onnxruntime loop over ready tensors (the same graph, the same run) and against Keras's `predict`.
 *
 *     npm run build && PYTHON=python node dist/bench/stage_one.js [images=1000] [rounds=3]
 *
 * Draws photo-like JPEGs of about 500x375 first. Keras is left out, and told of, where $PYTHON has none; see requirements.txt.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { openBase, vectorGraph } from '../src/base/index.js';
import { onnxEngine } from '../src/engine/onnx/engine.js';
import { drawPicture } from '../src/sample/picture.js';

const images = Number(process.argv[2] ?? 1000);
const rounds = Number(process.argv[3] ?? 3);
const size = 200;
const root = fileURLToPath(new URL('../..', import.meta.url));
const weights = process.env.WEIGHTS ?? 'random:0';

/** Pictures of the sample, enlarged, each with its own crop, so that no two files are alike. */
async function draw(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const sources = Array.from({ length: 16 }, (_, i) => Buffer.from(drawPicture(1, i % 2 === 0 ? 'ok' : 'defect', i)));
  for (let i = 0; i < images; i++) {
    const file = path.join(folder, `${String(i).padStart(5, '0')}.jpg`);
    if (existsSync(file)) continue;
    const raw = { width: 200, height: 200, channels: 3 as const };
    await sharp(sources[i % 16] as Buffer, { raw })
      .extract({ left: i % 40, top: (i >> 2) % 40, width: 160, height: 120 })
      .resize(500 + (i % 7) - 3, 375 - (i % 5) + 2, { fit: 'fill' })
      .modulate({ brightness: 0.8 + (i % 50) / 100 })
      .jpeg({ quality: 90 })
      .toFile(file);
  }
}

/** Images a second of session.run alone, with the pixels ready. */
async function bare(seconds: number): Promise<number> {
  const base = await openBase({ base: 'xception', weights, inputSize: [size, size] });
  const runner = await onnxEngine.load(vectorGraph(base), { input: 'uint8' });
  const batch = 8;
  const pixels = Uint8Array.from({ length: batch * size * size * 3 }, (_, i) => (i * 31) % 251);
  await runner.run(pixels, batch);
  const start = performance.now();
  let done = 0;
  while (performance.now() - start < seconds * 1000) {
    await runner.run(pixels, batch);
    done += batch;
  }
  const rate = done / ((performance.now() - start) / 1000);
  await runner.release();
  return rate;
}

interface StageOne {
  rate: number;
  rss: number;
}

function stageOne(data: string): StageOne {
  const cache = mkdtempSync(path.join(tmpdir(), 'permafrost-bench-'));
  try {
    const flags = [
      '--data',
      data,
      '--cache',
      cache,
      '--base',
      'xception',
      '--weights',
      weights,
      '--input-size',
      String(size),
    ];
    const script = path.join(root, 'dist/bench/rss.js');
    const out = execFileSync(
      process.execPath,
      ['--import', script, path.join(root, 'dist/pipeline/cli.js'), 'features', ...flags, '--json', '--quiet'],
      {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, PERMAFROST_RSS: path.join(cache, 'rss') },
      },
    );
    const rss = Number(execFileSync('cat', [path.join(cache, 'rss')], { encoding: 'utf8' }));
    return { rate: (JSON.parse(out) as { imagesPerSecond: number }).imagesPerSecond, rss };
  } finally {
    rmSync(cache, { recursive: true });
  }
}

function keras(data: string): number | null {
  const python = process.env.PYTHON ?? 'python3';
  const result = spawnSync(python, [path.join(root, 'bench/stage_one.py'), data, String(Math.min(images, 256))], {
    encoding: 'utf8',
  });
  const match = /^images_per_second (\S+)$/m.exec(result.stdout ?? '');
  return match ? Number(match[1]) : null;
}

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const data = path.join(root, `data/bench-${images}`);
await draw(data);
const ratios: number[] = [];
const peers: number[] = [];
for (let round = 0; round < rounds; round++) {
  const before = await bare(15);
  const { rate, rss } = stageOne(data);
  const after = await bare(15);
  const loop = (before + after) / 2;
  const peer = keras(data);
  ratios.push(rate / loop);
  if (peer !== null) peers.push(rate / peer);
  const against =
    peer === null ? 'Keras: not there' : `Keras predict ${peer.toFixed(2)}, ratio ${(rate / peer).toFixed(2)}`;
  console.log(
    `round ${round + 1}: bare loop ${before.toFixed(2)} and ${after.toFixed(2)} images/s, stage one ${rate.toFixed(2)} ` +
      `(ratio ${(rate / loop).toFixed(3)}), peak memory ${(rss / 1e6).toFixed(0)} MB; ${against}`,
  );
}
const kerasRatio = peers.length > 0 ? `, over Keras predict ${median(peers).toFixed(2)}` : '';
console.log(`median: stage one over the bare loop ${median(ratios).toFixed(3)}${kerasRatio}`);
