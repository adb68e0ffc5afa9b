import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import { openBase } from '../../src/base/index.js';
import { onnxEngine } from '../../src/engine/onnx/engine.js';
import { readModel } from '../../src/keras/index.js';
import { Random } from '../../src/random.js';
import { permafrost } from '../helpers/cli.js';
import { assertClose } from '../helpers/close.js';
import { engines } from '../helpers/conformance.js';
import { fixture } from '../helpers/fixtures.js';

/** A folder of the shape that Teachable Machine exports: a Sequential of a Sequential of a Model, its metadata beside it. */
const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
cpSync(fixture('tfjs/teachable_machine'), path.join(folder, 'my_model'), { recursive: true });
after(() => rmSync(folder, { recursive: true, force: true }));

async function inTfjs(file: string) {
  await import('@tensorflow/tfjs-backend-cpu');
  const { loadLayersModel } = await import('@tensorflow/tfjs-layers');
  await tf.setBackend('cpu');
  const { modelTopology, weightsManifest } = JSON.parse(readFileSync(file, 'utf8'));
  const shards = weightsManifest[0].paths.map((name: string) => readFileSync(path.join(path.dirname(file), name)));
  const weightData = new Uint8Array(Buffer.concat(shards)).buffer;
  return loadLayersModel(tf.io.fromMemory({ modelTopology, weightSpecs: weightsManifest[0].weights, weightData }));
}

const random = new Random('teachable machine');
const images = Float32Array.from({ length: 2 * 32 * 32 * 3 }, () => random.uniform() * 2 - 1);

const run = async (...args: string[]) => {
  const { code, stdout, stderr } = await permafrost(args, folder);
  assert.equal(code, 0, stderr);
  return stdout.trim();
};

describe('a model of Teachable Machine', () => {
  test('gives what TensorFlow.js gives', async () => {
    const expected = (await inTfjs(path.join(folder, 'my_model/model.json'))).predict(
      tf.tensor(images, [2, 32, 32, 3]),
    );
    for (const engine of await engines()) {
      const runner = await engine.load(await readModel(path.join(folder, 'my_model/model.json')));
      const [got = new Float32Array()] = await runner.run(images, 2);
      await runner.release();
      assertClose(got, await (expected as tf.Tensor).data(), 1e-5);
    }
  });

  test('its folder is a base: pixels from -1 to 1, the same as its model.json', async () => {
    const layer = 'sequential_1/model1';
    const { spec } = await openBase({ base: path.join(folder, 'my_model'), layer });
    assert.equal(spec.preprocess, 'tf');
    assert.deepEqual(spec.input, { height: 32, width: 32, channels: 3 });
    assert.deepEqual((await openBase({ base: path.join(folder, 'my_model/model.json'), layer })).spec, spec);
    await assert.rejects(
      openBase({ base: path.join(folder, 'my_model') }),
      /gives probabilities \(softmax\).*--layer /,
    );
  });

  test('summary, features, classify by its own names, a new head, the two joined for TensorFlow.js', async () => {
    assert.match(await run('summary', '--base', './my_model'), /model1/);
    await run('sample', '--out', 'pictures', '--per-class', '8');
    const base = ['--base', './my_model', '--layer', 'sequential_1/model1'];
    const stored = JSON.parse(await run('features', '--data', 'pictures', ...base, '--json'));
    assert.ok(stored.extracted > 0);
    const lines = (await run('classify', 'pictures/val', '--base', './my_model', '--json')).split('\n');
    const labels = lines.flatMap((line) => JSON.parse(line).top.map(({ label }: { label: string }) => label));
    assert.deepEqual([...new Set(labels)].sort(), ['broken', 'tidy']);
    const head = JSON.parse(await run('train', '--data', 'pictures', ...base, '--epochs', '3', '--json'));
    await run('export', '--head', head.head, '--format', 'tfjs', '--with-base', '--out', 'joined');
    const model = await inTfjs(path.join(folder, 'joined/model.json'));
    const { shape } = model.predict(tf.zeros([1, 32, 32, 3])) as tf.Tensor;
    assert.deepEqual(shape, [1, 1]);
    // and it is a base again
    const joined = await readModel(path.join(folder, 'joined/model.json'));
    const pixels = images.map((value) => Math.round((value + 1) * 127.5));
    const runner = await onnxEngine.load(joined);
    const [got = new Float32Array()] = await runner.run(pixels, 2);
    await runner.release();
    assertClose(got, await (model.predict(tf.tensor(pixels, [2, 32, 32, 3])) as tf.Tensor).data(), 1e-5);
  });

  test('its export for Keras has a labels.txt: classes have its names', async () => {
    const own = path.join(folder, 'keras');
    cpSync(fixture('keras/tiny.h5'), path.join(own, 'keras_model.h5'));
    writeFileSync(path.join(own, 'labels.txt'), '0 Class 1\n1 Zwei Worte\n2 three\n');
    const args = ['classify', fixture('keras/picture.png'), '--base', 'keras/keras_model.h5', '--preprocess', 'tf'];
    const { top } = JSON.parse(await run(...args, '--json'));
    assert.deepEqual(top.map(({ index, label }: { index: number; label: string }) => `${index} ${label}`).sort(), [
      '0 Class 1',
      '1 Zwei Worte',
      '2 three',
    ]);
  });
});
