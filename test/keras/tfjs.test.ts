import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { openBase } from '../../src/base/index.js';
import { onnxEngine } from '../../src/engine/onnx/engine.js';
import { ModelError, WeightsError } from '../../src/errors.js';
import { toFloat16 } from '../../src/float16.js';
import type { Graph } from '../../src/graph/graph.js';
import { cutAt } from '../../src/graph/passes.js';
import { readModel } from '../../src/keras/index.js';
import { assertRelativelyClose } from '../helpers/close.js';
import { fixture, needsShared, shared } from '../helpers/fixtures.js';
import { assertRefusal } from '../helpers/refusals.js';

const expected = JSON.parse(readFileSync(fixture('tfjs/expected.json'), 'utf8'));
const floats = (packed: string): Float32Array => {
  const bytes = Buffer.from(packed, 'base64');
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};
const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
after(() => rmSync(folder, { recursive: true }));

async function run(graph: Graph, input: Float32Array): Promise<Float32Array> {
  const runner = await onnxEngine.load(graph);
  const [result] = await runner.run(input, 2);
  await runner.release();
  return result as Float32Array;
}

function near(got: Float32Array, wanted: Float32Array, tolerance = 1e-4): void {
  assert.ok(Math.max(...wanted.map(Math.abs)) >= 0.1, 'values that tell something');
  assertRelativelyClose(got, wanted, tolerance);
}

describe('layers models that TensorFlow.js saved', () => {
  for (const name of ['tiny', 'tiny_uint8', 'tiny_uint16', 'chain']) {
    test(`${name}.json computes what TensorFlow.js computes`, async () => {
      const graph = await readModel(fixture(`tfjs/${name}.json`));
      near(await run(graph, floats(expected.input)), floats(expected[name].output));
      near(await run(cutAt(graph, 'maps'), floats(expected.input)), floats(expected[name].maps));
    });
  }

  test('float16 weights', async () => {
    const json = JSON.parse(readFileSync(fixture('tfjs/chain.json'), 'utf8'));
    const bytes = readFileSync(fixture('tfjs/chain.group1-shard1of1.bin'));
    const half = toFloat16(new Float32Array(new Uint8Array(bytes).buffer));
    writeFileSync(path.join(folder, 'chain.group1-shard1of1.bin'), new Uint8Array(half.buffer));
    for (const weight of json.weightsManifest[0].weights) weight.quantization = { dtype: 'float16' };
    writeFileSync(path.join(folder, 'half.json'), JSON.stringify(json));
    const graph = await readModel(path.join(folder, 'half.json'));
    near(await run(graph, floats(expected.input)), floats(expected.chain.output), 5e-3);
  });

  test('a counter of whole numbers among the weights, as Normalization has', async () => {
    const layer = (class_name: string, config: object) => ({ class_name, config: { name: class_name, ...config } });
    const layers = [
      layer('InputLayer', { batch_input_shape: [null, 2, 2, 3] }),
      layer('Normalization', { axis: [-1], mean: null, variance: null }),
    ];
    const weights = ['mean', 'variance', 'count'].map((name, i) => {
      return { name: `Normalization/${name}`, shape: i < 2 ? [3] : [], dtype: i < 2 ? 'float32' : 'int32' };
    });
    const [mean, variance] = [Float32Array.of(1, 2, 3), Float32Array.of(4, 9, 16)];
    const bytes = [mean, variance, Int32Array.of(7)].map((one) => Buffer.from(one.buffer));
    writeFileSync(path.join(folder, 'normal.bin'), Buffer.concat(bytes));
    const modelTopology = { class_name: 'Sequential', config: { name: 's', layers } };
    const file = path.join(folder, 'normal.json');
    writeFileSync(file, JSON.stringify({ modelTopology, weightsManifest: [{ paths: ['normal.bin'], weights }] }));
    const pixels = Float32Array.from({ length: 24 }, (_, i) => i * i);
    const expected = pixels.map((value, i) => (value - (mean[i % 3] ?? 0)) / Math.sqrt(variance[i % 3] ?? 1));
    near(await run(await readModel(file), pixels), expected, 1e-6);
  });

  test('a tap, a spec: as any other model file', async () => {
    const { spec } = await openBase({ base: fixture('tfjs/tiny.json'), layer: 'maps', preprocess: 'tf' });
    assert.deepEqual(spec.input, { height: 16, width: 14, channels: 3 });
    assert.equal(spec.features, 8);
  });
});

describe('a manifest of weights for a named base', needsShared, () => {
  const options = { base: 'mobilenet', alpha: 0.25 } as const;
  const manifest = shared('real/mobilenet/tfjs/model.json');

  test('MobileNet from its TensorFlow.js weights has the fingerprint of its .h5', async () => {
    const h5 = await openBase({ ...options, weights: shared('real/mobilenet/mobilenet_2_5_224_tf_no_top.h5') });
    const tfjs = await openBase({ ...options, weights: manifest });
    assert.deepEqual(tfjs.spec, h5.spec);
  });

  test('of another alpha, of another architecture, given as a base: each says what is the matter', async () => {
    await assert.rejects(openBase({ ...options, alpha: 0.5, weights: manifest }), (error: Error) => {
      return error instanceof WeightsError && /weights of mobilenet --alpha 0\.25 with its top/.test(error.message);
    });
    await assert.rejects(
      openBase({ base: 'xception', weights: manifest }),
      /55 layers.*look like the weights of mobilenet --alpha 0\.25/,
    );
    await assert.rejects(openBase({ base: manifest, preprocess: 'tf' }), /give them as --weights with a named base/);
  });
});

describe('model.json that is not what it should be', () => {
  // biome-ignore lint/suspicious/noExplicitAny: a test changes whatever it likes
  type Json = any;
  type Change = (json: Json) => unknown;
  const weightsOf = (json: Json): Json => json.weightsManifest[0].weights;
  const cases: [string, Change, RegExp][] = [
    [
      'traversal',
      (json) => (json.weightsManifest[0].paths = ['../chain.group1-shard1of1.bin']),
      /outside the folder of the model/,
    ],
    [
      'an absolute path',
      (json) => (json.weightsManifest[0].paths = ['/etc/hostname']),
      /outside the folder of the model/,
    ],
    ['an address', (json) => (json.weightsManifest[0].paths = ['https://example.com/w.bin']), /outside the folder/],
    ['a link out of the folder', (json) => (json.weightsManifest[0].paths = ['link.bin']), /outside the folder/],
    [
      'a shard that is not there',
      (json) => (json.weightsManifest[0].paths = ['none.bin']),
      /none\.bin, does not exist/,
    ],
    ['a folder for a shard', (json) => (json.weightsManifest[0].paths = ['sub']), /sub is a folder/],
    [
      'bytes too few',
      (json) => (json.weightsManifest[0].paths = ['short.bin']),
      /should hold 788 bytes and holds 700: a file is cut off/,
    ],
    [
      'bytes too many',
      (json) => json.weightsManifest[0].paths.push('short.bin'),
      /should hold 788 bytes and hold 1488/,
    ],
    ['no paths', (json) => (json.weightsManifest[0].paths = null), /without paths/],
    ['no manifest', (json) => delete json.weightsManifest, /has no weightsManifest/],
    ['an absurd shape', (json) => (weightsOf(json)[0].shape = [1e9, 1e9]), /takes more than/],
    ['a negative size', (json) => (weightsOf(json)[0].shape = [-1]), /whole numbers/],
    ['many axes', (json) => (weightsOf(json)[0].shape = new Array(1e5).fill(1)), /whole numbers/],
    ['another type', (json) => (weightsOf(json)[0].dtype = 'string'), /stored as "string", expected float32/],
    [
      'an unknown quantization',
      (json) => (weightsOf(json)[0].quantization = { dtype: 'int4' }),
      /its quantization must be/,
    ],
    ['a name twice', (json) => (weightsOf(json)[0].name = weightsOf(json)[1].name), /two weights are called/],
    ['a name that is no text', (json) => (weightsOf(json)[0].name = 7), /has no name/],
    [
      'a weight missing',
      (json) => (weightsOf(json)[0].name = 'other/kernel'),
      /weight kernel of layer first is missing/,
    ],
    [
      'another shape',
      (json) => (weightsOf(json)[0].shape = [3, 3, 4, 3]),
      /first\/kernel has shape \(3, 3, 4, 3\), expected/,
    ],
    [
      'values that are not finite',
      (json) => (json.weightsManifest[0].paths = ['nan.bin']),
      /first: kernel is not finite/,
    ],
    ['a graph model', (json) => (json.format = 'graph-model'), /graph model of TensorFlow\.js.*tfjs_layers_model/],
    ['a graph model without format', (json) => (json.modelTopology = { node: [] }), /graph model of TensorFlow\.js/],
    ['a topology of text', (json) => (json.modelTopology = 'x'), /modelTopology is not a JSON object/],
    ['no class', (json) => (json.modelTopology.model_config = {}), /names no model class/],
  ];
  mkdirSync(path.join(folder, 'bad/sub'), { recursive: true });
  const bytes = readFileSync(fixture('tfjs/chain.group1-shard1of1.bin'));
  cpSync(fixture('tfjs/chain.group1-shard1of1.bin'), path.join(folder, 'bad/chain.group1-shard1of1.bin'));
  writeFileSync(path.join(folder, 'bad/short.bin'), bytes.subarray(0, 700));
  writeFileSync(path.join(folder, 'bad/nan.bin'), Buffer.from(bytes).fill(0xff, 0, 4));
  symlinkSync(fixture('tfjs/chain.group1-shard1of1.bin'), path.join(folder, 'bad/link.bin'));
  for (const [name, change, message] of cases) {
    test(name, async () => {
      const json = JSON.parse(readFileSync(fixture('tfjs/chain.json'), 'utf8'));
      change(json);
      const file = path.join(folder, 'bad/model.json');
      writeFileSync(file, JSON.stringify(json));
      await assert.rejects(readModel(file), (error: Error) => {
        assert.ok(error instanceof ModelError, error.stack);
        assertRefusal(error);
        assert.match(error.message, message);
        return true;
      });
    });
  }

  test('not JSON to its end', async () => {
    const file = path.join(folder, 'bad/cut.json');
    writeFileSync(file, readFileSync(fixture('tfjs/chain.json')).subarray(0, 300));
    await assert.rejects(readModel(file), /its config is not JSON/);
  });
});
