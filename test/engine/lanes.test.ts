import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { fittingLanes, loadBase, openBase } from '../../src/base/index.js';
import { onnxEngine } from '../../src/engine/onnx/engine.js';
import { LanedRunner } from '../../src/engine/onnx/lanes.js';
import { EngineError } from '../../src/errors.js';
import { VectorRunner } from '../../src/extract/vectors.js';
import { OWN_IMPORTS, writeModel } from '../../src/formats/onnx/write.js';
import { FeatureSet, features } from '../../src/index.js';
import { Random } from '../../src/random.js';
import { permafrost } from '../helpers/cli.js';
import { pictures } from '../helpers/pictures.js';
import { bits, folder } from '../helpers/store.js';

const MINI = { base: 'xception-mini', inputSize: [64, 64] } as const;
const [SIDE, N] = [64, 21];

const drawn = (seed: string): Uint8Array[] => {
  const random = new Random(seed);
  return Array.from({ length: N }, () => Uint8Array.from({ length: SIDE * SIDE * 3 }, () => random.below(256)));
};

test('runs side by side give the bits of one after the other, in order, whatever their number', async () => {
  const bytes = drawn('lanes');
  // Resized as Keras does, pixels are no whole numbers.
  const floats = bytes.map((image) => Float32Array.from(image, (value) => value * 0.99));
  for (const [options, images] of [
    [MINI, bytes],
    [{ ...MINI, image: 'keras-bilinear' }, floats],
  ] as const) {
    const base = await openBase(options);
    const one = await VectorRunner.open(base, onnxEngine, {}, { batchSize: 1 });
    assert.equal(one.lanes, 1);
    const expected = await one.run(images);
    await one.release();
    for (const [threads, batchSize] of [
      [2, undefined],
      [2, 5],
      [5, 1],
    ] as const) {
      const runner = await VectorRunner.open(base, onnxEngine, { threads }, { batchSize, many: true });
      assert.equal(runner.lanes, threads);
      assert.deepEqual(await runner.run(images), expected, `${threads} threads, batch ${batchSize}`);
      const [left, right] = await Promise.all([runner.run(images.slice(0, 9)), runner.run(images.slice(9))]);
      assert.deepEqual([...left, ...right], expected);
      await runner.release();
    }
  }
});

test('lanes are no more than cores, and than memory takes what they hold and their copies of the weights', async () => {
  const mini = await openBase(MINI);
  const fit = (threads: number, given?: number) => fittingLanes(mini, { threads }, given, 16e9);
  assert.deepEqual(await fit(1), { batchSize: 8, lanes: 1, threads: 1 });
  assert.deepEqual(await fit(2), { batchSize: 4, lanes: 2, threads: 1 });
  assert.deepEqual(await fit(20), { batchSize: 4, lanes: 8, threads: 2 });
  assert.deepEqual(await fit(2, 3), { batchSize: 3, lanes: 2, threads: 1 });
  assert.equal((await fit(8, 10_000)).lanes, 1);
  assert.equal((await fittingLanes(mini, {})).lanes, Math.min(8, availableParallelism()));
  assert.equal((await fittingLanes(mini, { threads: 8, engine: 'tensorflow' })).lanes, 1);
  assert.equal((await fittingLanes(mini, { threads: 8, device: 'cuda' })).lanes, 1);
  const vgg16 = async (side: number, memory: number) =>
    fittingLanes(
      await openBase({ base: 'vgg16', weights: 'random:0', inputSize: [side, side] }),
      { threads: 8 },
      undefined,
      memory,
    );
  assert.deepEqual(await vgg16(1024, 16e9), { batchSize: 1, lanes: 1, threads: 8 });
  // 59 MB of weights each, twice while they are loaded.
  assert.deepEqual(await vgg16(64, 4e9), { batchSize: 2, lanes: 4, threads: 2 });
  assert.deepEqual(await vgg16(64, 64e9), { batchSize: 3, lanes: 7, threads: 1 });
});

test('a model that does not load is refused as in the calling thread; a base that is let go answers nobody', async () => {
  const feeding = { asked: [], shape: [1], input: 'float32', pair: false } as const;
  const broken = writeModel(
    {
      name: 'broken',
      inputs: [],
      outputs: [],
      initializers: [],
      nodes: [{ op: 'NoSuch', inputs: [], outputs: ['y'] }],
    },
    {},
    OWN_IMPORTS,
  );
  await assert.rejects(
    LanedRunner.open(broken, { threads: 1 }, feeding, 2),
    (error) => error instanceof EngineError && /could not load the graph/.test(error.message),
  );
  const runner = await loadBase(await openBase(MINI), onnxEngine, { input: 'uint8', lanes: 2, threads: 1 });
  assert.equal(runner.lanes, 2);
  const [image = new Uint8Array()] = drawn('left');
  await assert.rejects(runner.run(image.subarray(1), 1), /expected 1 images of 64 x 64 x 3/);
  const runs = Array.from({ length: 100 }, () => runner.run(image, 1));
  const settled = Promise.allSettled(runs);
  await new Promise(setImmediate);
  await runner.release();
  await runner.release();
  const results = await settled;
  assert.deepEqual(
    [0, 1, 99].map((i) => results[i]?.status),
    ['fulfilled', 'fulfilled', 'rejected'],
  );
  await assert.rejects(runner.run(image, 1), /let go/);
});

test('features with lanes stores the part that one thread stores, byte for byte, and ends by itself', async (t) => {
  const data = await pictures(t, 40);
  const [one, four] = [await folder(t), await folder(t)];
  const alone = await features({ ...MINI, data, cache: one, threads: 1 });
  const { stdout } = await permafrost(
    ['features', '--data', data, '--cache', four, '--input-size', '64', '--threads', '4', '--json'],
    data,
  );
  const result = JSON.parse(stdout) as { dir: string; extracted: number };
  assert.equal(result.extracted, alone.extracted);
  assert.deepEqual(await bits(await FeatureSet.open(result.dir)), await bits(await FeatureSet.open(alone.dir)));
});
