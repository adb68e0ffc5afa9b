import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
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
import { drawPicture } from '../../src/sample/picture.js';
import { assertBeside } from '../helpers/beside.js';
import { permafrost } from '../helpers/cli.js';
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

/** 201 MB of weights: one matrix, 24 times under other names. */
function many(): Fields {
  const [width, count] = [1448, 24];
  const random = new Random('many');
  const scale = Math.sqrt(12 / width);
  const values = Float32Array.from({ length: width * width }, () => (random.uniform() - 0.5) * scale);
  const products = Array.from({ length: count }, (_, i) => node('MatMul', [`v${i}`, `m${i}`], `v${i + 1}`));
  return {
    side: 8,
    nodes: [
      node('GlobalAveragePool', ['x'], 'p'),
      node('Flatten', ['p'], 'f'),
      node('MatMul', ['f', 'first'], 'v0'),
      ...products,
      node('Relu', [`v${count}`], 'y'),
    ],
    initializers: [
      floats('first', [3, width], values.subarray(0, 3 * width)),
      ...products.map((_, i) => floats(`m${i}`, [width, width], values)),
    ],
  };
}

test('features holds the weights of an ONNX model once, from opening its file to the last vector, inside it or beside it', async (t) => {
  const dir = await folder(t);
  const { nodes, initializers, side } = many();
  const weights = initializers.reduce((sum, { raw }) => sum + raw.length, 0);
  const inputs = [{ name: 'x', type: 'float' as const, dims: ['n', 3, side, side] }];
  const graph = { name: 'g', nodes, inputs, outputs: [{ name: 'y', dims: [] }] };
  const inside = writeModel({ ...graph, initializers });
  let offset = 0;
  const external = initializers.map((tensor) => {
    const place = { file: 'beside.data', offset, length: tensor.raw.length };
    offset += tensor.raw.length;
    return { ...tensor, raw: new Uint8Array(), external: place };
  });
  writeFileSync(path.join(dir, 'inside.onnx'), inside);
  mkdirSync(path.join(dir, 'apart'));
  writeFileSync(path.join(dir, 'apart/beside.onnx'), writeModel({ ...graph, initializers: external }));
  writeFileSync(path.join(dir, 'apart/beside.data'), Buffer.concat(initializers.map(({ raw }) => raw)));
  mkdirSync(path.join(dir, 'images'));
  writeFileSync(path.join(dir, 'images/one.png'), drawPicture(1, 'ok', 1));

  const peak = async (base: string): Promise<number> => {
    const rss = path.join(dir, 'rss');
    const told = `import { writeFileSync } from 'node:fs'; process.on('exit', () => writeFileSync(${JSON.stringify(rss)}, String(process.resourceUsage().maxRSS * 1024)));`;
    const env = { NODE_OPTIONS: `--import=data:text/javascript;base64,${Buffer.from(told).toString('base64')}` };
    const flags = ['--base', base, '--preprocess', 'none', '--data', 'images', '--cache', `${base}.cache`];
    const { code, stderr } = await permafrost(['features', ...flags, '--quiet'], dir, env);
    assert.equal(code, 0, stderr);
    return Number(readFileSync(rss, 'utf8'));
  };
  for (const base of ['./inside.onnx', './apart/beside.onnx']) {
    const beyond = (await peak(base)) - weights;
    t.diagnostic(`${base}: ${Math.round(beyond / 1e6)} MB beyond ${Math.round(weights / 1e6)} of weights`);
    assert.ok(beyond < 1.5 * weights, `${base} takes ${beyond} bytes beyond its weights, ${weights}`);
  }
});

test('a model that changes while its weights are still to be read is refused, never read in parts of two files', async (t) => {
  const file = path.join(await folder(t), 'heavy.onnx');
  const base = await open(file, heavy());
  assert.equal(base.model.kind, 'onnx');
  const tensors = base.model.kind === 'onnx' ? base.model.onnx.graph.initializers : [];
  const large = tensors.find(({ name }) => name === 'b');
  assert.equal(large?.raw.length, 4 * 4100 * 4100);
  const bytes = readFileSync(file);
  utimesSync(file, new Date(0), new Date(0));
  assert.throws(() => large?.raw, /heavy\.onnx was changed while it was used: run the same command again/);
  writeFileSync(file, bytes.subarray(0, 1000));
  assert.throws(() => large?.raw, /heavy\.onnx was changed while it was used/);
  rmSync(file);
  assert.throws(() => large?.raw, /heavy\.onnx does not exist any more: run the same command again/);
});
