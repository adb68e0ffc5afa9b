import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  FeatureSet,
  type FeaturesOptions,
  features,
  type HeadOptions,
  IncrementalLda,
  memoryVectors,
  outputsOf,
  trainHeads,
} from '../src/index.js';
import { Random } from '../src/random.js';
import { startPeer } from './peer.js';
import { tell } from './tables.js';

/**
 * Heads in closed form and scikit-learn: accuracies of ten draws of few images of two classes on two bases, and times on 20,000 vectors of
 * 2,048 features.
 */
const only = process.env.ONLY;
const python = process.env.PYTHON ?? 'python3';
const script = fileURLToPath(new URL('../../bench/closed_forms.py', import.meta.url));
const [draws, alphas] = [10, [1e-3, 1e-2, 0.1, 1, 10, 100, 1e3, 1e4, 1e5, 1e6]];

const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;

/** Vectors of a folder of two classes, whatever splits it has, and the classes of the contents. */
async function vectorsOf(data: string, cache: string, base: Omit<FeaturesOptions, 'data' | 'cache'>) {
  const { dir } = await features({ data, cache, ...base });
  const names = new Map<string, string>();
  for (const entry of readdirSync(data, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(jpe?g|png)$/i.test(entry)) continue;
    const sha256 = createHash('sha256')
      .update(readFileSync(path.join(data, entry)))
      .digest('hex');
    names.set(sha256, path.basename(path.dirname(entry)));
  }
  const keys = [...names.keys()].sort();
  const classes = [...new Set(names.values())].sort();
  const set = await FeatureSet.open(dir);
  const { vectors, found } = await set.read(keys);
  const y = Int32Array.from(found, (i) => classes.indexOf(names.get(keys[i] as string) as string));
  return { x: vectors, y, classes, d: set.spec.features };
}

async function few(data: string, weights: string): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'permafrost-closed-'));
  const totals: number[][] = [];
  try {
    for (const [name, base] of [
      ['mobilenet 0.25', { base: 'mobilenet', alpha: 0.25, weights }],
      ['xception-mini', { base: 'xception-mini' }],
    ] as const) {
      const { x, y, d, classes } = await vectorsOf(data, path.join(folder, 'cache'), base);
      const vectors = memoryVectors(x, d);
      for (const shots of [4, 16, 50]) {
        const taken = Array.from({ length: draws }, (_, seed) => {
          const order = new Random(`draw ${seed}`).permutation(y.length);
          const rows = [0, 1].flatMap((k) => [...order].filter((row) => y[row] === k).slice(0, shots));
          return Uint32Array.from(rows).sort();
        });
        await writeFile(path.join(folder, 'x.f32'), x);
        await writeFile(path.join(folder, 'y.i32'), y);
        await writeFile(path.join(folder, 'draws.json'), JSON.stringify(taken.map((rows) => [...rows])));
        const lines = execFileSync(python, [script, 'draws', folder], { encoding: 'utf8' });
        const theirs = lines
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as { accuracy: number; seconds: number });
        const said = [`${mean(theirs.map(({ accuracy }) => 100 * accuracy)).toFixed(1)} lbfgs`];
        const cell = [mean(theirs.map(({ accuracy }) => 100 * accuracy))];
        const tries: HeadOptions[] = [
          { optimizer: 'lda' },
          { optimizer: 'lda', shrinkage: 'loo' },
          { optimizer: 'lda', shrinkage: 'auto' },
          { optimizer: 'ridge' },
        ];
        for (const options of tries) {
          const [right, seconds]: [number[], number[]] = [[], []];
          for (const rows of taken) {
            const began = performance.now();
            const heads = await trainHeads({ task: 'binary', classes, vectors, y, rows }, null, [options]);
            seconds.push((performance.now() - began) / 1000);
            const rest = Uint32Array.from(y.keys()).filter((row) => !rows.includes(row));
            const [head] = heads;
            if (head === undefined || head instanceof Error) throw head;
            const scores = await outputsOf(head, vectors, rest);
            right.push(mean([...rest].map((row, i) => ((scores[2 * i + 1] ?? 0) > 0.5 === (y[row] === 1) ? 100 : 0))));
          }
          cell.push(mean(right));
          const share = mean(seconds) / mean(theirs.map((one) => one.seconds));
          const label = `${options.optimizer} ${options.shrinkage ?? ''}`.trim();
          said.push(
            `${mean(right).toFixed(1)} ${label} (${(1000 * mean(seconds)).toFixed(0)} ms, ${share.toFixed(3)})`,
          );
        }
        totals.push(cell);
        console.log(`${name}, ${shots} a class: ${said.join(', ')}`);
      }
    }
    const over = totals[0]?.map((_, i) => mean(totals.map((cell) => cell[i] as number)).toFixed(1)) ?? [];
    console.log(
      `means over the cells: lbfgs ${over[0]}, lda ${over[1]}, loo ${over[2]}, auto ${over[3]}, ridge ${over[4]}`,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function large(): Promise<void> {
  const [n, d, rounds] = [20_000, 2_048, 3];
  const random = new Random('large');
  const y = Int32Array.from({ length: n }, () => random.below(2));
  const x = new Float32Array(n * d);
  for (let i = 0; i < x.length; i++) x[i] = random.normal() + (y[Math.floor(i / d)] === 1 ? 0.02 : 0);
  const folder = await mkdtemp(path.join(tmpdir(), 'permafrost-closed-'));
  try {
    await writeFile(path.join(folder, 'x.f32'), x);
    await writeFile(path.join(folder, 'y.i32'), y);
    await writeFile(path.join(folder, 'alphas.json'), JSON.stringify(alphas));
    const peer = await startPeer('closed_forms', 'large', folder);
    if (peer === null) return;
    const vectors = memoryVectors(x, d);
    const estimators = { lda: 'LinearDiscriminantAnalysis', ridge: 'RidgeCV' };
    for (const [kind, tries] of [
      [
        'lda',
        {
          '--shrinkage auto': { optimizer: 'lda', shrinkage: 'auto' },
          'the default': { optimizer: 'lda' },
          '--shrinkage loo': { optimizer: 'lda', shrinkage: 'loo' },
        },
      ],
      ['ridge', { [`ridge, ${alphas.length} penalties`]: { optimizer: 'ridge', alphas } }],
    ] as const) {
      if (only !== undefined && only !== kind) continue;
      const rows = new Map<string, number[]>();
      const note = (name: string, value: number) => rows.set(name, [...(rows.get(name) ?? []), value]);
      for (let round = 0; round < rounds; round++) {
        for (const [name, options] of Object.entries<HeadOptions>(tries)) {
          const began = performance.now();
          await trainHeads({ task: 'binary', classes: ['a', 'b'], vectors, y }, null, [options]);
          note(`Permafrost, ${name}`, (performance.now() - began) / 1000);
        }
        note('scikit-learn', await peer.ask(kind));
      }
      tell({
        title: `${kind} in closed form: ${n.toLocaleString('en')} × ${d.toLocaleString('en')}`,
        text: `scikit-learn's ${estimators[kind]} on the same float32 vectors.`,
        ...{ command: 'node dist/bench/closed_forms.js', unit: 's', over: ['scikit-learn'] },
        rows: [...rows].map(([name, values]) => ({ name, values })),
        versions: { 'scikit-learn': peer.version },
      });
    }
    await peer.end();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A label given, changed or taken away, with new probabilities for all vectors. */
async function steps(): Promise<void> {
  const [n, d, count] = [20_000, 2_048, 30];
  const random = new Random('steps');
  const x = Float32Array.from({ length: n * d }, () => random.normal());
  const labels = Int32Array.from({ length: n }, (_, i) => (i < 500 ? i % 2 : -1));
  const lda = await IncrementalLda.create(x, d, { classes: 2, labels });
  const times: number[] = [];
  for (let step = 0; step < count; step++) {
    const row = random.below(1000);
    const was = lda.labelOf(row);
    const began = performance.now();
    lda.setLabel(row, was === null ? step % 2 : step % 3 === 0 ? null : 1 - was);
    await lda.probabilities();
    times.push(performance.now() - began);
  }
  await lda.release();
  tell({
    title: `A label more in IncrementalLda: ${n.toLocaleString('en')} × ${d.toLocaleString('en')}`,
    text: 'A label set, changed or taken away, and new probabilities of all vectors.',
    ...{ command: 'ONLY=steps node dist/bench/closed_forms.js', unit: 'ms', over: [], versions: {} },
    rows: [{ name: 'a step', values: times.slice(3) }],
  });
}

const [data, weights] = process.argv.slice(2);
if (data !== undefined && weights !== undefined) await few(data, weights);
if (only === undefined || only === 'steps') await steps();
if (only !== 'few' && only !== 'steps') await large();
