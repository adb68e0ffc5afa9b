import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openVectors } from '../src/heads/stored-vectors.js';
import { Random } from '../src/random.js';
import { FeatureSet, type SetSpec } from '../src/store/index.js';
import { outputsOf, trainHead } from '../src/train/train.js';
import { memoryVectors } from '../src/train/vectors.js';
import { tell } from './tables.js';

/**
 * Trains a head on a generated set that is larger than the memory it may take, and prints the peak of resident memory.
 * Arguments: vectors (1000000), features (512), bytes of vectors in memory (268435456), epochs (2).
 */
const [n = 1_000_000, d = 512, memory = 2 ** 28, epochs = 2] = process.argv.slice(2).map(Number);
const megabytes = () => `${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB`;
const keyOf = (i: number): Buffer => createHash('sha256').update(`image ${i}`).digest();
const random = new Random('big set');
const direction = Float32Array.from({ length: d }, () => random.normal());
// Rows are sums of a few stored rows of noise: a normal number for each of 512 million values would take longer than training.
const noise = Float32Array.from({ length: 4099 * 7 }, () => random.normal());

/** Writes row i. @returns its class */
function draw(i: number, row: Float32Array): number {
  const label = Number(keyOf(i)[0]) & 1;
  const from = random.below(noise.length - d);
  const shift = (label - 0.5) * 0.1;
  for (let j = 0; j < d; j++) row[j] = (noise[from + j] as number) + shift * (direction[j] as number);
  return label;
}

const folder = await mkdtemp(path.join(tmpdir(), 'permafrost-big-'));
try {
  const spec = { format: 1, features: d, type: 'float32', base: 'generated' } as unknown as SetSpec;
  const set = await FeatureSet.create(folder, 'big', spec);
  const writer = set.writer({ engine: 'onnx', engineVersion: '0', version: '0' });
  const y = new Uint8Array(n);
  const row = new Float32Array(d);
  let began = performance.now();
  const seconds = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
  for (let i = 0; i < n; i++) {
    y[i] = draw(i, row);
    await writer.add(keyOf(i), row);
  }
  await writer.close();
  console.log(`${n} x ${d} (${((n * d * 4) / 1e9).toFixed(2)} GB) written in ${seconds()}, peak ${megabytes()}`);

  began = performance.now();
  const keys = Array.from({ length: n }, (_, i) => keyOf(i).toString('hex'));
  const { source } = await openVectors([set], keys, { memory });
  console.log(`opened in ${seconds()}, peak ${megabytes()}`);
  const inVal = (i: number): boolean => i % 10 === 0;
  const rowsOf = (side: boolean) => Uint32Array.from(y.keys()).filter((i) => inVal(i) === side);
  began = performance.now();
  const head = await trainHead(
    { task: 'binary', classes: ['no', 'yes'], vectors: source, y, rows: rowsOf(false) },
    { vectors: source, y, rows: rowsOf(true) },
    { epochs, scale: 'standard' },
    {
      onEpoch: (_, { epoch, valLoss }) =>
        console.log(`epoch ${epoch}: validation ${valLoss?.toFixed(4)}, ${seconds()}`),
    },
  );
  const sample = new Float32Array(1000 * d);
  const labels = Uint8Array.from({ length: 1000 }, (_, i) => draw(n + i, sample.subarray(i * d, (i + 1) * d)));
  const outputs = await outputsOf(head, memoryVectors(sample, d));
  const right = labels.filter((label, i) => (outputs[2 * i + 1] as number) > 0.5 === (label === 1)).length;
  console.log(`${right / 10} % of new vectors right`);
  tell({
    title: `More vectors than memory: ${n.toLocaleString('en')} × ${d}`,
    text: `Peak of resident memory of training on ${((n * d * 4) / 1e9).toFixed(1)} GB with \`--memory ${memory / 2 ** 20}\`, ${epochs} epochs.`,
    ...{ command: 'node dist/bench/big_set.js', unit: 'MB', over: [], versions: {} },
    rows: [{ name: 'train', values: [process.resourceUsage().maxRSS / 1024] }],
  });
} finally {
  await rm(folder, { recursive: true, force: true });
}
