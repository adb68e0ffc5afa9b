import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openEngine } from '../../src/engine/index.js';
import { loadRuntime } from '../../src/engine/tensorflow/runtime.js';
import { UsageError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import type { HeadOptions } from '../../src/train/options.js';
import type { TrainingData } from '../../src/train/run.js';
import { outputsOf, trainHead, trainHeads } from '../../src/train/train.js';
import { memoryVectors } from '../../src/train/vectors.js';
import { assertClose } from '../helpers/close.js';

const { version } = await openEngine({ engine: 'tensorflow' });
const { tf } = await loadRuntime();

/** Vectors like pooled features, not negative, around a centre for each class. */
function problem(classes: number, n: number, d: number): TrainingData {
  const random = new Random(`${classes} classes`);
  const centres = Array.from({ length: classes }, () => Float32Array.from({ length: d }, () => random.uniform(0, 1)));
  const y = Int32Array.from({ length: n }, (_, i) => i % classes);
  const x = Float32Array.from({ length: n * d }, (_, i) => {
    const centre = centres[y[Math.floor(i / d)] ?? 0]?.[i % d] ?? 0;
    return Math.max(0, centre + random.uniform(-1, 1));
  });
  return {
    task: classes === 2 ? 'binary' : 'multiclass',
    classes: Array.from({ length: classes }, (_, i) => `c${i}`),
    vectors: memoryVectors(x, d),
    y,
  };
}

const TEN = { epochs: 10, patience: 100, learningRate: 0.01 } as const;

describe(`heads trained by tensorflow ${version} become those of the onnx engine`, () => {
  const cases: readonly (readonly [string, number, HeadOptions])[] = [
    ['binary, adam', 2, TEN],
    ['multiclass, adam', 5, TEN],
    ['multiclass, sgd with momentum, l1', 5, { ...TEN, optimizer: 'sgd', momentum: 0.9, l1: 1e-4 }],
    ['multiclass, sgd with nesterov', 3, { ...TEN, optimizer: 'sgd', momentum: 0.9, nesterov: true }],
    ['binary, plain sgd', 2, { ...TEN, optimizer: 'sgd' }],
    ['multiclass, rmsprop with momentum', 5, { ...TEN, optimizer: 'rmsprop', learningRate: 0.001, momentum: 0.5 }],
    ['binary, adam, l2, standardised, an odd batch', 2, { ...TEN, l2: 0.001, scale: 'standard', batchSize: 37 }],
  ];
  for (const [name, classes, options] of cases) {
    test(name, async () => {
      const data = problem(classes, 300, 64);
      const val = problem(classes, 90, 64);
      const ours = await trainHead(data, val, options, { engine: 'tensorflow' });
      const theirs = await trainHead(data, val, options);
      const [got, expected] = [await outputsOf(ours, val.vectors), await outputsOf(theirs, val.vectors)];
      assertClose(got, expected, 1e-4, 'probabilities');
      assert.equal(ours.history.length, 10);
      for (const [i, record] of ours.history.entries()) {
        const other = theirs.history[i];
        assert.ok(Math.abs(record.loss - (other?.loss ?? 9)) <= 1e-4);
        assert.ok(Math.abs((record.valLoss ?? 9) - (other?.valLoss ?? 0)) <= 1e-4);
        assert.equal(record.valAccuracy?.toFixed(4), other?.valAccuracy?.toFixed(4));
      }
      assert.equal(ours.bestEpoch, theirs.bestEpoch);
    });
  }
});

describe(`training with tensorflow ${version}`, () => {
  test('stops early, keeps the best weights, and the same seed gives the same bits', async () => {
    const data = problem(2, 60, 64);
    const val = problem(2, 300, 64);
    const options = { learningRate: 0.5, patience: 3 };
    const one = await trainHead(data, val, options, { engine: 'tensorflow' });
    const two = await trainHead(data, val, options, { engine: 'tensorflow' });
    assert.equal(one.end, 'patience');
    assert.equal(one.history.length, one.bestEpoch + 3);
    assert.deepEqual(one.net, two.net);
  });

  test('several labels an image, and numbers', async () => {
    const { vectors, y } = problem(2, 300, 64);
    const labels = Uint8Array.from({ length: 600 }, (_, i) => (i % 2 === 0 ? (y[i / 2] ?? 0) : i % 3 === 0 ? 1 : 0));
    for (const data of [
      { task: 'multilabel', classes: ['a', 'b'], vectors, y: labels },
      { task: 'regression', classes: [], vectors, y: Float32Array.from(y, (k) => k * 3 - 1) },
    ] as const) {
      const ours = await trainHead(data, data, TEN, { engine: 'tensorflow' });
      const theirs = await trainHead(data, data, TEN);
      const [got, expected] = [await outputsOf(ours, vectors), await outputsOf(theirs, vectors)];
      assertClose(got, expected, 1e-4, data.task);
      assert.ok(Math.abs((ours.history[9]?.loss ?? 9) - (theirs.history[9]?.loss ?? 0)) <= 1e-4);
    }
  });

  test('trains many heads epoch by epoch and drops those that are named, as the onnx engine does', async () => {
    const data = problem(3, 120, 16);
    const heads = [TEN, { ...TEN, learningRate: 0.1 }, { ...TEN, l2: 0.01, seed: 4 }];
    const ends = [];
    for (const engine of ['tensorflow', 'onnx'] as const) {
      const found = await trainHeads(data, data, heads, { engine, drop: (epoch) => (epoch === 4 ? [1] : []) });
      ends.push(
        found.map((one) => (one instanceof Error ? one.message : [one.end, one.history.length, one.bestEpoch])),
      );
    }
    assert.deepEqual(ends[0], ends[1]);
    assert.deepEqual(
      ends[0]?.map((end) => end.slice(0, 2)),
      [
        ['epochs', 10],
        ['dropped', 4],
        ['epochs', 10],
      ],
    );
  });

  test('leaves nothing behind, also when it is interrupted', async () => {
    const data = problem(2, 300, 64);
    const before = tf.memory().numTensors;
    const signal = AbortSignal.abort(new Error('enough'));
    await trainHead(data, null, { epochs: 3 }, { engine: 'tensorflow' });
    await assert.rejects(trainHead(data, null, {}, { engine: 'tensorflow', signal }), /enough/);
    assert.equal(tf.memory().numTensors, before);
  });

  test('refuses by name what it does not train', async () => {
    const options = { hidden: [16], dropout: 0.5, optimizer: 'adamw' } as const;
    await assert.rejects(trainHead(problem(2, 8, 4), null, options, { engine: 'tensorflow' }), (error: Error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, /without hidden, dropout, weightDecay, optimizer adamw:/);
      return true;
    });
  });
});
