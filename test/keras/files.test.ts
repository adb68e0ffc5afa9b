import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import * as h5wasm from 'h5wasm/node';
import { layerGraph, openBase, vectorGraph } from '../../src/base/index.js';
import { agreement } from '../../src/engine/agreement.js';
import { onnxEngine } from '../../src/engine/onnx/engine.js';
import { ModelError, UsageError, WeightsError } from '../../src/errors.js';
import type { Graph } from '../../src/graph/graph.js';
import { cutAt } from '../../src/graph/passes.js';
import { decodeImage } from '../../src/images/index.js';
import { applications, graphFromConfig, loadWeights, randomWeights, readModel } from '../../src/keras/index.js';
import { assertRelativelyClose } from '../helpers/close.js';
import { fixture, needsShared, shared } from '../helpers/fixtures.js';
import { assertRefusal } from '../helpers/refusals.js';

const facts = JSON.parse(readFileSync(fixture('keras/facts.json'), 'utf8'));
const floats = (packed: string): Float32Array => {
  const bytes = Buffer.from(packed, 'base64');
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};
const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
after(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: string | Uint8Array): string => {
  const target = path.join(folder, name);
  writeFileSync(target, content);
  return target;
};

async function run(graph: Graph, input: Float32Array | Uint8Array, n: number): Promise<Float32Array> {
  const runner = await onnxEngine.load(graph, { input: input instanceof Uint8Array ? 'uint8' : 'float32' });
  const [result] = await runner.run(input, n);
  await runner.release();
  return result as Float32Array;
}

function near(got: Float32Array, expected: Float32Array, tolerance = 1e-4): void {
  assert.ok(Math.max(...expected.map(Math.abs)) > 0.1, 'values that tell something');
  assertRelativelyClose(got, expected, tolerance);
}

describe('whole models that Keras saved', () => {
  for (const name of ['tiny.keras', 'tiny.h5']) {
    test(`${name}: nested models, a layer called twice, frozen layers`, async () => {
      const options = { base: fixture(`keras/${name}`), layer: 'maps', preprocess: 'tf', image: 'keras' } as const;
      const base = await openBase(options);
      assert.ok(layerGraph(base).nodes.some((node) => node.name === 'inner/sep'));
      assert.ok(layerGraph(base).nodes.some((node) => node.name === 'twice:1'));
      const bytes = readFileSync(fixture('keras/picture.png'));
      const pixels = (await decodeImage(bytes, 'png', {
        mode: 'keras',
        height: 20,
        width: 18,
        channels: 3,
      })) as Uint8Array;
      near(await run(vectorGraph(base), pixels, 1), floats(facts.pooled));
      const input = Float32Array.from(pixels, (value) => value / 127.5 - 1);
      near(await run(layerGraph(base), input, 1), floats(facts.feature_maps.data));
      near(await run(await readModel(options.base), input, 1), floats(facts.classes), 1e-5);
    });
  }

  test('both formats of one model have one fingerprint; another tap has another', async () => {
    const open = (name: string, layer: string) =>
      openBase({ base: fixture(`keras/${name}`), layer, preprocess: 'tf' }).then(({ spec }) => spec);
    assert.deepEqual(await open('tiny.keras', 'maps'), await open('tiny.h5', 'maps'));
    assert.notEqual((await open('tiny.keras', 'maps')).graph, (await open('tiny.keras', 'shortcut')).graph);
  });

  test('grey input, three files of one model', async () => {
    const whole = await readModel(fixture('keras/flat.keras'));
    const graph = { ...whole, nodes: whole.nodes.map((node) => ({ ...node, weights: [] })) };
    for (const loaded of [
      whole,
      await readModel(fixture('keras/flat.h5')),
      await loadWeights(graph, fixture('keras/flat.weights.h5')),
      await loadWeights(graph, fixture('keras/flat.h5')),
    ]) {
      near(await run(loaded, floats(facts.flat.input), 2), floats(facts.flat.output));
    }
    const base = await openBase({ base: fixture('keras/flat.keras'), preprocess: 'tf' });
    assert.equal(base.spec.input.channels, 1);
    await assert.rejects(
      openBase({ base: fixture('keras/flat.keras'), preprocess: 'torch' }).then(vectorGraph),
      UsageError,
    );
  });

  test('a tap that gives probabilities, an unknown layer, no preprocessing: each says what to do', async () => {
    const base = fixture('keras/tiny.keras');
    await assert.rejects(openBase({ base, preprocess: 'tf' }), /classes gives probabilities .* --layer global_average/);
    await assert.rejects(openBase({ base, layer: 'map', preprocess: 'tf' }), /no layer "map": did you mean maps/);
    await assert.rejects(openBase({ base, layer: 'maps' }), (error: Error) => {
      return error instanceof UsageError && /--preprocess tf/.test(error.message);
    });
    await assert.rejects(openBase({ base, layer: 'maps', preprocess: 'tf', alpha: 0.5 }), UsageError);
    await assert.rejects(openBase({ base: 'exception' }), /there is no base "exception": did you mean xception or/);
    await assert.rejects(openBase({ base, layer: 'maps', preprocess: 'tf', inputSize: [5000, 5000] }), UsageError);
  });
});

describe('files that are not what they should be', () => {
  const whole = readFileSync(fixture('keras/tiny.h5'));
  const archive = readFileSync(fixture('keras/tiny.keras'));
  const cases: [string, () => string, RegExp][] = [
    ['no such file', () => path.join(folder, 'none.h5'), /none\.h5 does not exist/],
    ['text named .h5', () => file('text.h5', 'not a model'), /neither a \.keras archive nor an HDF5 file/],
    ['an empty file', () => file('empty.keras', ''), /is empty/],
    ['a folder', () => folder, /is a folder/],
    ['.h5 cut in the middle', () => file('cut.h5', whole.subarray(0, whole.length / 2)), /damaged or cut off/],
    ['.h5 cut near its end', () => file('end.h5', whole.subarray(0, whole.length - 100)), /damaged or cut off/],
    ['.keras cut off', () => file('cut.keras', archive.subarray(0, archive.length - 200)), /damaged or cut off/],
    ['a damaged .keras', () => file('bad.keras', damaged(archive)), /damaged|not JSON|HDF5/],
    [
      'weights that do not fit the config',
      () => file('other.h5', replaced(whole, '"filters": 8', '"filters": 9')),
      /shape|needs/,
    ],
    ['weights alone', () => fixture('keras/flat.weights.h5'), /holds weights without an architecture/],
  ];
  for (const [name, make, message] of cases) {
    test(name, async () => {
      await assert.rejects(readModel(make()), (error: Error) => {
        assert.ok(error instanceof ModelError, `${error.stack}`);
        assertRefusal(error);
        assert.match(error.message, message);
        return true;
      });
    });
  }
});

/** The bytes with every occurrence of a text replaced by another of the same length. */
function replaced(bytes: Buffer, from: string, to: string): Buffer {
  const text = bytes.toString('latin1');
  assert.ok(text.includes(from) && from.length === to.length);
  return Buffer.from(text.replaceAll(from, to), 'latin1');
}

function damaged(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.fill(0x55, Math.floor(copy.length / 3), Math.floor(copy.length / 2));
  return copy;
}

describe('configs', () => {
  const layer = (className: string, config: object, extra: object = {}) => ({
    class_name: className,
    config: { name: 'it', ...config },
    ...extra,
  });
  const sequential = (...layers: object[]) => ({
    class_name: 'Sequential',
    config: { name: 's', layers: [layer('InputLayer', { name: 'in', batch_shape: [null, 8, 8, 3] }), ...layers] },
  });
  const refused: [string, unknown, RegExp][] = [
    [
      'an unknown class',
      sequential(layer('Lambda', {})),
      /model\.h5: layer it \(Lambda\): the class Lambda is not supported/,
    ],
    [
      'a custom class under a known name',
      sequential(layer('Dense', { units: 2 }, { registered_name: 'my>Dense' })),
      /my>Dense/,
    ],
    ['an attribute that matters', sequential(layer('Flatten', { odd: 3 })), /layer it \(Flatten\): attribute odd = 3/],
    [
      'channels first',
      sequential(layer('MaxPooling2D', { data_format: 'channels_first' })),
      /data_format must be "channels_last"/,
    ],
    ['whole numbers', sequential(layer('ReLU', { dtype: 'int8' })), /dtype must be float32 or a policy of mixed/],
    ['an unknown activation', sequential(layer('Activation', { activation: 'glu' })), /activation must be a known/],
    [
      'a kernel that is absurd',
      sequential(layer('Conv2D', { filters: 2, kernel_size: [-1, 3] })),
      /kernel_size must be two/,
    ],
    ['a window larger than the image', sequential(layer('Conv2D', { filters: 2, kernel_size: [9, 9] })), /./],
    ['a subclassed model', { class_name: 'MyModel', config: {} }, /model class MyModel is not supported/],
    ['prototype tricks', sequential(layer('constructor', {})), /class constructor is not supported/],
    ['nothing', null, /names no model class/],
  ];
  for (const [name, config, message] of refused) {
    test(`${name} is refused, naming layer, class and file`, async () => {
      const open = async () => randomWeights(graphFromConfig(config, 'model.h5'), 1, 'tf');
      await assert.rejects(open, (error: Error) => {
        assertRefusal(error);
        return error instanceof ModelError && message.test(error.message);
      });
    });
  }
});

describe('weights files', needsShared, () => {
  const shape = { height: 224, width: 224, channels: 3 };
  const build = (alpha: number, includeTop: boolean) => {
    const mobilenet = applications.get('mobilenet');
    assert.ok(mobilenet);
    return mobilenet.build({ ...shape, alpha, includeTop });
  };
  const notop = shared('real/mobilenet/mobilenet_2_5_224_tf_no_top.h5');

  test('a copy renamed and numbered as the published files are gives the same weights', async () => {
    await h5wasm.ready;
    const source = new h5wasm.File(shared('golden/xception_synthetic_notop.h5'), 'r');
    const target = path.join(folder, 'weights_of_1998.h5');
    const copy = new h5wasm.File(target, 'w');
    const names = source.attrs.layer_names?.value as string[];
    const renamed = names.map((name) =>
      name.replace(/^(conv2d|batch_normalization)(_(\d+))?$/, (_, stem, __, n) => `${stem}_${Number(n ?? 0) + 7}`),
    );
    copy.create_attribute('layer_names', renamed);
    for (const [i, name] of names.entries()) {
      const group = source.get(name) as h5wasm.Group;
      const made = copy.create_group(renamed[i] ?? '');
      const weights = group.attrs.weight_names?.value;
      const list = Array.isArray(weights) ? (weights as string[]).filter((w) => typeof w === 'string') : [];
      const stored = list.map((weight) => `${renamed[i]}_${weight.split('/').at(-1)?.replace(/:0$/, '')}:0`);
      if (stored.length === 0) continue;
      made.create_attribute('weight_names', stored);
      for (const [j, weight] of list.entries()) {
        const data = group.get(weight) as h5wasm.Dataset;
        made.create_dataset({ name: stored[j] ?? '', data: data.value as Float32Array, shape: data.shape ?? [] });
      }
    }
    copy.close();
    source.close();
    const open = (weights: string) => openBase({ base: 'xception', weights, inputSize: [71, 71] });
    const [a, b] = [await open(shared('golden/xception_synthetic_notop.h5')), await open(target)];
    assert.equal(a.spec.weights, b.spec.weights);
    assert.notEqual(renamed.join(), names.join());
  });

  test('the four files of one MobileNet have one fingerprint', async () => {
    const layer = 'conv_pw_13_relu';
    const options = { inputSize: [224, 224] as const, preprocess: 'tf' as const, layer };
    const named = { base: 'mobilenet', alpha: 0.25, ...options };
    const specs = await Promise.all([
      openBase({ ...named, weights: notop }),
      openBase({ ...named, weights: shared('real/mobilenet/mobilenet_2_5_224_tf.h5') }),
      openBase({ base: shared('real/mobilenet/mobilenet_0.25_224.keras'), ...options }),
      openBase({ base: shared('real/mobilenet/mobilenet_0.25_224_full.h5'), ...options }),
    ]);
    for (const { spec } of specs) assert.deepEqual(spec, specs[0]?.spec);
  });

  const misfits: [string, () => Promise<Graph>, RegExp][] = [
    [
      'another alpha',
      () => loadWeights(build(0.5, false), notop),
      /kernel of layer conv1 has shape \(3, 3, 3, 8\), conv1 needs \(3, 3, 3, 16\)/,
    ],
    [
      'without top for one with',
      () => loadWeights(build(0.25, true), notop),
      /holds no classifier: it is one without top/,
    ],
    [
      'with top for one without, of another alpha',
      () => loadWeights(build(0.5, false), shared('real/mobilenet/mobilenet_2_5_224_tf.h5')),
      /holds a classifier too/,
    ],
    [
      'another architecture',
      () => loadWeights(build(0.25, false), shared('golden/xception_synthetic_notop.h5')),
      /layers/,
    ],
  ];
  for (const [name, load, message] of misfits) {
    test(`${name}: the error says so`, async () => {
      await assert.rejects(load, (error: Error) => error instanceof WeightsError && message.test(error.message));
    });
  }

  test('a cut weights file', async () => {
    const cut = path.join(folder, 'cut_weights.h5');
    copyFileSync(notop, cut);
    writeFileSync(cut, readFileSync(notop).subarray(0, 500_000));
    await assert.rejects(loadWeights(build(0.25, false), cut), ModelError);
  });
});

test('random weights repeat for a seed and keep values in bounds through Xception', async () => {
  const open = (weights: string) => openBase({ base: 'xception', weights, inputSize: [71, 71] });
  const [a, b, c] = [await open('random:3'), await open('random:3'), await open('random:4')];
  assert.equal(a.spec.weights, b.spec.weights);
  assert.notEqual(a.spec.weights, c.spec.weights);
  const image = Uint8Array.from({ length: 71 * 71 * 3 }, (_, i) => (i * 37) % 256);
  const vector = await run(vectorGraph(a), image, 1);
  const largest = Math.max(...vector);
  assert.ok(largest >= 0.1 && largest <= 100, `${largest}`);
  assert.ok(cutAt(layerGraph(a), 'block1_conv1').nodes.length === 2);
});

test('random weights of networks of gates let a picture that changes a little change a little of what they give', async () => {
  const side = 96;
  const picture = (lighter: number): Float32Array =>
    Float32Array.from({ length: side * side * 3 }, (_, i) => {
      const [row, column] = [Math.floor(i / 3 / side), Math.floor(i / 3) % side];
      return Math.round(127 + 120 * Math.sin((row * ((i % 3) + 1) + 2 * column) / 19)) + (i % 7 === 0 ? lighter : 0);
    });
  for (const base of ['efficientnet-b0', 'efficientnet-b1', 'efficientnet-v2-b1', 'efficientnet-v2-s']) {
    const graph = vectorGraph(await openBase({ base, weights: 'random:1', inputSize: [side, side] }));
    const before = await run(graph, picture(0), 1);
    const { difference } = agreement(before, await run(graph, picture(1), 1), before.length);
    assert.ok(difference > 5e-4 && difference < 1e-2, `${base}: ${difference}`);
  }
});
