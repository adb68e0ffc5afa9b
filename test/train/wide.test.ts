import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/random.js';
import { foldedNet, initialVariables } from '../../src/train/net.js';
import type { PackSpec } from '../../src/train/net-spec.js';
import { NetEvaluator } from '../../src/train/onnx/evaluator.js';
import { FarThread } from '../../src/train/onnx/far-shard.js';
import { OnnxTrainer, onnxTrainers } from '../../src/train/onnx/trainer.js';
import { isWide, WideTrainer } from '../../src/train/onnx/wide-trainer.js';
import { outputsOf, type TrainedHead, trainHead, trainHeads } from '../../src/train/train.js';
import type { PackedHead, Trainer } from '../../src/train/trainer.js';
import { memoryVectors } from '../../src/train/vectors.js';
import { assertClose } from '../helpers/close.js';

const linear: PackSpec = {
  ...{ d: 203, units: 1, hidden: [], activation: 'relu', ending: 'sigmoid', normalize: false, standardize: false },
  ...{ batchNorm: false, dropout: false, optimizer: 'adam', momentum: false, nesterov: false, weightDecay: false },
  ...{ l1: false, l2: true, classWeight: false, labelSmoothing: false },
};
const n = 331;
const random = new Random('wide');
const x = Float32Array.from({ length: n * linear.d }, () => random.normal());
/** The same in a memory that threads share. */
const sharedX = new Float32Array(new SharedArrayBuffer(x.byteLength));
sharedX.set(x);
const plain = { isMixed: false };
const scaling = { mean: new Float32Array(linear.d).fill(0.1), inverse: new Float32Array(linear.d).fill(1.5) };

/** Heads that differ in all numbers in which heads of a spec may differ. */
const headsOf = (spec: PackSpec, count: number): PackedHead[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ momentum: 0, l1: 0, dropout: 0, start: initialVariables(spec, i) },
    l2: 1e-5 * (i % 4),
    weightDecay: spec.weightDecay ? 0.01 * (i % 3) : 0,
    labelSmoothing: spec.labelSmoothing ? 0.05 * (i % 3) : 0,
    classWeights: spec.classWeight
      ? Float32Array.from({ length: spec.ending === 'softmax' ? spec.units : 2 * spec.units }, (_, k) => 1 + k / 3)
      : null,
    learningRate: (step) => (1e-3 * 2 ** (i % 5)) / (1 + step / 100),
  }));

const targetsOf = ({ ending, units }: PackSpec, seed: number): Float32Array => {
  const labels = new Random(`labels ${seed}`);
  const perRow = ending === 'softmax' ? 1 : units;
  return Float32Array.from({ length: n * perRow }, () => labels.below(ending === 'softmax' ? units : 2));
};

/** Two epochs of all heads, then one of three of them. @returns every number that came of it */
async function trained(
  trainer: Trainer,
  spec: PackSpec,
  count: number,
  [between, after]: readonly (() => Promise<void>)[] = [],
  vectors: Float32Array = x,
  batch = 32,
): Promise<number[]> {
  const order = new Random('order');
  const targets = Array.from({ length: count }, (_, i) => targetsOf(spec, i % 2));
  const found: number[] = [];
  const epoch = async (places: readonly number[]): Promise<void> => {
    const rows = order.permutation(n);
    const own = places.map((head) => targets[head] as Float32Array);
    found.push(...(await trainer.run({ x: vectors, at: rows, rows }, own, batch)));
  };
  const all = [...targets.keys()];
  await epoch(all);
  await between?.();
  await epoch(all);
  await after?.();
  const kept = [1, Math.floor(count / 2), count - 1];
  trainer.keep(kept);
  await epoch(kept);
  for (const head of kept.keys()) {
    for (const values of (await trainer.variables(head)).values()) found.push(...values);
  }
  await trainer.release();
  return found;
}

const kinds: readonly (readonly [string, Partial<PackSpec>])[] = [
  ['a unit each', {}],
  ['several labels with class weights', { units: 3, classWeight: true }],
  ['classes, smoothed and weighted', { units: 3, ending: 'softmax', labelSmoothing: true, classWeight: true }],
  ['numbers, by adamw, on vectors of length 1', { ending: 'linear', weightDecay: true, normalize: true }],
  ['standardised vectors', { units: 2, standardize: true, l2: false }],
];
for (const [title, part] of kinds) {
  test(`many heads train as in an epoch within the engine, to 1e-6: ${title}`, async () => {
    const spec = { ...linear, ...part };
    const given = [spec, headsOf(spec, 9), spec.standardize ? scaling : undefined, 1] as const;
    const [wide, narrow] = [await WideTrainer.create(...given), await OnnxTrainer.create(...given)];
    const expected = await trained(narrow, spec, 9);
    assertClose(await trained(wide, spec, 9), expected, 1e-6 * Math.max(...expected.map(Math.abs)), title);
  });
}

/** Lets all that is timed seem to take long. */
async function slowly<T>(work: () => Promise<T>): Promise<T> {
  const { now } = performance;
  let calls = 0;
  performance.now = () => now.call(performance) + 200 * calls++;
  try {
    return await work();
  } finally {
    performance.now = now;
  }
}

for (const [title, part] of kinds) {
  test(`neither a second thread nor where vectors lie changes a bit: ${title}`, async () => {
    const spec = { ...linear, ...part };
    const given = [spec, headsOf(spec, 9), spec.standardize ? scaling : undefined] as const;
    // Of rows of 13 numbers each begins elsewhere in what the processor takes at once.
    for (const [vectors, batch] of [[x, 32] as const, [sharedX, 32] as const, [x, 13] as const]) {
      const alone = await slowly(async () =>
        trained(await WideTrainer.create(...given, 1), spec, 9, [], vectors, batch),
      );
      const trainer = await WideTrainer.create(...given, 2);
      let divided = false;
      const joined = [
        async () => {
          assert.ok(await FarThread.join());
          await FarThread.leave();
        },
        async () => {
          divided = trainer.isDivided;
        },
      ];
      assert.deepEqual(await slowly(() => trained(trainer, spec, 9, joined, vectors, batch)), alone);
      assert.ok(divided);
    }
  });
}

test('which heads train beside a head changes no bit of it', async () => {
  for (const [, part] of kinds) {
    for (const batch of [3, 13, 32]) {
      const spec = { ...linear, ...part };
      const heads = headsOf(spec, 9);
      const rows = new Random('beside').permutation(n);
      const train = async (from: number, to: number): Promise<number[][]> => {
        const trainer = await WideTrainer.create(
          spec,
          heads.slice(from, to),
          spec.standardize ? scaling : undefined,
          1,
        );
        const losses = await trainer.run({ x, at: rows, rows }, [targetsOf(spec, 0)], batch);
        const found: number[][] = [];
        for (let head = 0; head < to - from; head++) {
          const variables = await trainer.variables(head);
          found.push([losses[head] as number, ...[...variables.values()].flatMap((values) => [...values])]);
        }
        await trainer.release();
        return found;
      };
      const all = await train(0, 9);
      for (const from of [1, 4, 7]) assert.deepEqual(await train(from, from + 2), all.slice(from, from + 2));
    }
  }
});

test('the engine trains and measures on copies of vectors that threads share', async () => {
  const heads = headsOf(linear, 3);
  const [ordinary, shared] = [await OnnxTrainer.create(linear, heads), await OnnxTrainer.create(linear, heads)];
  assert.deepEqual(await trained(shared, linear, 3, [], sharedX), await trained(ordinary, linear, 3));
  const net = foldedNet(linear, (heads[0] as PackedHead).start, null);
  const evaluator = await NetEvaluator.create(linear);
  const rows = Uint32Array.of(3, 7, 300);
  const targets = [targetsOf(linear, 0)];
  const measured = await evaluator.evaluate([net], { x, at: rows, rows }, targets);
  assert.deepEqual(await evaluator.evaluate([net], { x: sharedX, at: rows, rows }, targets), measured);
  await evaluator.release();
});

test('what ends an epoch half way ends both threads', async () => {
  const trainer = await WideTrainer.create(linear, headsOf(linear, 9), undefined, 2);
  const run = (afterChunk: () => void) => {
    const rows = new Random(1).permutation(n);
    return trainer.run({ x, at: rows, rows }, [targetsOf(linear, 0)], 4, undefined, afterChunk);
  };
  await slowly(() => run(() => {}));
  assert.ok(await FarThread.join());
  await FarThread.leave();
  let chunks = 0;
  await assert.rejects(
    slowly(() =>
      run(() => {
        if (++chunks === 3) throw new Error('enough');
      }),
    ),
    /enough/,
  );
  assert.ok(trainer.isDivided);
  await trainer.release();
  await trainer.release();
});

test('a fault of the second thread is told', async () => {
  const thread = await FarThread.join();
  assert.ok(thread);
  const spec = { ...linear, d: -100 };
  const given = { spec, heads: 1, numbers: {}, l2: new Float32Array(1), scaling: undefined, states: {} };
  await assert.rejects(thread.open(given), Error);
  await FarThread.leave();
});

test('heads enough for it go that way, and predict as they do alone', async () => {
  const [rows, d] = [150, 1100];
  const vectors = memoryVectors(
    Float32Array.from({ length: rows * d }, () => random.normal()),
    d,
  );
  const y = Int32Array.from({ length: rows }, () => random.below(2));
  const data = { task: 'binary' as const, classes: ['no', 'yes'], vectors, y };
  const heads = Array.from({ length: 64 }, (_, i) => ({ epochs: 6, learningRate: 1e-4 * (i + 1), l2: 1e-5 * (i % 3) }));
  assert.ok(isWide({ ...linear, d }, heads.length));
  assert.ok((await onnxTrainers.create({ ...linear, d }, headsOf({ ...linear, d }, 64), plain)) instanceof WideTrainer);
  const together = (await trainHeads(data, null, heads)) as TrainedHead[];
  for (const i of [0, 30, 63]) {
    const alone = await trainHead(data, null, heads[i]);
    assertClose(
      await outputsOf(together[i] as TrainedHead, vectors),
      await outputsOf(alone, vectors),
      1e-5,
      `head ${i}`,
    );
  }
});
