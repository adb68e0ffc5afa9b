import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import * as h5wasm from 'h5wasm/node';
import { type BaseOptions, listBases, openBase } from '../../src/base/index.js';
import { UsageError, WeightsError } from '../../src/errors.js';
import type { Graph, Tensor } from '../../src/graph/graph.js';
import { inferShapes, inputShapes, weightSpecs } from '../../src/graph/infer.js';
import { applications, randomWeights } from '../../src/keras/index.js';
import { assertRefusal } from '../helpers/refusals.js';

const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-weights-'));
after(() => rmSync(folder, { recursive: true, force: true }));
before(async () => void (await h5wasm.ready));

interface Variant {
  name: string;
  alpha?: number;
  includeTop?: boolean;
}

function made({ name, alpha, includeTop = false }: Variant): Graph {
  const application = applications.get(name);
  assert.ok(application);
  const size = application.defaultSize;
  const options = { height: size, width: size, channels: 3, includeTop, ...(alpha === undefined ? {} : { alpha }) };
  return randomWeights(application.build(options), 5, application.preprocess);
}

/** Weights as Keras publishes them: a group a layer, those of a Sequential in its group, names numbered in some other order. */
function writeH5(graph: Graph, file: string): string {
  const shapes = inferShapes(graph);
  const layers = new Map<string, { name: string; tensor: Tensor }[]>();
  for (const node of graph.nodes) {
    const [outer = ''] = node.name.split('/');
    const layer = outer.replace(/^((?:batch|layer)_normalization|conv2d)(_\d+)?$/, '$1$2_9');
    const weights = layers.get(layer) ?? [];
    layers.set(layer, weights);
    for (const [i, { name }] of weightSpecs(node.op, inputShapes(node, shapes)).entries()) {
      weights.push({ name: `${node.name}/${name}:0`, tensor: node.weights[i] as Tensor });
    }
  }
  const target = path.join(folder, file);
  const h5 = new h5wasm.File(target, 'w');
  h5.create_attribute('layer_names', [...layers.keys()]);
  for (const [layer, weights] of layers) {
    const group = h5.create_group(layer);
    if (weights.length === 0) continue;
    group.create_attribute(
      'weight_names',
      weights.map(({ name }) => name),
    );
    for (const { name, tensor } of weights) {
      const at = name.split('/');
      const leaf = at.pop() ?? '';
      const inner = at.reduce((parent, part) => (parent.get(part) as h5wasm.Group) ?? parent.create_group(part), group);
      inner.create_dataset({ name: leaf, data: tensor.data, shape: [...tensor.shape] });
    }
  }
  h5.close();
  return target;
}

const open = (options: BaseOptions) => openBase({ inputSize: [96, 96], ...options });

describe('files of weights', () => {
  for (const variant of [
    { name: 'mobilenet-v3-small', alpha: 0.75 },
    { name: 'efficientnet-b0' }, // its Normalization counts in a scalar
    { name: 'convnext-tiny' }, // layers within layers
  ]) {
    test(`${variant.name}: what is written is read`, async () => {
      const alpha = variant.alpha === undefined ? {} : { alpha: variant.alpha };
      const file = writeH5(made(variant), `${variant.name}.h5`);
      const fromFile = await open({ base: variant.name, ...alpha, weights: file });
      const direct = await open({ base: variant.name, ...alpha, weights: 'random:5' });
      assert.deepEqual(fromFile.spec, direct.spec);
      rmSync(file);
    });
  }

  test('a file with top gives the base without it', async () => {
    const weights = writeH5(made({ name: 'mobilenet-v2', alpha: 0.35, includeTop: true }), 'with-top.h5');
    const base = { base: 'mobilenet-v2', alpha: 0.35 };
    assert.deepEqual((await open({ ...base, weights })).spec, (await open({ ...base, weights: 'random:5' })).spec);
  });

  const misfits: [string, Variant, BaseOptions, RegExp][] = [
    [
      'another alpha',
      { name: 'mobilenet-v2', alpha: 0.35 },
      { base: 'mobilenet-v2', alpha: 0.5 },
      /look like the weights of mobilenet-v2 --alpha 0\.35 without its top: use --base mobilenet-v2 --alpha 0\.35/,
    ],
    [
      'another architecture',
      { name: 'mobilenet-v3-small' },
      { base: 'mobilenet' },
      /look like the weights of mobilenet-v3-small without its top: use --base mobilenet-v3-small/,
    ],
    [
      'another of the same family, with its top',
      { name: 'mobilenet-v3-small-minimalistic', includeTop: true },
      { base: 'mobilenet-v3-small' },
      /look like the weights of mobilenet-v3-small-minimalistic with its top: use --base mobilenet-v3-small-minimalistic/,
    ],
    [
      'no top where one is asked for',
      { name: 'mobilenet', alpha: 0.25 },
      { base: 'mobilenet', alpha: 0.25, includeTop: true, inputSize: [224, 224] },
      /are the weights of mobilenet --alpha 0\.25 without its top: leave out --include-top/,
    ],
  ];
  for (const [i, [title, variant, options, message]] of misfits.entries()) {
    test(`${title}: the error says which base they fit`, async () => {
      const weights = writeH5(made(variant), `misfit-${i}.h5`);
      await assert.rejects(open({ ...options, weights }), (error: Error) => {
        assert.ok(error instanceof WeightsError);
        assert.match(error.message, message);
        assert.ok(error.message.includes(weights));
        assertRefusal(error);
        return true;
      });
    });
  }

  test('weights of no known base: the error says so', async () => {
    const { nodes, ...graph } = made({ name: 'mobilenet', alpha: 0.25 });
    const weights = writeH5({ ...graph, nodes: nodes.slice(0, 20) }, 'cut.h5');
    await assert.rejects(open({ base: 'mobilenet', weights }), (error: Error) => {
      assertRefusal(error);
      return /fits no base at its default size: give a file of mobilenet/.test(error.message);
    });
  });

  test('weights that are not finite, a pointer of Git LFS, something else: each names the file and what to do', async () => {
    const mobilenet = made({ name: 'mobilenet', alpha: 0.25 });
    const spoilt = mobilenet.nodes.map((node) => ({
      ...node,
      weights: node.weights.map(({ shape, data }) => ({ shape, data: Float32Array.from(data).fill(Number.NaN, 0, 1) })),
    }));
    const pointer = path.join(folder, 'pointer.h5');
    writeFileSync(pointer, 'version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n');
    const text = path.join(folder, 'text.h5');
    writeFileSync(text, 'x'.repeat(100));
    for (const [weights, message] of [
      [writeH5({ ...mobilenet, nodes: spoilt }, 'nan.h5'), /nan\.h5: layer conv1: kernel is not finite: give/],
      [pointer, /pointer\.h5 is a pointer of Git LFS/],
      [text, /text\.h5 is not an HDF5 file: give/],
    ] as const) {
      await assert.rejects(open({ base: 'mobilenet', alpha: 0.25, weights }), (error: Error) => {
        assertRefusal(error);
        return message.test(error.message);
      });
    }
  });
});

test('a name that is misspelt is answered with the nearest', async () => {
  for (const [typed, meant] of [
    ['resnet-50', 'resnet50'],
    ['ResNet50V2', 'resnet50-v2'],
    ['EfficientNetB3', 'efficientnet-b3'],
    ['mobilenetv2', 'mobilenet-v2'],
    ['convnextiny', 'convnext-tiny'],
  ] as const) {
    await assert.rejects(openBase({ base: typed }), (error: Error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, new RegExp(`did you mean ${meant}( or|\\?)`));
      return true;
    });
  }
});

test('the list holds every base with what it gives', async () => {
  const bases = await listBases();
  assert.deepEqual(new Set(bases.map(({ name }) => name)), new Set(['xception-mini', ...applications.keys()]));
  const resnet = bases.find(({ name }) => name === 'resnet50');
  assert.deepEqual(resnet, {
    name: 'resnet50',
    inputSize: 224,
    minSize: 32,
    features: 2048,
    parameters: 23_587_712,
    megabytes: 94.350848,
    preprocess: 'caffe',
    alphas: [],
  });
});
