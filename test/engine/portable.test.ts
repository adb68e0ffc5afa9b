import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compile } from '../../src/engine/onnx/compile.js';
import { portable } from '../../src/engine/onnx/portable.js';
import ort from '../../src/engine/onnx/runtime.js';
import { floats, int64s, type OnnxGraph, OWN_IMPORTS, writeModel } from '../../src/formats/onnx/write.js';
import { type ConformanceCase, opCases } from '../helpers/conformance.js';

const OPSET = OWN_IMPORTS.opsets[''] ?? 0;

/** What a user's onnxruntime makes of a model: a session with nothing set. Null where it refuses the model. */
async function asUsersRun(
  graph: OnnxGraph,
  images: Float32Array,
  dims: readonly number[],
): Promise<Float32Array | null> {
  const session = await ort.InferenceSession.create(writeModel(graph, {}), { logSeverityLevel: 4 }).catch(() => null);
  if (session === null) return null;
  try {
    const feeds = { [session.inputNames[0] ?? '']: new ort.Tensor('float32', images, [...dims]) };
    return (await session.run(feeds))[session.outputNames[0] ?? '']?.data as Float32Array;
  } finally {
    await session.release();
  }
}

function isRight({ expected, limit }: ConformanceCase, got: Float32Array | null): boolean {
  return got?.length === expected.length && got.every((value, i) => Math.abs(value - (expected[i] ?? 0)) <= limit);
}

test('what is exported of each layer gives what Keras gives on a session with nothing set; as it was compiled some do not', async () => {
  const wrong = { compiled: [] as string[], portable: [] as string[] };
  for (const each of opCases()) {
    const { graph } = compile(each.graph());
    const images = each.images();
    const sizes = graph.inputs[0]?.dims.slice(1).map(Number) ?? [];
    const dims = [each.n, ...sizes];
    if (!isRight(each, await asUsersRun(portable(graph, OPSET), images, dims))) wrong.portable.push(each.name);
    if (/padding.*pooling/.test(each.name) && !isRight(each, await asUsersRun(graph, images, dims))) {
      wrong.compiled.push(each.name);
    }
  }
  assert.deepEqual(wrong.portable, []);
  assert.ok(wrong.compiled.includes('conv, zero padding, max pooling'), `${wrong.compiled}`);
  assert.ok(wrong.compiled.includes('zero padding, average pooling same'), `${wrong.compiled}`);
});

test('a padding of an ONNX model before a pool is kept from the optimizer, whatever its value is given as', async () => {
  const x = Float32Array.of(-1, -2, -3, -4);
  for (const value of [undefined, floats('value', [], [0]), floats('value', [], [7])]) {
    for (const pads of [[0, 0, 0, 0], [1, 1, 1, 1], undefined]) {
      const graph: OnnxGraph = {
        name: 'pads',
        nodes: [
          { op: 'Pad', inputs: ['x', 'margins', ...(value ? ['value'] : [])], outputs: ['padded'] },
          {
            op: 'MaxPool',
            inputs: ['padded'],
            outputs: ['y'],
            attributes: { kernel_shape: [2, 2], strides: [2, 2], ...(pads ? { pads } : {}) },
          },
        ],
        initializers: [int64s('margins', [0, 0, 1, 1, 0, 0, 1, 1]), ...(value ? [value] : [])],
        inputs: [{ name: 'x', type: 'float', dims: [1, 1, 2, 2] }],
        outputs: [{ name: 'y', dims: [] }],
      };
      const got = await asUsersRun(portable(graph, OPSET), x, [1, 1, 2, 2]);
      const edge = value?.raw.some((byte) => byte !== 0) ? 7 : 0;
      const expected =
        pads?.[0] === 1 ? [edge, edge, edge, edge, -1, edge, edge, edge, edge] : [edge, edge, edge, edge];
      assert.deepEqual(
        Array.from(got ?? [], (one) => one + 0),
        expected,
        `${edge} ${pads}`,
      );
    }
  }
});
