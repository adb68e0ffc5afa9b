import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { Engine } from '../../src/engine/engine.js';
import { openEngine } from '../../src/engine/index.js';
import type { Graph, Tensor } from '../../src/graph/graph.js';
import { inferShapes, inputShapes, weightSpecs } from '../../src/graph/infer.js';
import { graphFromConfig } from '../../src/keras/index.js';
import { fixture } from './fixtures.js';

/** What every engine must compute: one graph, images, and what Keras made of them. */
export interface ConformanceCase {
  readonly name: string;
  /** Built when the case is run, with its weights. */
  readonly graph: () => Graph;
  readonly images: Float32Array;
  readonly n: number;
  readonly expected: Float32Array;
  /** Of the result, without the batch. */
  readonly shape: readonly number[];
  /** Largest difference over the largest expected value, or over 1 where that is smaller. */
  readonly tolerance: number;
}

interface Packed {
  shape: number[];
  data: string;
}

interface OpCase {
  name: string;
  config: unknown;
  weights: Packed[];
  output: Packed;
}

const floats = (packed: string): Float32Array => {
  const bytes = Buffer.from(packed, 'base64');
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};

function withWeights(graph: Graph, weights: readonly Packed[]): Graph {
  const tensors = weights.map(({ shape, data }): Tensor => ({ shape, data: floats(data) }));
  const shapes = inferShapes(graph);
  const ofLayer = new Map<string, Tensor[]>();
  const nodes = graph.nodes.map((node) => {
    const layer = node.name.replace(/:\d+$/, ''); // a layer's second call is NAME:1, with the same weights
    const count = weightSpecs(node.op, inputShapes(node, shapes)).length;
    const own = ofLayer.get(layer) ?? tensors.splice(0, count);
    ofLayer.set(layer, own);
    return { ...node, weights: own };
  });
  assert.equal(tensors.length, 0, 'all weights are used');
  return { ...graph, nodes };
}

/** Every layer and option: test/fixtures/make_op_fixtures.py. */
export function opCases(): ConformanceCase[] {
  const { input, cases } = JSON.parse(readFileSync(fixture('ops.json'), 'utf8')) as { input: string; cases: OpCase[] };
  return cases.map(({ name, config, weights, output }) => ({
    name,
    graph: () => withWeights(graphFromConfig(config, name), weights),
    images: floats(input),
    n: 2,
    expected: floats(output.data),
    shape: output.shape.slice(1),
    tolerance: 1e-5,
  }));
}

/** The engines that the table is run on: TensorFlow itself where it is installed, else what stands in for it. */
export const engines = async (): Promise<readonly Engine[]> => [
  await openEngine({ engine: 'onnx' }),
  await openEngine({ engine: 'tensorflow' }),
];

/** Fails where an engine gives other values than the case holds. */
export async function conforms(engine: Engine, { graph, images, n, expected, shape, tolerance }: ConformanceCase) {
  const built = graph();
  assert.deepEqual(inferShapes(built).get(built.output), shape);
  const runner = await engine.load(built);
  try {
    const [got] = await runner.run(images, n);
    assert.equal(got?.length, expected.length);
    let scale = 0;
    let worst = 0;
    for (let i = 0; i < expected.length; i++) {
      const difference = Math.abs((expected[i] ?? 0) - (got?.[i] ?? Number.NaN));
      if (!(difference <= worst)) worst = difference;
      scale = Math.max(scale, Math.abs(expected[i] ?? 0));
    }
    assert.ok(scale > 0 && worst <= tolerance * Math.max(scale, 1), `differs by ${worst}, values up to ${scale}`);
  } finally {
    await runner.release();
  }
}
