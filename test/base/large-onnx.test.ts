import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  type Base,
  DEFAULT_BATCH_SIZE,
  fittingBatch,
  keptDir,
  loadBase,
  moveToCache,
  openBase,
} from '../../src/base/index.js';
import { onnxEngine } from '../../src/engine/onnx/engine.js';
import {
  floats,
  int64s,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
  writeModel,
} from '../../src/formats/onnx/write.js';
import { Random } from '../../src/random.js';
import { assertBeside } from '../helpers/beside.js';
import { folder } from '../helpers/store.js';

type Fields = Pick<OnnxGraph, 'nodes' | 'initializers'> & { readonly side: number };

async function open(file: string, { nodes, initializers, side }: Fields): Promise<Base> {
  const inputs = [{ name: 'x', type: 'float' as const, dims: ['n', 3, side, side] }];
  writeFileSync(file, writeModel({ name: 'g', nodes, initializers, inputs, outputs: [{ name: 'y', dims: [] }] }));
  return openBase({ base: file, preprocess: 'tf' });
}

const node = (op: string, inputs: string[], output: string, attributes: OnnxNode['attributes'] = {}): OnnxNode => ({
  op,
  inputs,
  outputs: [output],
  attributes,
});

test('the batch of an ONNX model shrinks where its values are large, inferred or measured', async (t) => {
  const file = path.join(await folder(t), 'model.onnx');
  const pool = node('GlobalAveragePool', ['r'], 'y');
  const plain = { nodes: [node('Relu', ['x'], 'r'), pool], initializers: [] };
  assert.equal(await fittingBatch(await open(file, { ...plain, side: 224 })), DEFAULT_BATCH_SIZE);
  const some = await fittingBatch(await open(file, { ...plain, side: 1536 }));
  assert.ok(some > 1 && some < DEFAULT_BATCH_SIZE, `${some}`);
  assert.equal(await fittingBatch(await open(file, { ...plain, side: 4096 })), 1);

  // Four times the image, by a size that only its values tell.
  const upwards = [
    node('ReduceMax', ['x'], 'most', { keepdims: { i: 0 } }),
    node('Mul', ['most', 'zero'], 'none'),
    node('Cast', ['none'], 'nothing', { to: { i: 7 } }),
    node('Add', ['nothing', 'four'], 'shape'),
    node('Expand', ['x', 'shape'], 'r'),
  ];
  const initializers = [floats('zero', [], [0]), int64s('four', [1, 1, 1, 1])];
  const told = { nodes: [...upwards, pool], initializers };
  assert.equal(await fittingBatch(await open(file, { ...told, side: 224 })), DEFAULT_BATCH_SIZE);
  assert.equal(await fittingBatch(await open(file, { ...told, side: 1536 })), some);
});

/** 67 MB of float weights behind 69,700 bytes of 8-bit ones. */
function heavy(): Fields {
  const width = 4100;
  const random = new Random('heavy');
  const matrix = (name: string, rows: number, columns: number): OnnxTensor =>
    floats(
      name,
      [rows, columns],
      Float32Array.from({ length: rows * columns }, () => (random.uniform() - 0.5) / Math.sqrt(rows)),
    );
  const raw = Uint8Array.from({ length: width * 17 }, () => random.below(256));
  return {
    side: 8,
    nodes: [
      node('GlobalAveragePool', ['x'], 'p'),
      node('Flatten', ['p'], 'f'),
      node('MatMul', ['f', 'a'], 'fa'),
      node('MatMul', ['fa', 'b'], 'fb'),
      node('DequantizeLinear', ['q', 'scale'], 'c'),
      node('MatMul', ['fb', 'c'], 'fc'),
      node('Relu', ['fc'], 'r'),
      node('MatMul', ['r', 'd'], 'y'),
    ],
    initializers: [
      { name: 'q', type: 'int8', dims: [width, 17], raw },
      matrix('a', 3, width),
      matrix('b', width, width),
      floats('scale', [], [0.01]),
      matrix('d', 17, 2),
    ],
  };
}

test('an ONNX model whose weights go to the engine through a file gives the same bits, and is not held in memory when it is kept', async (t) => {
  const cache = await folder(t);
  const base = await open(path.join(cache, 'heavy.onnx'), heavy());
  assert.equal(base.spec.features, 17);
  const pixels = Uint8Array.from({ length: 2 * 8 * 8 * 3 }, (_, i) => (i * 37) % 251);
  const plain = await loadBase(base, onnxEngine, { input: 'uint8' });
  const [expected = new Float32Array()] = await plain.run(pixels, 2);
  await plain.release();
  assert.ok(Math.max(...expected) > 0.001, `${expected}`);
  const kept = await moveToCache(cache, base);
  const dir = keptDir(cache, base.spec);
  await assertBeside([base, kept], dir, pixels, expected);
  assert.deepEqual(readdirSync(dir).sort(), ['base.json', 'model.onnx']);
  assert.equal(kept.model.kind, 'onnx');
  const held = kept.model.kind === 'onnx' ? kept.model.onnx.graph.initializers : [];
  const sizes = held.map((tensor) => {
    const value = Object.getOwnPropertyDescriptor(tensor, 'raw')?.value as Uint8Array | undefined;
    return value?.buffer.byteLength ?? 0;
  });
  assert.equal(sizes.length, 4);
  assert.ok(Math.max(...sizes) < 2 ** 16, `${sizes}`);

  const full = () => ({
    path: '/nowhere/file',
    add: (): number => {
      throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    },
    remove: async () => {},
  });
  const runner = await loadBase(kept, onnxEngine, { input: 'uint8', scratch: full });
  assert.deepEqual((await runner.run(pixels, 2))[0], expected);
  await runner.release();
});
