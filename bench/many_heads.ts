import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type PlannedHead, train, trainPlan } from '../src/index.js';
import { Random } from '../src/random.js';
import { FeatureSet, type SetSpec } from '../src/store/index.js';
import { type TrainingJob, trainTogether } from '../src/train/train.js';
import { allRows, memoryVectors } from '../src/train/vectors.js';
import { type Row, tell } from './tables.js';

/**
 * One head, a plan of 20 heads of its shape and a cross-validation of five folds, on 20,000 made vectors of 2,048 features: the
 * functions of the library as a whole, from opening the cache to the saved heads, then training alone, in turns.
 * Arguments: epochs (10), rounds (3).
 */
const [epochs = 10, rounds = 3] = process.argv.slice(2).map(Number);
const [n, d, heads, folds] = [20_000, 2_048, 20, 5];
const random = new Random('many heads');
const direction = Float32Array.from({ length: d }, () => random.normal(0, 0.05));
const noise = Float32Array.from({ length: 4099 * 7 }, () => random.normal());

const times = new Map<string, number[]>();
async function timed(name: string, work: () => Promise<unknown>): Promise<void> {
  const began = performance.now();
  await work();
  times.set(name, [...(times.get(name) ?? []), (performance.now() - began) / 1000]);
}

const folder = await mkdtemp(path.join(tmpdir(), 'permafrost-many-'));
try {
  const spec = { format: 1, features: d, type: 'float32', base: 'generated' } as unknown as SetSpec;
  const set = await FeatureSet.create(path.join(folder, 'cache'), 'many', spec);
  const writer = set.writer({ engine: 'onnx', engineVersion: '0', version: '0' });
  const x = new Float32Array(n * d);
  const y = new Int32Array(n);
  const lines = ['sha256,label'];
  for (let i = 0; i < n; i++) {
    const key = createHash('sha256').update(`image ${i}`).digest();
    const row = x.subarray(i * d, (i + 1) * d);
    const from = random.below(noise.length - d);
    y[i] = Number(key[0]) & 1;
    for (let j = 0; j < d; j++)
      row[j] = (noise[from + j] as number) + ((y[i] as number) - 0.5) * (direction[j] as number);
    await writer.add(key, row);
    lines.push(`${key.toString('hex')},${y[i] === 1 ? 'yes' : 'no'}`);
  }
  await writer.close();
  const labels = path.join(folder, 'labels.csv');
  await writeFile(labels, `${lines.join('\n')}\n`);
  await mkdir(path.join(folder, 'data'));
  await writeFile(path.join(folder, 'data', 'unlabelled.ppm'), Buffer.from('P6 1 1 255\nabc', 'latin1'));
  const common = { data: path.join(folder, 'data'), cache: path.join(folder, 'cache'), features: set.dir };
  const head = { epochs, patience: epochs, l2: 1e-5 };
  const vectors = memoryVectors(x, d);
  const job = (learningRate: number, fold?: number): TrainingJob => ({
    data: {
      ...{ task: 'binary', classes: ['no', 'yes'], vectors, y },
      rows: allRows(n).filter((row) => fold === undefined || row % folds !== fold),
    },
    val: null,
    heads: [{ ...head, learningRate }],
  });
  for (let round = 0; round < rounds; round++) {
    // Another rate each round, so that no head is there already.
    const rate = 1e-3 * (1 + round / 100);
    const rates = Array.from({ length: heads }, (_, i) => rate * (1 + i / 10));
    await timed('one head', () =>
      train({ ...common, labels, ...head, learningRate: rate, name: 'one', replace: true }),
    );
    await timed(`plan of ${heads}`, () => {
      const planned = rates.map((learningRate, i): PlannedHead => {
        return { name: `head-${i}`, labels, options: { ...head, learningRate }, fit: {} };
      });
      return trainPlan({ ...common, plan: { heads: planned } });
    });
    await timed(`${folds} folds`, () =>
      train({ ...common, labels, ...head, learningRate: rate, folds, name: 'folds', replace: true }),
    );
    await timed('training: one head', () => Promise.all(trainTogether([job(rate)])));
    await timed(`training: ${heads} heads`, () => Promise.all(trainTogether(rates.map((one) => job(one)))));
    await timed(`training: ${folds} folds`, () =>
      Promise.all(trainTogether(Array.from({ length: folds }, (_, fold) => job(rate, fold)))),
    );
  }
  const rows = [...times].map(([name, values]) => ({ name, values }));
  const size = `${n.toLocaleString('en')} × ${d.toLocaleString('en')}, ${epochs} epochs`;
  const told = { command: 'node dist/bench/many_heads.js', unit: 's', versions: {} } as const;
  const isAlone = ({ name }: Row): boolean => name.startsWith('training');
  tell({
    ...{ ...told, title: `Many heads: ${size}`, over: ['one head'], rows: rows.filter((row) => !isAlone(row)) },
    text: '`train`, with --plan and with --folds, from opening the cache to the saved heads; Adam, batch 32.',
  });
  tell({
    ...{
      ...told,
      title: `Many heads, training alone: ${size}`,
      over: ['training: one head'],
      rows: rows.filter(isAlone),
    },
    text: 'Without reading vectors, judging and saving.',
  });
} finally {
  await rm(folder, { recursive: true, force: true });
}
