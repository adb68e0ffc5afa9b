import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeadError } from '../../src/errors.js';
import type { Task } from '../../src/labels/targets.js';
import { Random } from '../../src/random.js';
import type { HeadOptions } from '../../src/train/options.js';
import {
  outputsOf,
  type TrainedHead,
  type TrainingJob,
  trainHead,
  trainHeads,
  trainTogether,
} from '../../src/train/train.js';
import { memoryVectors } from '../../src/train/vectors.js';
import { assertClose } from '../helpers/close.js';

/** Clouds of points that overlap, a target for each. */
function clouds(task: Task, n: number, d: number, classes: number, seed: number) {
  const centres = new Random('centres');
  const middle = Float32Array.from({ length: Math.max(classes, 2) * d }, () => centres.normal());
  const random = new Random(seed);
  const label = Int32Array.from({ length: n }, () => random.below(Math.max(classes, 2)));
  const x = Float32Array.from(
    { length: n * d },
    (_, i) => (middle[(label[Math.floor(i / d)] ?? 0) * d + (i % d)] ?? 0) + random.normal(0, 2),
  );
  const vectors = memoryVectors(x, d);
  if (task === 'binary' || task === 'multiclass') return { vectors, y: label };
  if (task === 'regression') return { vectors, y: Float32Array.from(label, (k) => k + random.normal(0, 0.1)) };
  const y = Uint8Array.from({ length: n * classes }, (_, i) =>
    label[Math.floor(i / classes)] === i % classes ? 1 : random.below(2),
  );
  return { vectors, y };
}
const names = (count: number) => Array.from({ length: count }, (_, i) => `class ${i}`);

/** @throws unless each head predicts as it does when it is trained alone: 1e-5, and the same order of the heads */
async function assertAsAlone(
  task: Task,
  classes: number,
  heads: readonly HeadOptions[],
  which = heads.map((_, i) => i),
) {
  const data = { task, classes: task === 'regression' ? [] : names(classes), ...clouds(task, 300, 24, classes, 1) };
  const val = clouds(task, 100, 24, classes, 2);
  const together = (await trainHeads(data, val, heads)) as TrainedHead[];
  const losses: [number, number][] = [];
  for (const i of which) {
    const head = together[i] as TrainedHead;
    const alone = await trainHead(data, val, heads[i]);
    assert.equal(head.bestEpoch, alone.bestEpoch, `best epoch of head ${i}`);
    const [a, b] = [await outputsOf(head, val.vectors), await outputsOf(alone, val.vectors)];
    const scale = task === 'regression' ? classes : 1;
    assertClose(a, b, 1e-5 * scale, `head ${i}`);
    losses.push([lowest(head), lowest(alone)]);
  }
  const ranking = (side: 0 | 1) =>
    [...losses.keys()].sort((i, j) => (losses[i]?.[side] ?? 0) - (losses[j]?.[side] ?? 0));
  assert.deepEqual(ranking(0), ranking(1));
}
const lowest = ({ history, bestEpoch }: TrainedHead) => history[bestEpoch - 1]?.valLoss ?? Number.NaN;

const settings = (count: number): HeadOptions[] =>
  Array.from({ length: count }, (_, i) => ({
    epochs: 20,
    learningRate: 10 ** (-3.5 + (2 * i) / count),
    l2: i % 3 === 0 ? 0 : 10 ** (-5 + (i % 4)),
    patience: i % 5 === 4 ? 2 : 20,
  }));

for (const count of [3, 16, 64, 100]) {
  test(`each of ${count} heads predicts as it does alone`, () =>
    assertAsAlone('binary', 2, settings(count), count > 16 ? [0, 1, 4, 21, 33, count - 1] : undefined));
  test(`so do four heads of ${count} classes`, () => assertAsAlone('multiclass', count, settings(4)));
}
for (const [task, classes] of [
  ['multilabel', 5],
  ['regression', 3],
] as const) {
  test(`so do heads of the task ${task}`, () => assertAsAlone(task, classes, settings(6)));
}

test('so do heads of all structures, seeds and optimizers in one sweep', () => {
  const few = { epochs: 6, learningRate: 0.01 };
  return assertAsAlone('multiclass', 3, [
    few,
    { ...few, l1: 1e-3, classWeight: 'balanced' },
    { ...few, labelSmoothing: 0.1, weightDecay: 0.1, optimizer: 'adamw' },
    { ...few, hidden: [8] },
    { ...few, hidden: [8], dropout: 0.5 },
    { ...few, hidden: [8], dropout: 0.2 },
    { ...few, hidden: [8, 4], batchNorm: true, activation: 'gelu' },
    { ...few, dropout: 0.3 },
    { ...few, optimizer: 'sgd', momentum: 0.9, scale: 'standard' },
    { ...few, optimizer: 'sgd', scale: 'l2' },
    { ...few, optimizer: 'rmsprop', batchSize: 7 },
    { ...few, seed: 5, schedule: 'cosine', warmup: 1 },
    { optimizer: 'lbfgs', l2: 0.01, scale: 'standard' },
  ]);
});

test('a diverging head keeps its last good weights, or fails alone; the others go on', async () => {
  const data = { task: 'regression' as const, classes: [], ...clouds('regression', 100, 6, 2, 1) };
  const fine = { optimizer: 'sgd', learningRate: 1e-3, epochs: 30, patience: 30 } as const;
  // The squared error grows by a factor each step until float32 overflows: one step an epoch, or a hundred.
  const [slow, fast, good] = await trainHeads(data, null, [
    { ...fine, learningRate: 2, batchSize: 100 },
    { ...fine, learningRate: 1000, batchSize: 1 },
    fine,
  ]);
  assert.ok(fast instanceof HeadError);
  assert.match(fast.message, /diverged in its first epoch with learning rate 1000/);
  assert.ok(slow && 'end' in slow && good && 'end' in good);
  assert.equal(good.end, 'epochs');
  assert.equal(good.history.length, 30);
  assert.equal(slow.end, 'diverged');
  assert.ok(slow.bestEpoch > 3 && slow.bestEpoch === slow.history.length);
  assert.ok(slow.net.layers.every(({ kernel, bias }) => kernel.every(Number.isFinite) && bias.every(Number.isFinite)));
  assert.deepEqual((await trainHead(data, null, fine)).history.length, 30);
});

test('drop sees every loss and ends the heads that it names', async () => {
  const data = { task: 'binary' as const, classes: names(2), ...clouds('binary', 120, 6, 2, 1) };
  const val = clouds('binary', 60, 6, 2, 2);
  const seen: number[][] = [];
  const heads = (await trainHeads(data, val, settings(4), {
    drop: (epoch, losses) => {
      seen.push([...losses]);
      return epoch === 3 ? [1, 3] : [];
    },
  })) as TrainedHead[];
  assert.deepEqual(
    heads.map(({ end, history }) => [end, history.length]),
    [
      ['epochs', 20],
      ['dropped', 3],
      ['epochs', 20],
      ['dropped', 3],
    ],
  );
  assert.ok(seen[2]?.every(Number.isFinite));
  assert.deepEqual(seen[3]?.map(Number.isFinite), [true, false, true, false]);
  const alone = await trainHead(data, val, { ...settings(4)[1], epochs: 3 });
  assert.equal(heads[1]?.bestEpoch, alone.bestEpoch);
});

/** @throws unless each of the problems becomes what it becomes alone */
async function assertJobsAsAlone(jobs: readonly TrainingJob[]) {
  const together = await Promise.all(trainTogether(jobs));
  for (const [j, { data, val, heads }] of jobs.entries()) {
    for (const [i, options] of heads.entries()) {
      const alone = await trainHead(data, val, options);
      const head = together[j]?.[i] as TrainedHead;
      assert.deepEqual([head.bestEpoch, head.end], [alone.bestEpoch, alone.end], `job ${j}, head ${i}`);
      assert.equal(head.history.length, alone.history.length);
      const [a, b] = [await outputsOf(head, data.vectors), await outputsOf(alone, data.vectors)];
      assertClose(a, b, 1e-5 * Math.max(1, ...b.map(Math.abs)), `job ${j}, head ${i}`);
    }
  }
}

const rowsWhere = (n: number, keep: (row: number) => boolean): Uint32Array =>
  Uint32Array.from({ length: n }, (_, row) => row).filter(keep);
const EVERY: Record<Task, HeadOptions[]> = {
  binary: [
    {},
    { optimizer: 'adamw', weightDecay: 0.1 },
    { optimizer: 'sgd', momentum: 0.9 },
    { optimizer: 'rmsprop' },
    { optimizer: 'lbfgs', l2: 0.01 },
    { optimizer: 'lda' },
    { dropout: 0.3 },
    { scale: 'standard', l1: 1e-3 },
  ],
  multiclass: [
    { classWeight: 'balanced' },
    { labelSmoothing: 0.1, batchSize: 7 },
    { hidden: [8], dropout: 0.2 },
    { hidden: [6], batchNorm: true, classWeight: 'balanced' },
    { optimizer: 'lbfgs', l2: 0.01 },
    { optimizer: 'ridge' },
    { dropout: 0.2, scale: 'l2' },
  ],
  multilabel: [{ l2: 1e-3 }, { hidden: [5], classWeight: 'balanced' }, { labelSmoothing: 0.1 }],
  regression: [{}, { hidden: [8] }, { optimizer: 'rmsprop', scale: 'standard' }],
};

for (const task of Object.keys(EVERY) as Task[]) {
  test(`problems of the same images and other labels, and of other images, train as alone: ${task}`, async () => {
    const { vectors, y } = clouds(task, 200, 24, 3, 1);
    const width = task === 'multilabel' ? 3 : 1;
    const classes = task === 'regression' ? [] : names(task === 'binary' ? 2 : 3);
    const most = task === 'binary' ? (label: number) => Math.min(label, 1) : (label: number) => label;
    const labels = y.map(most);
    // The same rows with labels of other rows, and in another unit.
    const others = labels.map(
      (_, i) => (labels[(i + 3 * width) % labels.length] ?? 0) * (task === 'regression' ? 50 : 1),
    );
    const common = { epochs: 12, patience: 3, learningRate: 0.02 };
    const heads = EVERY[task].map((options) =>
      ['lbfgs', 'lda', 'ridge'].includes(options.optimizer ?? '') ? options : { ...common, ...options },
    );
    const job = (targets: typeof y, fold: number, size: number): TrainingJob => ({
      data: { task, classes, vectors, y: targets, rows: rowsWhere(size, (row) => row % 5 !== fold) },
      val: { vectors, y: targets, rows: rowsWhere(200, (row) => row % 5 === fold) },
      heads,
    });
    await assertJobsAsAlone([job(labels, 0, 200), job(others, 0, 200), job(labels, 1, 200), job(labels, 2, 187)]);
  });
}

test('a problem that cannot be trained on fails alone; one whose heads have ended is given while others train', async () => {
  const data = { task: 'binary' as const, classes: names(2), ...clouds('binary', 120, 6, 2, 1) };
  const val = clouds('binary', 60, 6, 2, 2);
  const broken = Float32Array.from({ length: 6 * 10 }, (_, i) => (i === 33 ? Number.NaN : i));
  const order: string[] = [];
  const jobs: TrainingJob[] = [
    { data, val, heads: [{ epochs: 30, patience: 30 }] },
    { data: { ...data, y: new Int32Array(120) }, val, heads: [{}] },
    { data, val, heads: [{ epochs: 2 }, { epochs: 3 }] },
    {
      data: { ...data, vectors: memoryVectors(broken, 6), y: new Int32Array(10).map((_, i) => i % 2) },
      val,
      heads: [{}],
    },
    { data, val, heads: [{ classWeight: { 'no such class': 2 } }] },
  ];
  const results = await Promise.allSettled(trainTogether(jobs).map((one, i) => one.finally(() => order.push(`${i}`))));
  assert.deepEqual(
    results.map((one) => (one.status === 'rejected' ? one.reason.constructor.name : one.value.length)),
    [1, 'LabelError', 2, 'CacheError', 'UsageError'],
  );
  assert.match(
    String((results[3] as PromiseRejectedResult).reason),
    /feature 3 of training vector 5 is NaN: extract these vectors again/,
  );
  assert.deepEqual(order.slice(-2), ['2', '0']);
});
