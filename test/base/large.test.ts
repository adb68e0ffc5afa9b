import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { DEFAULT_BATCH_SIZE, fittingBatch, keptDir, loadBase, moveToCache, openBase } from '../../src/base/index.js';
import { onnxEngine } from '../../src/engine/onnx/engine.js';
import { VectorRunner } from '../../src/extract/vectors.js';
import { openScratch, realSystem } from '../../src/files/index.js';
import { assertBeside } from '../helpers/beside.js';
import { folder } from '../helpers/store.js';

/** 80 MB of weights. */
const large = { base: 'vgg19', weights: 'random:1', inputSize: [32, 32] } as const;
const pixels = Uint8Array.from({ length: 2 * 32 * 32 * 3 }, (_, i) => (i * 37) % 251);

test('a base whose weights go to the engine through a file gives the same bits; where no file can be made, or the disk is full, they stay in memory', async (t) => {
  const cache = await folder(t);
  const base = await openBase(large);
  const plain = await loadBase(base, onnxEngine, { input: 'uint8' });
  const [expected] = await plain.run(pixels, 2);
  await plain.release();
  const kept = await moveToCache(cache, base);
  const dir = keptDir(cache, base.spec);
  await assertBeside([base, kept], dir, pixels, expected);
  assert.deepEqual(readdirSync(dir).sort(), ['base.json', 'weights.f32']);

  const missing = () => openScratch(realSystem, '/nowhere/at/all');
  let tries = 0;
  const full = () => ({
    path: '/nowhere/file',
    add: (): number => {
      tries++;
      throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    },
    remove: async () => {},
  });
  for (const scratch of [missing, full]) {
    const runner = await loadBase(base, onnxEngine, { input: 'uint8', scratch });
    assert.deepEqual((await runner.run(pixels, 2))[0], expected);
    await runner.release();
  }
  assert.equal(tries, 1);
});

test('a runner takes more images than a batch, and gives the bits of one batch', async () => {
  const base = await openBase({ base: 'mobilenet', alpha: 0.25, weights: 'random:1', inputSize: [32, 32] });
  assert.equal(await fittingBatch(base), DEFAULT_BATCH_SIZE);
  const images = Array.from({ length: 5 }, (_, k) => pixels.map((value) => (value * (k + 1)) % 256).subarray(0, 3072));
  const [pairs, whole] = [
    await VectorRunner.open(base, onnxEngine, {}, { batchSize: 2 }),
    await VectorRunner.open(base, onnxEngine, {}, { batchSize: 5 }),
  ];
  assert.deepEqual(await pairs.run(images), await whole.run(images));
  await pairs.release();
  await whole.release();
});

test('the batch shrinks where feature maps are large', async () => {
  const options = { base: 'mobilenet', alpha: 0.25, weights: 'random:1' } as const;
  assert.equal(await fittingBatch(await openBase({ ...options, inputSize: [224, 224] })), DEFAULT_BATCH_SIZE);
  const [some, one] = [
    await fittingBatch(await openBase({ ...options, inputSize: [1536, 1536] })),
    await fittingBatch(await openBase({ ...options, inputSize: [4096, 4096] })),
  ];
  assert.ok(some > 1 && some < DEFAULT_BATCH_SIZE, `${some}`);
  assert.equal(one, 1);
});
