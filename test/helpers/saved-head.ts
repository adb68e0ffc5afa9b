import { type FittedHead, finishHead } from '../../src/heads/fit.js';
import { makeHead, resolveFit, saveHead } from '../../src/heads/index.js';
import type { SetFacts } from '../../src/heads/joined-sets.js';
import { Random } from '../../src/random.js';
import { fingerprint, KeySet } from '../../src/store/index.js';
import { type TrainedHead, trainHead } from '../../src/train/train.js';
import { memoryVectors } from '../../src/train/vectors.js';
import { spec } from './store.js';

/**
 * A head trained for three epochs on vectors `[n, d]` whose classes take turns, judged on the same vectors.
 * @param classes 2 or 3
 */
export async function quickHead(x: Float32Array, d: number, classes = 2): Promise<FittedHead> {
  const n = x.length / d;
  const y = Int32Array.from({ length: n }, (_, i) => i % classes);
  const data = { vectors: memoryVectors(x, d), y };
  const names = ['no', 'yes', 'perhaps'].slice(0, classes);
  const task = classes === 2 ? 'binary' : 'multiclass';
  const options = { epochs: 3, learningRate: 0.1 };
  const trained = await trainHead({ ...data, task, classes: names }, data, options);
  const keys = Array.from({ length: n }, (_, i) => String(i));
  const all = { rows: Uint32Array.from({ length: n }, (_, i) => i), y, keys };
  const table = { vectors: memoryVectors(x, d), rows: new KeySet() };
  const none = { ...all, rows: all.rows.slice(0, 0) };
  const sides = { task, classes: names, table, train: all, val: all, test: none } as const;
  return finishHead(sides, trained, options, resolveFit({ bootstrap: 20, threshold: 0.5 }));
}

/** Saves a head on vectors `[n, d]` of joined sets, as `train` would. */
async function saveOn(dir: string, x: Float32Array, d: number, sets: readonly SetFacts[]): Promise<void> {
  const fitted = await quickHead(x, d);
  await saveHead(dir, makeHead(fitted, { sets, versions: { permafrost: '0.1.0' }, identity: null }));
}

/** Saves a head of joined sets. */
export async function saveQuickHead(dir: string, sets: readonly SetFacts[]): Promise<void> {
  const d = sets.reduce((sum, { set }) => sum + (set.features as number), 0);
  const x = Float32Array.from({ length: 8 * d }, (_, i) => (i * 7) % 5);
  await saveOn(dir, x, d, sets);
}

/** Saves a head on seeded vectors of `d` features; each seed gives another. */
export async function tinyHead(dir: string, seed: number, d = 4): Promise<void> {
  const random = new Random(`head ${seed}`);
  const x = Float32Array.from({ length: 20 * d }, () => random.normal());
  const set = spec(d);
  await saveOn(dir, x, d, [{ fingerprint: fingerprint(set), set: { ...set } }]);
}

/** A trained head of which nothing is measured. */
export function unmeasured(trained: TrainedHead): FittedHead {
  const { train, bestEpoch } = trained;
  const counts = { train, val: 0, test: 0, shots: null, refit: false };
  const nothing = {
    commonest: null,
    meanAnswer: null,
    chosen: null,
    end: null,
    metrics: null,
    testMetrics: null,
    majority: null,
    threshold: null,
    temperature: null,
    coverage: null,
    folds: null,
  };
  return { trained, learned: { ...counts, ...nothing, bestEpoch }, mistakes: [] };
}
