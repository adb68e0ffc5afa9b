import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { onnxEngine } from '../src/engine/onnx/engine.js';
import type { Tensor } from '../src/graph/graph.js';
import { inferShapes, inputShapes, weightSpecs } from '../src/graph/infer.js';
import { graphFromConfig } from '../src/keras/index.js';
import { fixture } from './helpers/fixtures.js';

interface Packed {
  shape: number[];
  data: string;
}

interface Case {
  name: string;
  config: unknown;
  weights: Packed[];
  output: Packed;
}

const floats = (packed: string): Float32Array => {
  const bytes = Buffer.from(packed, 'base64');
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};

const { input, cases } = JSON.parse(readFileSync(fixture('ops.json'), 'utf8')) as { input: string; cases: Case[] };

/** Every layer and option against what Keras computed: test/fixtures/make_op_fixtures.py. */
describe('each layer gives what Keras gives', () => {
  for (const { name, config, weights, output } of cases) {
    test(name, async () => {
      const graph = graphFromConfig(config, name);
      const tensors = weights.map(({ shape, data }): Tensor => ({ shape, data: floats(data) }));
      const shapes = inferShapes(graph);
      const ofLayer = new Map<string, Tensor[]>();
      const nodes = graph.nodes.map((node) => {
        const layer = node.name.replace(/:\d+$/, ''); // a layer's second call is NAME:1, with the same weights
        const count = weightSpecs(node.op, inputShapes(node, shapes)).length;
        const weights = ofLayer.get(layer) ?? tensors.splice(0, count);
        ofLayer.set(layer, weights);
        return { ...node, weights };
      });
      assert.equal(tensors.length, 0, 'all weights are used');
      assert.deepEqual(shapes.get(graph.output), output.shape.slice(1));
      const runner = await onnxEngine.load({ ...graph, nodes });
      const [got] = await runner.run(floats(input), 2);
      await runner.release();
      const expected = floats(output.data);
      assert.equal(got?.length, expected.length);
      const scale = Math.max(...expected.map(Math.abs));
      const worst = Math.max(...expected.map((value, i) => Math.abs(value - (got?.[i] ?? Number.NaN))));
      assert.ok(scale > 0 && worst <= 1e-5 * Math.max(scale, 1), `differs by ${worst}, values up to ${scale}`);
    });
  }
});
