import { createHash } from 'node:crypto';
import type { Graph, Node, Op, Shape, Tensor } from '../graph/graph.js';
import { inferShapes, type WeightSpec } from '../graph/infer.js';
import type { Application } from './applications/index.js';
import { bindWeights, specsByLayer } from './weights.js';

/**
 * The generator of `--weights random:SEED`, counter-based: any value can be computed alone.
 *
 * The key is the first 8 bytes of SHA-256 of the text `key`, as two little-endian 32-bit numbers k0 and k1. Value i, all arithmetic
 * modulo 2^32:
 *
 *     x = i * 0x9e3779b9 + k0
 *     x = (x ^ (x >> 16)) * 0x21f0aaad
 *     x = (x ^ (x >> 15)) + k1
 *     x = x * 0x735a2d97
 *     x = x ^ (x >> 15)
 *     value = float32(low + (high - low) * ((x >> 8) / 2^24))     in float64 until the last step
 *
 * @returns `length` values, uniform in [low, high)
 */
export function counterUniform(key: string, length: number, low: number, high: number): Float32Array {
  const digest = createHash('sha256').update(key).digest();
  const k0 = digest.readInt32LE(0);
  const k1 = digest.readInt32LE(4);
  const range = high - low;
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let x = (Math.imul(i, 0x9e3779b9) + k0) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = ((x ^ (x >>> 15)) + k1) | 0;
    x = Math.imul(x, 0x735a2d97);
    x ^= x >>> 15;
    values[i] = low + range * ((x >>> 8) / 16_777_216);
  }
  return values;
}

/** Mean and variance over all that a node gives, roughly. */
interface Statistics {
  readonly mean: number;
  readonly variance: number;
}

/** Of uniform pixels after each preprocessing. */
const PIXELS: Readonly<Record<Application['preprocess'], Statistics>> = {
  none: { mean: 127.5, variance: 5400 },
  tf: { mean: 0, variance: 1 / 3 },
  torch: { mean: 0.2, variance: 1.6 },
  caffe: { mean: 11, variance: 5400 },
};

const square = ({ mean, variance }: Statistics): number => mean * mean + variance;
const average = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const fromSquare = (mean: number, meanSquare: number): Statistics => ({ mean, variance: meanSquare - mean * mean });

/** What He's kernels give: their deviation is set by what they take. */
const LINEAR: Statistics = { mean: 0, variance: 2 };

/**
 * What the smooth rectifiers leave of relu's first and second moment, of a standard normal variable; the second moment of hard_silu
 * (0.71) is taken for more, because it leaves more of larger values, and a chain of them would run off. silu is given wide values.
 */
const SMOOTH: Readonly<Record<string, readonly [number, number]>> = {
  silu: [0.5, 1],
  hard_silu: [0.5, 0.86],
  gelu: [0.7, 0.85],
};

/**
 * Statistics after an activation; rectifiers of all kinds count as relu of a normal variable, whose moments are followed by
 * polynomials (so that any language gets the same bits) up to a mean of one deviation; from there on nearly all passes.
 */
function activated(x: Statistics, activation: string): Statistics {
  if (activation === 'linear') return x;
  if (/sigmoid|softmax/.test(activation)) return { mean: 0.5, variance: Math.min(x.variance / 16, 0.03) };
  if (/tanh|softsign/.test(activation)) return { mean: 0, variance: 0.4 };
  const deviation = Math.sqrt(x.variance);
  if (x.mean >= deviation) return x;
  const a = Math.max(x.mean / deviation, -1);
  const [first, second] = SMOOTH[activation] ?? [1, 1];
  const mean = first * (deviation * (0.4 + 0.5 * a + 0.2 * a * a));
  return fromSquare(mean, second * (x.variance * (0.5 * (1 + a * a) + 0.8 * a)));
}

/**
 * How wide values a layer gives, against those of its like, in networks of gates and silu (EfficientNet's). Both keep a larger share
 * of larger values: pictures would differ either by nothing in the end, or by so much that float32 holds no 4 digits of it. So silu takes
 * what it bends like relu, gates stay near their middle, and branches, which training drops at times, add little.
 */
function widthOf({ op }: Node, takers: readonly Op[]): number {
  if (op.kind === 'Conv2D') return op.activation === 'sigmoid' ? 0.25 : 1;
  if (op.kind !== 'BatchNormalization') return 1;
  if (takers.some((taker) => taker.kind === 'Activation' && taker.activation === 'silu')) return 3;
  return takers.some((taker) => taker.kind === 'Identity' && taker.className === 'Dropout') ? 0.3 : 1;
}

/** Statistics of what a node gives, from those of what it takes. */
function after(
  node: Node,
  inputs: readonly Statistics[],
  shapes: readonly Shape[],
  first: Statistics,
  width: number,
): Statistics {
  const { op } = node;
  const [x = first] = inputs;
  switch (op.kind) {
    case 'InputLayer':
      return first;
    case 'Conv2D':
    case 'DepthwiseConv2D':
    case 'SeparableConv2D':
    case 'Dense':
      return activated({ mean: 0, variance: width * width * LINEAR.variance }, op.activation);
    case 'BatchNormalization':
    case 'LayerNormalization':
      return { mean: 0, variance: width * width };
    case 'LayerScale':
      return { mean: 0.3 * x.mean, variance: 0.1 * x.variance };
    case 'Normalization': {
      if (op.mean === null || op.variance === null) return { mean: 0, variance: 1 };
      const variance = average(op.variance);
      return { mean: (x.mean - average(op.mean)) / Math.sqrt(variance), variance: x.variance / variance };
    }
    case 'Rescaling': {
      const scale = average(op.scale);
      return { mean: scale * x.mean + average(op.offset), variance: scale * scale * x.variance };
    }
    case 'Activation':
      return activated(x, op.activation);
    case 'ReLU':
      return activated(x, 'relu');
    case 'MaxPooling2D':
      if (op.poolSize[0] === 1) return x;
      return { mean: x.mean + Math.sqrt(x.variance), variance: 0.5 * x.variance };
    case 'AveragePooling2D':
      return op.poolSize[0] === 1 ? x : { mean: x.mean, variance: 0.25 * x.variance };
    case 'GlobalAveragePooling2D':
      return { mean: x.mean, variance: 0.25 * x.variance };
    case 'Add':
      return inputs.reduce((a, b) => ({ mean: a.mean + b.mean, variance: a.variance + b.variance }));
    case 'Multiply':
      return inputs.reduce((a, b) => fromSquare(a.mean * b.mean, square(a) * square(b)));
    case 'CustomScaleLayer': {
      const [a = x, b = x] = inputs;
      return { mean: a.mean + op.scale * b.mean, variance: a.variance + op.scale * op.scale * b.variance };
    }
    case 'Concatenate': {
      const channels = shapes.map((shape) => shape.at(-1) ?? 1);
      const total = channels.reduce((a, b) => a + b, 0);
      const weighted = (of: (each: Statistics) => number): number =>
        inputs.reduce((sum, each, i) => sum + of(each) * (channels[i] ?? 0), 0) / total;
      return fromSquare(
        weighted(({ mean }) => mean),
        weighted(square),
      );
    }
    default:
      return x;
  }
}

/** Between which numbers a weight is uniform. `x`: statistics of what the layer takes; `width`: `widthOf` it. */
function bounds({ name, shape }: WeightSpec, x: Statistics, kind: string, width: number): readonly [number, number] {
  const size = shape.reduce((a, b) => a * b, 1);
  const deviation = Math.sqrt(x.variance);
  const around = (limit: number): readonly [number, number] => [-limit, limit];
  switch (name) {
    case 'kernel':
      return around(width * Math.sqrt(6 / ((size / (shape.at(-1) ?? 1)) * square(x))));
    case 'depthwise_kernel': {
      const [height = 1, width = 1] = shape;
      return around(Math.sqrt(6 / (height * width * square(x))));
    }
    case 'pointwise_kernel':
      return around(Math.sqrt(6 / ((size / (shape.at(-1) ?? 1)) * square(LINEAR))));
    case 'gamma':
      return kind === 'LayerScale' ? [0.2, 0.4] : [0.8 * width, 1.2 * width];
    case 'beta':
      return around(0.2);
    case 'moving_mean':
    case 'mean':
      return [x.mean - 0.1 * deviation, x.mean + 0.1 * deviation];
    case 'moving_variance':
    case 'variance':
      return [0.8 * x.variance, 1.2 * x.variance];
    case 'count':
      return [1, 1];
    case 'alpha':
      return [0.1, 0.3];
    default: // bias
      return around(0.1);
  }
}

/**
 * Fills an architecture with made weights: kernels uniform with He's deviation over that of what they take, batch norm with about
 * the statistics that such kernels give, so that values neither vanish nor run off at any depth. Weight number n of the model
 * (counted from 0 over all, in Keras's order) is `counterUniform("SEED/n", …)`. The same seed gives the same weights; those of a
 * model without its top are those with it. test/fixtures/random_weights.py is the same in Python. Good for trying things out, and as
 * the baseline that a pretrained base must beat.
 * @param preprocess what its pixels have been through
 */
export function randomWeights(graph: Graph, seed: number | string, preprocess: Application['preprocess']): Graph {
  const shapes = inferShapes(graph);
  const specs = specsByLayer(graph, (node) => node.name);
  const statistics = new Map<string, Statistics>();
  const weights = new Map<string, Tensor[]>();
  const takers = new Map<string, Op[]>();
  for (const { inputs, op } of graph.nodes) for (const x of inputs) takers.set(x, [...(takers.get(x) ?? []), op]);
  let count = 0;
  for (const node of graph.nodes) {
    const width = widthOf(node, takers.get(node.name) ?? []);
    const inputs = node.inputs.map((name) => statistics.get(name) ?? LINEAR);
    const taken = node.inputs.map((name) => shapes.get(name) ?? []);
    statistics.set(node.name, after(node, inputs, taken, PIXELS[preprocess], width));
    const tensors = (specs.get(node.name) ?? []).map((spec): Tensor => {
      const [low, high] = bounds(spec, inputs[0] ?? LINEAR, node.op.kind, width);
      const size = spec.shape.reduce((a, b) => a * b, 1);
      return { shape: spec.shape, data: counterUniform(`${seed}/${count++}`, size, low, high) };
    });
    weights.set(node.name, tensors);
  }
  return bindWeights(graph, (node) => node.name, weights);
}
