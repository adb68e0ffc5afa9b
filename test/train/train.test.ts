import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CacheError, HeadError, LabelError, UsageError } from '../../src/errors.js';
import { majority } from '../../src/heads/baseline.js';
import { measureClasses } from '../../src/metrics/metrics.js';
import { Random } from '../../src/random.js';
import { foldedNet, initialVariables } from '../../src/train/net.js';
import { NetEvaluator } from '../../src/train/onnx/evaluator.js';
import { OnnxTrainer } from '../../src/train/onnx/trainer.js';
import type { HeadOptions } from '../../src/train/options.js';
import type { TrainHooks } from '../../src/train/run.js';
import { fitStandardization } from '../../src/train/standardize.js';
import { outputsOf, trainHead as train } from '../../src/train/train.js';
import { allRows, memoryVectors } from '../../src/train/vectors.js';
import { assertClose } from '../helpers/close.js';

interface Training {
  classes: number;
  standardize: boolean;
  l2: number;
  n: number;
  d: number;
  batch: number;
  rate: number;
  x: number[];
  y: number[];
  start: number[];
  orders: number[][];
  losses: number[] | null;
  kernel: number[];
  bias: number[];
  probabilities: number[];
}
const { training } = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/head_fixtures.json', import.meta.url), 'utf8'),
) as { training: Training[] };

/** A linear head and Adam, with nothing else. */
const linear = {
  hidden: [],
  activation: 'relu',
  normalize: false,
  standardize: false,
  batchNorm: false,
  dropout: false,
  optimizer: 'adam',
  momentum: false,
  nesterov: false,
  weightDecay: false,
  l1: false,
  l2: false,
  classWeight: false,
  labelSmoothing: false,
} as const;
const plain = { momentum: 0, weightDecay: 0, l1: 0, l2: 0, dropout: 0, labelSmoothing: 0, classWeights: null };

for (const one of training) {
  const title = `${one.classes} classes${one.standardize ? ', standardised' : ''}${one.l2 > 0 ? `, l2 ${one.l2}` : ''}`;
  test(`trains as Keras does from the same start in the same order: ${title}`, async () => {
    const { n, d, classes } = one;
    const units = classes === 2 ? 1 : classes;
    const ending = classes === 2 ? 'sigmoid' : 'softmax';
    const spec = { ...linear, d, units, ending, standardize: one.standardize, l2: one.l2 > 0 } as const;
    const x = Float32Array.from(one.x);
    const y = Int32Array.from(one.y);
    const scaling = await fitStandardization(memoryVectors(x, d), allRows(n));
    const start = new Map([
      ['kernel0', Float32Array.from(one.start)],
      ['bias0', new Float32Array(units)],
    ]);
    const trainer = await OnnxTrainer.create(spec, [{ ...plain, start, learningRate: () => one.rate, l2: one.l2 }], {
      mean: scaling.mean,
      inverse: scaling.scale.map((scale) => 1 / scale),
    });
    for (const [epoch, order] of one.orders.entries()) {
      const rows = Uint32Array.from(order);
      const loss = ((await trainer.run({ x, at: rows, rows }, [y], one.batch))[0] ?? Number.NaN) / n;
      if (one.losses) assertClose([loss], [one.losses[epoch] ?? 0], 1e-5, `loss of epoch ${epoch}`);
    }
    const weights = await trainer.variables(0);
    assertClose(weights.get('kernel0') ?? [], one.kernel, 1e-5, 'kernel');
    assertClose(weights.get('bias0') ?? [], one.bias, 1e-5, 'bias');
    const net = foldedNet(spec, weights, one.standardize ? scaling : null);
    const task = classes === 2 ? 'binary' : 'multiclass';
    const probabilities = await outputsOf({ task, net }, memoryVectors(x, d));
    const expected = classes === 2 ? one.probabilities.flatMap((p) => [1 - p, p]) : one.probabilities;
    assertClose(probabilities, expected, 1e-5, 'probabilities');

    const evaluator = await NetEvaluator.create(spec);
    const [sums] = await evaluator.evaluate([net], { x, at: allRows(n), rows: allRows(n) }, [y]);
    const right = one.y.map((label, i) => expected.slice(i * classes, (i + 1) * classes)[label] ?? 0);
    const crossEntropy = right.reduce((total, p) => total - Math.log(p), 0) / n;
    assertClose([(sums?.loss ?? 0) / n], [crossEntropy], 1e-5, 'loss');
    const hits = one.y.filter((label, i) => {
      const row = expected.slice(i * classes, (i + 1) * classes);
      return row.indexOf(Math.max(...row)) === label;
    }).length;
    assert.equal(sums?.hits, hits);
    await Promise.all([trainer.release(), evaluator.release()]);
  });
}

/** Two or more clouds of points that overlap a little. */
function clouds(n: number, d: number, classes: number, seed: number, scale = 1) {
  const centres = new Random('centres');
  const middle = Float32Array.from({ length: classes * d }, () => centres.normal());
  const random = new Random(seed);
  const y = Int32Array.from({ length: n }, () => random.below(classes));
  const x = Float32Array.from(
    { length: n * d },
    (_, i) => scale * ((middle[(y[Math.floor(i / d)] ?? 0) * d + (i % d)] ?? 0) + random.normal(0, 2)),
  );
  return { x, y, n, d };
}

interface Cloud {
  x: Float32Array;
  y: Int32Array | Uint8Array;
  n: number;
  d: number;
}

/** Trains a head of two or more classes, and measures it. */
async function trainHead(
  { x, y, d, classes }: Cloud & { classes: string[] },
  val: Cloud,
  options: HeadOptions = {},
  hooks: TrainHooks = {},
) {
  const task = classes.length === 2 ? ('binary' as const) : ('multiclass' as const);
  const held = { vectors: memoryVectors(val.x, val.d), y: val.y };
  const head = await train({ task, classes, vectors: memoryVectors(x, d), y }, held, options, hooks);
  const [weights] = head.net.layers;
  const metrics =
    val.n === 0 ? null : measureClasses(await outputsOf(head, held.vectors), val.y as Int32Array, classes.length);
  return { ...head, weights, metrics, majority: majority(y, val.y) };
}
const names = (count: number) => Array.from({ length: count }, (_, i) => `class ${i}`);

for (const classes of [2, 5]) {
  test(`learns ${classes} classes, keeps the best epoch, and gives the same bits twice`, async () => {
    const data = { ...clouds(400, 20, classes, 1), classes: names(classes) };
    const val = clouds(200, 20, classes, 2);
    const options = { epochs: 40, patience: 5, learningRate: 0.01, seed: 3 };
    const seen: number[] = [];
    const head = await trainHead(data, val, options, { onEpoch: (_, { epoch }) => seen.push(epoch) });
    assert.ok((head.metrics?.accuracy ?? 0) > (head.majority ?? 1) + 0.3, `accuracy ${head.metrics?.accuracy}`);
    assert.ok((head.metrics?.auc ?? 0) > 0.9);
    const losses = head.history.map((record) => record.valLoss ?? 0);
    assert.equal(losses.indexOf(Math.min(...losses)) + 1, head.bestEpoch);
    assert.deepEqual(
      seen,
      losses.map((_, i) => i + 1),
    );
    assert.equal(head.history.length, Math.min(40, head.bestEpoch + 5), 'stops after five epochs without gain');
    assertClose(
      [head.metrics?.loss ?? 0],
      [losses[head.bestEpoch - 1] ?? 0],
      1e-5,
      'the kept weights are the best ones',
    );
    assertClose([head.metrics?.accuracy ?? 0], [head.history[head.bestEpoch - 1]?.valAccuracy ?? 0], 1e-9, 'accuracy');

    const again = await trainHead(data, val, options);
    assert.deepEqual(again, head);
    const other = await trainHead(data, val, { ...options, seed: 4 });
    assert.notDeepEqual(other.weights, head.weights);
  });
}

test('the loss and the weights do not depend on how long the chunks are', async () => {
  const { x, y, n, d } = clouds(1000, 8, 3, 1);
  const spec = { ...linear, d, units: 3, ending: 'softmax' } as const;
  const start = initialVariables(spec, 1);
  const run = async (pause: number) => {
    const trainer = await OnnxTrainer.create(spec, [{ ...plain, start, learningRate: () => 0.01 }]);
    const slow = performance.now;
    let calls = 0;
    performance.now = () => slow.call(performance) + pause * calls++;
    let chunks = 0;
    try {
      const rows = new Random(1).permutation(n);
      const loss = await trainer.run({ x, at: rows, rows }, [y], 4, undefined, () => {
        chunks += 1;
      });
      return { chunks, loss, weights: await trainer.variables(0) };
    } finally {
      performance.now = slow;
      await trainer.release();
    }
  };
  const [fast, slow] = [await run(0), await run(50)];
  assert.ok(slow.chunks > 2 * fast.chunks, `${slow.chunks} and ${fast.chunks} chunks`);
  assert.deepEqual({ ...slow, chunks: 0 }, { ...fast, chunks: 0 });
});

test('the last minibatch counts though it is smaller, and a batch may be larger than the data', async () => {
  const data = { ...clouds(33, 4, 2, 1), classes: names(2) };
  const none = { x: new Float32Array(0), y: new Int32Array(0), n: 0, d: 4 };
  const heads = await Promise.all(
    [32, 33, 5000].map((batchSize) => trainHead(data, none, { batchSize, epochs: 2, seed: 1 })),
  );
  assert.notDeepEqual(heads[0]?.weights, heads[1]?.weights, 'a second step for the one row that is left');
  assert.deepEqual(heads[1]?.weights, heads[2]?.weights);
  assert.equal(heads[0]?.metrics, null, 'nothing to measure on');
  assert.equal(heads[0]?.bestEpoch, 2);
});

test('standardisation learns features of any scale and survives constant ones', async () => {
  const data = clouds(300, 6, 2, 1, 1e4);
  const val = clouds(150, 6, 2, 2, 1e4);
  for (const { x } of [data, val]) for (let i = 0; i < x.length; i += 6) x[i] = 5;
  val.x[0] = 5.001;
  const head = await trainHead({ ...data, classes: names(2) }, val, {
    epochs: 60,
    learningRate: 0.01,
    scale: 'standard',
  });
  assert.ok((head.metrics?.accuracy ?? 0) > 0.7, `accuracy ${head.metrics?.accuracy}`);
  assert.ok(head.weights?.kernel.every(Number.isFinite));
  assert.ok((head.metrics?.loss ?? 9) < 0.6, `loss ${head.metrics?.loss}`);
});

test('refuses what cannot be trained on', async () => {
  const data = { ...clouds(20, 3, 2, 1), classes: names(2) };
  const val = clouds(10, 3, 2, 2);
  const wrong = { ...data, x: data.x.slice() };
  wrong.x[7] = Number.NaN;
  await assert.rejects(trainHead(wrong, val), (error: Error) => {
    assert.ok(error instanceof CacheError);
    assert.match(error.message, /feature 1 of training vector 2 is NaN/);
    return true;
  });
  const single = { ...data, y: new Int32Array(20).fill(1) };
  await assert.rejects(trainHead(single, val), (error: Error) => {
    assert.ok(error instanceof LabelError);
    assert.match(error.message, /class 1/);
    return true;
  });
  await assert.rejects(trainHead({ ...data, y: data.y.subarray(1) }, val), TypeError);
  await assert.rejects(trainHead(data, clouds(10, 4, 2, 2)), TypeError);
  await assert.rejects(trainHead({ ...data, y: new Int32Array(20).fill(2) }, val), TypeError);
  for (const options of [{ epochs: 0 }, { learningRate: 0 }, { batchSize: 1.5 }, { l2: -1 }, { seed: Number.NaN }]) {
    await assert.rejects(trainHead(data, val, options), UsageError, JSON.stringify(options));
  }
  await assert.rejects(trainHead(data, val, { lr: 1 } as object), /unknown head option lr/);
});

test('a run that diverges at once says so', async () => {
  const d = 2000;
  const data = { x: new Float32Array(4 * d).fill(3e38), y: Uint8Array.of(0, 1, 0, 1), n: 4, d, classes: names(2) };
  const run = trainHead(data, { ...data, n: 0, x: new Float32Array(0), y: new Uint8Array(0) }, {});
  await assert.rejects(run, (error: Error) => {
    assert.ok(error instanceof HeadError);
    assert.match(error.message, /diverged in its first epoch/);
    return true;
  });
});

test('a signal ends training between two steps', async () => {
  const data = { ...clouds(100, 3, 2, 1), classes: names(2) };
  const controller = new AbortController();
  const run = trainHead(
    data,
    data,
    { epochs: 1000 },
    {
      signal: controller.signal,
      onEpoch: () => controller.abort(new Error('stopped')),
    },
  );
  await assert.rejects(run, /stopped/);
});
