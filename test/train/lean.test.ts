import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/random.js';
import { type ComingHead, layingOut } from '../../src/train/laying-out.js';
import { leanRoom } from '../../src/train/lean/layout.js';
import { KernelMemory } from '../../src/train/lean/memory.js';
import { secondThread } from '../../src/train/lean/second.js';
import { LeanTrainer } from '../../src/train/lean/trainer.js';
import { foldedNet, initialVariables } from '../../src/train/net.js';
import type { PackSpec } from '../../src/train/net-spec.js';
import { NetEvaluator } from '../../src/train/onnx/evaluator.js';
import { OnnxTrainer, onnxTrainers } from '../../src/train/onnx/trainer.js';
import type { HeadOptions } from '../../src/train/options.js';
import { shuffledRows } from '../../src/train/shuffle.js';
import { outputsOf, type TrainedHead, type TrainingJob, trainHead, trainTogether } from '../../src/train/train.js';
import type { PackedHead } from '../../src/train/trainer.js';
import { allRows, memoryVectors } from '../../src/train/vectors.js';
import { assertClose } from '../helpers/close.js';

const linear: PackSpec = {
  ...{ d: 203, units: 1, hidden: [], activation: 'relu', ending: 'sigmoid', normalize: false, standardize: false },
  ...{ batchNorm: false, dropout: false, optimizer: 'adam', momentum: false, nesterov: false, weightDecay: false },
  ...{ l1: false, l2: true, classWeight: false, labelSmoothing: false },
};
const n = 331;
const random = new Random('lean');
const x = Float32Array.from({ length: n * linear.d }, () => random.normal());

/** Heads that differ in all numbers in which heads of a spec may differ. */
const headsOf = (spec: PackSpec, count: number): PackedHead[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ momentum: 0, l1: 0, dropout: 0, start: initialVariables(spec, i) },
    l2: spec.l2 ? 1e-5 * (i % 4) : 0,
    weightDecay: spec.weightDecay ? 0.01 * (i % 3) : 0,
    labelSmoothing: spec.labelSmoothing ? 0.05 * (i % 3) : 0,
    classWeights:
      spec.classWeight && i > 0
        ? Float32Array.from({ length: spec.ending === 'softmax' ? spec.units : 2 * spec.units }, (_, k) => 1 + k / 3)
        : null,
    learningRate: (step) => (1e-3 * 2 ** (i % 5)) / (1 + step / 100),
  }));

const targetsOf = ({ ending, units }: PackSpec, seed: number): Float32Array => {
  const labels = new Random(`labels ${seed}`);
  return Float32Array.from({ length: n * (ending === 'softmax' ? 1 : units) }, () =>
    labels.below(ending === 'softmax' ? units : 2),
  );
};

/** What the i-th head does not see; the last one sees all. */
const masks = Array.from({ length: 5 }, (_, i) =>
  i === 4 ? null : Uint8Array.from({ length: n }, (_, row) => (row % 4 === i ? 0 : 1)),
);

const kinds: readonly (readonly [string, Partial<PackSpec>, number])[] = [
  ['a unit each', {}, 32],
  ['several labels with class weights and smoothing', { units: 3, classWeight: true, labelSmoothing: true }, 32],
  ['classes, smoothed and weighted', { units: 3, ending: 'softmax', labelSmoothing: true, classWeight: true }, 7],
  ['numbers, by adamw', { ending: 'linear', weightDecay: true }, 32],
  ['fewer features than a vector instruction takes', { d: 3, l2: false }, 1],
  ['minibatches larger than all of them', { units: 2, d: 32 }, 500],
];
for (const [title, part, batch] of kinds) {
  test(`heads on their own rows train as alone: to 1e-6 as in the engine, to the bit as by the same code: ${title}`, async () => {
    const spec = { ...linear, ...part };
    const heads = headsOf(spec, 5);
    const targets = heads.map((_, i) => targetsOf(spec, i % 2));
    const own = x.subarray(0, n * spec.d);
    const together = new LeanTrainer(spec, heads);
    const others = await Promise.all(
      heads.flatMap((head) => [OnnxTrainer.create(spec, [head]), new LeanTrainer(spec, [head])]),
    );
    const order = new Random('order');
    for (let epoch = 0, kept = [0, 1, 2, 3, 4]; epoch < 3; epoch++) {
      if (epoch === 2) {
        kept = [1, 4];
        together.keep(kept);
      }
      const rows = order.permutation(n);
      const of = <T>(all: readonly T[]): T[] => kept.map((i) => all[i] as T);
      const losses = await together.run(
        { x: own, at: rows, rows },
        of(targets),
        batch,
        undefined,
        undefined,
        of(masks),
      );
      for (const [place, i] of kept.entries()) {
        const mask = masks[i];
        const seen = rows.filter((row) => !mask || mask[row] === 1);
        for (const [kind, alone] of others.slice(2 * i, 2 * i + 2).entries()) {
          const what = `${kind === 0 ? 'engine' : 'same code'}, epoch ${epoch}, head ${i}`;
          const tolerance = kind === 0 ? 1e-6 : 0;
          const [loss] = await alone.run({ x: own, at: seen, rows: seen }, [targets[i] as Float32Array], batch);
          const found = losses[place] as number;
          assert.ok(Math.abs(found - (loss as number)) <= tolerance * Math.max(1, Math.abs(found)), `loss, ${what}`);
          const expected = await alone.variables(0);
          for (const [name, values] of await together.variables(place)) {
            assertClose(values, expected.get(name) as Float32Array, tolerance * 5, `${name}, ${what}`);
          }
        }
      }
    }
    await Promise.all([together, ...others].map((one) => one.release()));
  });
}

/** @returns vectors where the kernels take them in place, with so many bytes behind them */
function inPlace(values: Float32Array, d: number, room: number): Float32Array {
  const memory = KernelMemory.allocate(values.length / d, d, room);
  assert.ok(memory);
  memory.vectors.set(values);
  return memory.vectors;
}

/** Two epochs of five heads on their own rows, then one of two of them, measured after each. @returns every number that came of it */
async function trained(
  trainer: LeanTrainer,
  spec: PackSpec,
  own: Float32Array,
  batch: number,
  between = async () => {},
) {
  const heads = [0, 1, 2, 3, 4];
  const targets = heads.map((i) => targetsOf(spec, i % 2));
  const order = new Random('order');
  const evaluator = await NetEvaluator.create(spec);
  const val = { x: own, at: allRows(150), rows: allRows(150) };
  const found: number[] = [];
  let measured = 0;
  for (let epoch = 0, kept = heads; epoch < 3; epoch++) {
    if (epoch === 2) {
      kept = [1, 4];
      trainer.keep(kept);
    }
    const rows = order.permutation(n);
    const of = <T>(all: readonly T[]): T[] => kept.map((i) => all[i] as T);
    const nothing = (): void => {};
    found.push(...(await trainer.run({ x: own, at: rows, rows }, of(targets), batch, undefined, nothing, of(masks))));
    for (const [place, i] of kept.entries()) {
      const variables = await trainer.variables(place);
      for (const values of variables.values()) found.push(...values);
      const wanted = targets[i] as Float32Array;
      const sums = await trainer.measure(place, val, wanted);
      if (sums === null) continue;
      measured += 1;
      const ordinary = { ...val, x: x.subarray(0, n * spec.d) };
      const [expected] = await evaluator.evaluate([foldedNet(spec, variables, null)], ordinary, [wanted]);
      assert.ok(Math.abs(sums.loss - (expected?.loss ?? 0)) < 1e-5 * sums.loss, `loss of head ${i}`);
      assert.ok(Object.is(sums.hits, expected?.hits) || Math.abs(sums.hits - (expected?.hits ?? 0)) < 1e-4);
    }
    await between();
  }
  await Promise.all([trainer.release(), evaluator.release()]);
  return { found, measured };
}

for (const [title, part, batch] of kinds) {
  test(`vectors in place, with a second thread or without, change no bit, and are measured as in the engine: ${title}`, async () => {
    const spec = { ...linear, ...part };
    const heads = headsOf(spec, 5);
    const own = x.subarray(0, n * spec.d);
    const gathered = await trained(new LeanTrainer(spec, heads), spec, own, batch);
    assert.equal(gathered.measured, 0);
    const place = inPlace(own, spec.d, leanRoom(spec.d, spec.units, 5, batch));
    const alone = await trained(new LeanTrainer(spec, heads, 1), spec, place, batch);
    assert.deepEqual([alone.found, alone.measured], [gathered.found, 12]);
    const trainer = new LeanTrainer(spec, heads, 2);
    let divided = false;
    const shared = await trained(trainer, spec, place, batch, async () => {
      divided ||= trainer.isDivided;
      assert.ok(await secondThread.join());
      await secondThread.leave();
    });
    assert.ok(divided);
    assert.deepEqual([shared.found, shared.measured], [gathered.found, 12]);
    const crowded = await trained(new LeanTrainer(spec, heads, 2), spec, inPlace(own, spec.d, 0), batch);
    assert.deepEqual(crowded.found, gathered.found);
  });
}

test('what ends an epoch half way ends both threads, and a fault of the second one is told', async () => {
  const trainer = new LeanTrainer(linear, headsOf(linear, 4), 2);
  const place = inPlace(x, linear.d, leanRoom(linear.d, 1, 4, 4));
  const rows = allRows(n);
  const run = (afterChunk: () => void) =>
    trainer.run({ x: place, at: rows, rows }, [targetsOf(linear, 0)], 4, undefined, afterChunk);
  await run(() => {});
  const thread = await secondThread.join();
  assert.ok(thread);
  await assert.rejects(
    run(() => {
      throw new Error('enough');
    }),
    /enough/,
  );
  assert.ok(trainer.isDivided);
  await assert.rejects(thread.ask({ number: -1 } as never), { name: 'EngineError' });
  await trainer.release();
  await secondThread.leave();
});

test('only heads that take vectors in place have them laid out so', () => {
  const of = (options: HeadOptions, folds: number | null = 5): ComingHead => ({
    ...{ task: 'binary', classes: ['no', 'yes'], options, folds },
  });
  const plan = (options: HeadOptions, count: number, folds: number | null = null): ComingHead[] =>
    Array.from({ length: count }, (_, i) => of({ ...options, learningRate: 1e-4 * (i + 1) }, folds));
  const isPlaced = (heads: readonly ComingHead[], d = 2048): boolean => {
    const place = layingOut(heads)?.(10, d) ?? null;
    if (place !== null) assert.ok(place.length === 10 * d && KernelMemory.of(place));
    return place !== null;
  };
  assert.ok(isPlaced([of({ l2: 1e-4 })]));
  assert.ok(!isPlaced([of({ hidden: [8] })]));
  assert.ok(!isPlaced([of({ scale: 'standard' })]));
  assert.ok(!isPlaced([of({}, null)]));
  // Of plans: those with folds, all heads of one shape.
  assert.ok(!isPlaced(plan({}, 64)));
  assert.ok(!isPlaced(plan({}, 5)));
  assert.ok(isPlaced(plan({}, 5, 3)));
  assert.ok(isPlaced([...plan({}, 5, 3), of({}, null)]));
  assert.ok(!isPlaced([...plan({}, 5, 3), of({ batchSize: 64 }, null)]));
  assert.ok(!isPlaced([...plan({}, 5, 3), of({ hidden: [8] }, null)]));
  assert.equal(layingOut([of({ optimizer: 'lbfgs' })]), undefined);
  assert.equal(layingOut([...plan({}, 64), of({ optimizer: 'lda' }, null)]), undefined);
  assert.equal(layingOut([]), undefined);
  assert.equal(layingOut([of({})], 'tensorflow'), undefined);
  // More than 32 bits address.
  assert.equal(layingOut([of({})])?.(2 ** 21, 2 ** 10), null);
});

test('what ends an epoch half way ends it', async () => {
  const trainer = new LeanTrainer(linear, headsOf(linear, 1));
  const rows = allRows(n);
  await assert.rejects(
    trainer.run({ x, at: rows, rows }, [targetsOf(linear, 0)], 4, undefined, () => {
      throw new Error('enough');
    }),
    /enough/,
  );
});

test('rows come in random order, and two of them in the same whatever others there are', () => {
  const marks = Uint32Array.from({ length: 1000 }, () => random.uint32());
  const order = (rows: Uint32Array, seed: number, given?: Uint32Array): number[] =>
    Array.from(shuffledRows(rows, given, new Random(seed)), (place) => rows[place] as number);
  for (const given of [undefined, marks]) {
    const all = order(allRows(1000), 1, given);
    assert.deepEqual(
      all.toSorted((a, b) => a - b),
      [...allRows(1000)],
    );
    const some = allRows(1000).filter((row) => row % 3 > 0);
    assert.deepEqual(
      order(some, 1, given),
      all.filter((row) => row % 3 > 0),
    );
    assert.notDeepEqual(order(allRows(1000), 2, given), all);
    // The place of a row is as likely anywhere: over 400 orders its mean is near the middle.
    for (const row of [0, 1, 500, 999]) {
      const places = Array.from({ length: 400 }, (_, seed) => order(allRows(1000), seed, given).indexOf(row));
      const mean = places.reduce((sum, place) => sum + place, 0) / places.length;
      assert.ok(Math.abs(mean - 499.5) < 75, `${row}: ${mean}`); // five standard deviations
    }
    // Neighbours are neighbours no more often than others: of 999 pairs about two.
    const apart = all.filter((row, i) => Math.abs(row - (all[i + 1] ?? -9)) === 1).length;
    assert.ok(apart < 12, `${apart}`);
  }
  assert.deepEqual(order(allRows(4), 3, new Uint32Array(4)), [0, 1, 2, 3]);
});

/** @returns of how many heads the packs were whose heads have rows of their own, and what the work gives */
async function mixedPacks<T>(work: () => Promise<T>): Promise<[number[], T]> {
  const maker = onnxTrainers as { create: typeof onnxTrainers.create };
  const { create } = maker;
  const packs: number[] = [];
  maker.create = async (spec, heads, given) => {
    if (given.isMixed) packs.push(heads.length);
    return create(spec, heads, given);
  };
  try {
    const given = await work();
    return [packs, given];
  } finally {
    maker.create = create;
  }
}

test('heads of many rows and large minibatches are spread over packs', async () => {
  const d = 64;
  const vectors = memoryVectors(x.subarray(0, 60 * d), d);
  const y = Int32Array.from({ length: 60 }, (_, i) => i % 2);
  const jobs = [0, 1, 2, 3, 4, 5].map(
    (fold): TrainingJob => ({
      data: { task: 'binary', classes: ['no', 'yes'], vectors, y, rows: allRows(60).filter((row) => row % 6 !== fold) },
      val: null,
      heads: [{ epochs: 2, batchSize: 2 ** 22 / d }],
    }),
  );
  const [packs, together] = await mixedPacks(() => Promise.all(trainTogether(jobs)));
  assert.deepEqual(packs, [4, 2]);
  for (const [i, { data, heads }] of jobs.entries()) {
    const alone = await trainHead(data, null, heads[0]);
    const head = together[i]?.[0] as TrainedHead;
    assertClose(await outputsOf(head, vectors), await outputsOf(alone, vectors), 1e-5, `job ${i}`);
  }
});

test('the folds of a cross-validation train side by side, each as alone', async () => {
  const [rows, d] = [200, 24];
  const vectors = memoryVectors(x.subarray(0, rows * d), d);
  const marks = Uint32Array.from({ length: rows }, () => random.uint32());
  const y = Int32Array.from({ length: rows }, (_, i) => ((x[i * d] as number) + 0.3 * random.normal() > 0 ? 1 : 0));
  const sides = (keep: (row: number) => boolean) => allRows(rows).filter(keep);
  const jobOf = (options: HeadOptions, fold: number): TrainingJob => ({
    data: {
      ...{ task: 'binary', classes: ['no', 'yes'], vectors, y, marks },
      rows: sides((row) => row % 5 !== fold),
    },
    val: { vectors, y, rows: sides((row) => row % 5 === fold) },
    heads: [options],
  });
  const options: HeadOptions = { epochs: 25, patience: 3, learningRate: 0.02, l2: 1e-4 };
  const jobs = [0, 1, 2, 3, 4].flatMap((fold) => [
    jobOf(options, fold),
    jobOf({ ...options, classWeight: 'balanced', optimizer: 'adamw', weightDecay: 0.01 }, fold),
    jobOf({ ...options, seed: 3 }, fold),
    jobOf({ ...options, scale: 'standard' }, fold),
    jobOf({ ...options, optimizer: 'sgd' }, fold),
  ]);
  const [packs, together] = await mixedPacks(() => Promise.all(trainTogether(jobs)));
  assert.deepEqual(packs, [10, 5]);
  for (const [i, { data, val, heads }] of jobs.entries()) {
    const alone = await trainHead(data, val, heads[0]);
    const head = together[i]?.[0] as TrainedHead;
    assert.deepEqual(
      [head.bestEpoch, head.end, head.history.length],
      [alone.bestEpoch, alone.end, alone.history.length],
    );
    assertClose(await outputsOf(head, vectors), await outputsOf(alone, vectors), 1e-5, `job ${i}`);
    for (const [epoch, record] of head.history.entries()) {
      const other = alone.history[epoch];
      assert.ok(Math.abs(record.loss - (other?.loss ?? 0)) < 1e-5 && record.valAccuracy === other?.valAccuracy);
    }
  }
  const again = await Promise.all(trainTogether(jobs));
  assert.deepEqual(
    again.flat().map((head) => (head as TrainedHead).net),
    together.flat().map((head) => (head as TrainedHead).net),
  );
  // The same on vectors in place; what the engine trains is the same there too.
  const room = leanRoom(d, 1, 15, 32);
  const placed = memoryVectors(inPlace(x.subarray(0, rows * d), d, room), d);
  const there = await Promise.all(
    trainTogether(
      jobs.map(({ data, val, heads }) => ({
        ...{ data: { ...data, vectors: placed }, heads },
        val: val && { ...val, vectors: placed },
      })),
    ),
  );
  for (const [i, head] of there.flat().entries()) {
    const other = together[i]?.[0] as TrainedHead;
    const { net, bestEpoch, history } = head as TrainedHead;
    assert.deepEqual([net, bestEpoch, history.length], [other.net, other.bestEpoch, other.history.length], `job ${i}`);
    for (const [epoch, { valLoss }] of history.entries()) {
      assert.ok(Math.abs((valLoss as number) - (other.history[epoch]?.valLoss as number)) < 1e-6);
    }
  }
  for (const optimizer of ['lbfgs', 'lda', 'ridge'] as const) {
    const { data } = jobs[0] as TrainingJob;
    const [there, here] = [placed, vectors].map((one) => trainHead({ ...data, vectors: one }, null, { optimizer }));
    assert.deepEqual((await there)?.net, (await here)?.net, optimizer);
  }
});
