import assert from 'node:assert/strict';
import { test } from 'node:test';
import ort from 'onnxruntime-node';
import { floats, int64s, writeModel } from '../../src/formats/onnx/write.js';

test('a written model loads and computes', async () => {
  const bytes = writeModel({
    name: 'g',
    nodes: [
      { op: 'Gemm', inputs: ['x', 'w', 'b'], outputs: ['y'], attributes: { alpha: { f: 2 }, transB: { i: 1 } } },
      { op: 'Reshape', inputs: ['y', 'shape'], outputs: ['z'] },
    ],
    initializers: [floats('w', [1, 2], [3, 4]), floats('b', [1], [0.5]), int64s('shape', [-1])],
    inputs: [{ name: 'x', type: 'float', dims: ['n', 2] }],
    outputs: [{ name: 'z', type: 'float', dims: ['n'] }],
  });
  const session = await ort.InferenceSession.create(bytes);
  const { z } = await session.run({ x: new ort.Tensor('float32', [1, 2, -1, 0], [2, 2]) });
  assert.deepEqual(Array.from((z?.data ?? []) as Float32Array), [22.5, -5.5]);
});
