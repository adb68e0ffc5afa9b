import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { openEngine } from '../../src/engine/index.js';
import { loadRuntime } from '../../src/engine/tensorflow/runtime.js';
import { EngineError } from '../../src/errors.js';
import type { Graph } from '../../src/graph/graph.js';
import { Random } from '../../src/random.js';
import { permafrost } from '../helpers/cli.js';
import { assertRelativelyClose } from '../helpers/close.js';
import { opCases } from '../helpers/conformance.js';

const engine = await openEngine({ engine: 'tensorflow' });
const { tf } = await loadRuntime();

/** Convolutions, batch normalization with two users, a classifier: what a base is made of, in small. */
function smallBase(): Graph {
  const random = new Random('small base');
  const tensor = (...shape: number[]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return { shape, data: Float32Array.from({ length: size }, () => random.uniform(0.1, 0.5)) };
  };
  const convolution = { kernelSize: [3, 3], dilation: [1, 1], useBias: true, activation: 'relu' } as const;
  return {
    input: 'in',
    output: 'top',
    nodes: [
      { name: 'in', op: { kind: 'InputLayer', shape: [32, 32, 3] }, inputs: [], weights: [] },
      {
        name: 'conv',
        op: { kind: 'Conv2D', filters: 16, groups: 1, strides: [2, 2], padding: 'same', ...convolution },
        inputs: ['in'],
        weights: [tensor(3, 3, 3, 16), tensor(16)],
      },
      {
        name: 'norm',
        op: { kind: 'BatchNormalization', epsilon: 1e-3, scale: true, center: true },
        inputs: ['conv'],
        weights: [tensor(16), tensor(16), tensor(16), tensor(16)],
      },
      { name: 'sum', op: { kind: 'Add' }, inputs: ['norm', 'conv'], weights: [] },
      { name: 'pool', op: { kind: 'GlobalAveragePooling2D', keepdims: false }, inputs: ['sum'], weights: [] },
      {
        name: 'top',
        op: { kind: 'Dense', units: 10, useBias: true, activation: 'softmax' },
        inputs: ['pool'],
        weights: [tensor(16, 10), tensor(10)],
      },
    ],
  };
}

const pictures = (n: number): Uint8Array => {
  const random = new Random('pictures');
  return Uint8Array.from({ length: n * 32 * 32 * 3 }, () => Math.floor(random.uniform(0, 256)));
};

describe(`the tensorflow engine, here ${engine.version}`, () => {
  test('is TensorFlow itself where that must be there', { skip: !process.env.PERMAFROST_NATIVE_TENSORFLOW }, () => {
    assert.match(engine.version, /^4\.\d+\.\d+\+tensorflow\.2\./);
    assert.equal(engine.notice, undefined);
  });

  test('says in one sentence where TensorFlow is missing and which command adds it', () => {
    if (engine.version.endsWith('+wasm'))
      assert.match(engine.notice ?? '', /npm (install|rebuild) @tensorflow\/tfjs-node/);
    else assert.equal(engine.notice, undefined);
  });

  test('frees everything: 2,000 images leave no tensor and no memory behind', async () => {
    const before = tf.memory().numTensors;
    const runner = await engine.load(smallBase(), { input: 'uint8' });
    const images = pictures(100);
    const loaded = tf.memory().numTensors;
    for (let round = 0; round < 10; round++) await runner.run(images, 100);
    const resident = process.memoryUsage().rss;
    for (let round = 0; round < 20; round++) await runner.run(images, 100);
    assert.equal(tf.memory().numTensors, loaded);
    // their pixels and values are 125 MB; what V8 has not collected yet may be a third of that
    const grown = process.memoryUsage().rss - resident;
    assert.ok(grown < 60e6, `grew by ${grown} bytes`);
    await runner.release();
    assert.equal(tf.memory().numTensors, before);
  });

  test('gives the same bits for an image in any batch', async () => {
    const runner = await engine.load(smallBase(), { input: 'uint8', outputs: ['conv', 'norm', 'top'] });
    const images = pictures(7);
    const size = images.length / 7;
    const together = await runner.run(images, 7);
    const alone = await runner.run(images.subarray(5 * size, 6 * size), 1);
    for (const [i, one] of alone.entries()) {
      assert.deepEqual(together[i]?.subarray(5 * one.length, 6 * one.length), one);
    }
    await runner.release();
  });

  test('agrees with the onnx engine on every tapped layer', async () => {
    const onnx = await openEngine({ engine: 'onnx' });
    const outputs = ['conv', 'norm', 'top'];
    const images = pictures(3);
    const results = [];
    for (const each of [engine, onnx]) {
      const runner = await each.load(smallBase(), { input: 'uint8', outputs });
      results.push(await runner.run(images, 3));
      await runner.release();
    }
    const [ours = [], theirs = []] = results;
    for (const [i, expected] of theirs.entries()) {
      assertRelativelyClose(ours[i] ?? [], expected, 1e-5, outputs[i]);
    }
  });

  test('names a layer that it does not know, and refuses devices that it does not have', async () => {
    const [{ graph }] = opCases() as [ReturnType<typeof opCases>[number]];
    const odd = { name: 'odd', op: { kind: 'Fourier' } as never, inputs: [graph().output], weights: [] };
    const unknown = { ...graph(), nodes: [...graph().nodes, odd], output: 'odd' };
    await assert.rejects(engine.load(unknown), /layer odd \(Fourier\): the tensorflow engine does not know/);
    await assert.rejects(engine.load(smallBase(), { device: 'cuda' }), EngineError);
  });

  test('from pictures to a prediction on the command line, in one set with the onnx engine', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'permafrost-'));
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await permafrost(args, dir);
      assert.equal(code, 0, stderr);
      return stdout === '' ? {} : JSON.parse(stdout);
    };
    try {
      await run('sample', '--out', 'pictures', '--per-class', '8');
      const first = await run('features', '--data', 'pictures/train', '--engine', 'tensorflow', '--json');
      const second = await run('features', '--data', 'pictures', '--json');
      assert.equal(first.set, second.set);
      assert.equal(second.reused, first.extracted);
      const head = await run('train', '--data', 'pictures', '--engine', 'tensorflow', '--epochs', '5', '--json');
      const { versions } = JSON.parse(await readFile(path.join(head.dir, 'head.json'), 'utf8'));
      assert.equal(versions.tensorflow, engine.version);
      const predict = ['predict', 'pictures/val/ok', '--head', head.head, '--json'];
      const scores = async (...more: string[]) => {
        const { stdout } = await permafrost([...predict, ...more], dir);
        const lines = stdout.trim().split('\n');
        return lines.map((line): number => JSON.parse(line).scores[1].score);
      };
      const [ours, theirs] = [await scores('--engine', 'tensorflow'), await scores()];
      assert.ok(ours.length > 0 && ours.length === theirs.length);
      for (const [i, score] of ours.entries()) assert.ok(Math.abs(score - (theirs[i] ?? 9)) <= 1e-4);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});
