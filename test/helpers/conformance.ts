import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { preprocessingOps } from '../../src/base/index.js';
import type { Engine } from '../../src/engine/engine.js';
import { openEngine } from '../../src/engine/index.js';
import type { Graph, Tensor } from '../../src/graph/graph.js';
import { inferShapes, inputShapes, weightSpecs } from '../../src/graph/infer.js';
import { cutAt, prepend } from '../../src/graph/passes.js';
import { applications, counterUniform, graphFromConfig, randomWeights } from '../../src/keras/index.js';
import { fixture } from './fixtures.js';

/** What every engine must compute: one graph, images, and what Keras made of them. */
export interface ConformanceCase {
  readonly name: string;
  /** Built when the case is run, with its weights. */
  readonly graph: () => Graph;
  /** `[n, height, width, channels]` */
  readonly images: () => Float32Array;
  readonly n: number;
  /** Values of the result: all, or some at even steps through it, the first and the last among them. */
  readonly expected: Float32Array;
  /** Largest magnitude of the whole result, and its mean. */
  readonly max: number;
  readonly mean: number;
  /** Of the result, without the batch. */
  readonly shape: readonly number[];
  /** Largest difference that is allowed. */
  readonly limit: number;
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
  return cases.map(({ name, config, weights, output }) => {
    const expected = floats(output.data);
    const { max, mean } = summary(expected);
    return {
      name,
      graph: () => withWeights(graphFromConfig(config, name), weights),
      images: () => floats(input),
      n: 2,
      expected,
      max,
      mean,
      shape: output.shape.slice(1),
      limit: 1e-5 * Math.max(max, 1),
    };
  });
}

function summary(values: Float32Array): { max: number; mean: number } {
  let max = 0;
  let sum = 0;
  for (const value of values) {
    max = Math.max(max, Math.abs(value));
    sum += value;
  }
  return { max, mean: sum / values.length };
}

interface ApplicationCase {
  name: string;
  alpha: number | null;
  size: [number, number];
  top: boolean;
  /** The layer that is tapped; absent: the output. */
  layer?: string;
  shape: number[];
  max: number;
  mean: number;
  values: string;
}

/** A picture of 8 x 8 blocks and noise, `[height, width, 3]`, 0 to 254: `pixels` of test/fixtures/random_weights.py. */
function madePicture(height: number, width: number): Float32Array {
  const blocks = counterUniform('blocks', 65_536 * 3, 0, 128);
  const noise = counterUniform('noise', height * width * 3, 0, 128);
  return noise.map((value, i) => {
    const [row, column] = [Math.floor(i / 3 / width) >> 3, (Math.floor(i / 3) % width) >> 3];
    return Math.floor(value) + Math.floor(blocks[(row * 256 + column) * 3 + (i % 3)] ?? 0);
  });
}

/**
 * The smallest model of every family of `keras.applications` at its default size and two others, with top and without, with seeded
 * random weights, pixels in, and some of their layers: test/fixtures/make_application_fixtures.py. Feature maps may differ by 1e-4 of the largest value,
 * probabilities by 1e-5.
 */
export function applicationCases(): ConformanceCase[] {
  const { seed, cases } = JSON.parse(readFileSync(fixture('keras/conformance.json'), 'utf8')) as {
    seed: string;
    cases: ApplicationCase[];
  };
  return cases.map(({ name, alpha, size: [height, width], top, layer, shape, max, mean, values }) => ({
    name: [name, alpha ?? '', `${height}x${width}`, top ? 'top' : '', layer ?? '']
      .filter((word) => word !== '')
      .join(' '),
    graph: () => {
      const application = applications.get(name);
      assert.ok(application);
      const options = { height, width, channels: 3, includeTop: top, ...(alpha === null ? {} : { alpha }) };
      const whole = randomWeights(application.build(options), seed, application.preprocess);
      const graph = layer === undefined ? whole : cutAt(whole, layer);
      const before = preprocessingOps(application.preprocess, 3);
      return prepend(
        graph,
        before.map(({ name, op }) => ({ name: `\0${name}`, op })),
      );
    },
    images: () => madePicture(height, width),
    n: 1,
    expected: floats(values),
    max,
    mean,
    shape,
    limit: top ? 1e-5 : 1e-4 * max,
  }));
}

/**
 * The engines that the table is run on: onnxruntime and what TensorFlow is there; TensorFlow alone where `make test-tensorflow` runs
 * beside `npm test`, so that none is run twice.
 */
export const engines = async (): Promise<readonly Engine[]> => [
  ...(process.env.PERMAFROST_NATIVE_TENSORFLOW ? [] : [await openEngine({ engine: 'onnx' })]),
  await openEngine({ engine: 'tensorflow' }),
];

/**
 * Fails where an engine gives other values than the case holds.
 * @returns the largest difference
 */
export async function conforms(engine: Engine, each: ConformanceCase): Promise<number> {
  const { n, expected, shape, limit } = each;
  const graph = each.graph();
  assert.deepEqual(inferShapes(graph).get(graph.output), shape);
  const runner = await engine.load(graph);
  try {
    const [got = new Float32Array()] = await runner.run(each.images(), n);
    assert.equal(
      got.length,
      shape.reduce((a, b) => a * b, n),
    );
    const { max, mean } = summary(got);
    const differences = Array.from(expected, (value, i) => {
      const at = Math.floor((i * (got.length - 1)) / Math.max(expected.length - 1, 1));
      return Math.abs(value - (got[at] ?? Number.NaN));
    });
    const worst = Math.max(Math.abs(max - each.max), Math.abs(mean - each.mean), ...differences);
    assert.ok(each.max > 0 && worst <= limit, `differs by ${worst}, allowed ${limit}, values up to ${each.max}`);
    return worst;
  } finally {
    await runner.release();
  }
}
