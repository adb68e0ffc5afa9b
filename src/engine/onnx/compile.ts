import { ModelError } from '../../errors.js';
import {
  type Attribute,
  floats,
  int64s,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
} from '../../formats/onnx/write.js';
import type { Activation, Convolution, Graph, Margins, Op, OpOf, Tensor } from '../../graph/graph.js';
import { windowAxis } from '../../graph/infer.js';
import { fixedShapes, prepare } from '../../graph/prepare.js';

/** The name of the compiled model's one input: `[n, height, width, channels]`. */
export const INPUT = 'images';

export interface CompileOptions {
  /** Names of the nodes to return, each in Keras's order of axes; default: the graph's output. */
  readonly outputs?: readonly string[];
  /** Type of the pixels that come in; default `float32`. */
  readonly input?: 'float32' | 'uint8';
}

export interface Compiled {
  readonly graph: OnnxGraph;
  /** Name of each asked output in the ONNX graph, and the shape of one example. */
  readonly outputs: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

type Shape = readonly number[];

/**
 * A value in the ONNX graph. Images (three axes) lie channels first there, `[n, c, h, w]`, all else as in Keras; `shape` is
 * always Keras's, without the batch.
 */
interface Value {
  readonly name: string;
  readonly shape: Shape;
}

/** Where Keras's axis (0 is the batch) of a value with `rank` axes lies in the ONNX graph. */
const axisOf = (axis: number, rank: number): number => (rank === 3 ? ([0, 2, 3, 1][axis] ?? axis) : axis);

const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);

/** The tensor with its axes reordered: axis `i` of the result is axis `order[i]` of `tensor`. */
export function transpose(tensor: Tensor, order: readonly number[]): Tensor {
  const { shape, data } = tensor;
  const strides = shape.map((_, i) => product(shape.slice(i + 1)));
  const target = order.map((axis) => shape[axis] ?? 1);
  const steps = order.map((axis) => strides[axis] ?? 1);
  const result = new Float32Array(data.length);
  const index = new Array<number>(target.length).fill(0);
  let from = 0;
  for (let to = 0; to < result.length; to++) {
    result[to] = data[from] ?? 0;
    for (let axis = target.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] ?? 0) + 1;
      from += steps[axis] ?? 0;
      if ((index[axis] ?? 0) < (target[axis] ?? 1)) break;
      from -= (steps[axis] ?? 0) * (target[axis] ?? 1);
      index[axis] = 0;
    }
  }
  return { shape: target, data: result };
}

/** Collects nodes and constants while the layers are lowered one by one. */
class Builder {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];
  private count = 0;

  constructor(readonly layer = '') {}

  private fresh(): string {
    return `v${this.count++}`;
  }

  node(op: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    const output = this.fresh();
    this.nodes.push({ op, inputs, outputs: [output], attributes });
    return output;
  }

  /** A float constant; without a shape, a scalar. */
  constant(values: ArrayLike<number>, shape: readonly number[] = []): string {
    const name = this.fresh();
    this.initializers.push(floats(name, shape, values));
    return name;
  }

  integers(values: readonly number[]): string {
    const name = this.fresh();
    this.initializers.push(int64s(name, values));
    return name;
  }

  /** The value with its axes in Keras's order. */
  channelsLast({ name, shape }: Value): string {
    return shape.length === 3 ? this.node('Transpose', [name], { perm: [0, 2, 3, 1] }) : name;
  }

  /** A value of `shape` out of one whose axes are in Keras's order. */
  fromChannelsLast(name: string, shape: Shape): string {
    return shape.length === 3 ? this.node('Transpose', [name], { perm: [0, 3, 1, 2] }) : name;
  }
}

function activate(b: Builder, x: string, activation: Activation, rank: number): string {
  switch (activation) {
    case 'linear':
      return x;
    case 'relu':
      return b.node('Relu', [x]);
    case 'relu6':
      return b.node('Clip', [x, b.constant([0]), b.constant([6])]);
    case 'sigmoid':
      return b.node('Sigmoid', [x]);
    case 'tanh':
      return b.node('Tanh', [x]);
    case 'softmax':
      return b.node('Softmax', [x], { axis: { i: axisOf(rank, rank) } });
    case 'elu':
      return b.node('Elu', [x], { alpha: { f: 1 } });
    case 'selu':
      return b.node('Selu', [x]);
    case 'softplus':
      return b.node('Softplus', [x]);
    case 'softsign':
      return b.node('Softsign', [x]);
    case 'silu':
      return b.node('Mul', [x, b.node('Sigmoid', [x])]);
    case 'gelu':
      return b.node('Gelu', [x], { approximate: 'none' });
    case 'gelu_tanh':
      return b.node('Gelu', [x], { approximate: 'tanh' });
    case 'hard_sigmoid':
      return b.node('HardSigmoid', [x], { alpha: { f: 1 / 6 }, beta: { f: 0.5 } });
    case 'hard_sigmoid_v2':
      return b.node('HardSigmoid', [x], { alpha: { f: 0.2 }, beta: { f: 0.5 } });
    case 'hard_silu':
      return b.node('HardSwish', [x]);
    case 'exponential':
      return b.node('Exp', [x]);
  }
}

/** ONNX's `pads` ([top, left, bottom, right]) that give TensorFlow's `same` or `valid`. */
function pads(shape: Shape, kernel: readonly [number, number], op: Pick<Convolution, 'strides' | 'padding'>): number[] {
  return padsDilated(shape, kernel, op, [1, 1]);
}

function padsDilated(
  shape: Shape,
  kernel: readonly [number, number],
  op: Pick<Convolution, 'strides' | 'padding'>,
  dilation: readonly [number, number],
): number[] {
  const axis = (i: 0 | 1) => windowAxis(shape[i] ?? 0, kernel[i], op.strides[i], dilation[i], op.padding);
  const [rows, columns] = [axis(0), axis(1)];
  return [rows.before, columns.before, rows.after, columns.after];
}

/** A convolution, `kernel` as ONNX wants it: `[filters, channels / groups, height, width]`. */
function convolve(
  b: Builder,
  x: Value,
  op: Convolution,
  kernel: Tensor,
  bias: Tensor | undefined,
  groups: number,
): string {
  const inputs = [x.name, b.constant(kernel.data, kernel.shape)];
  if (bias) inputs.push(b.constant(bias.data, bias.shape));
  return b.node('Conv', inputs, {
    kernel_shape: op.kernelSize,
    strides: op.strides,
    dilations: op.dilation,
    pads: padsDilated(x.shape, op.kernelSize, op, op.dilation),
    group: { i: groups },
  });
}

/** `[h, w, channels, multiplier]` -> `[channels * multiplier, 1, h, w]` */
function depthwiseKernel(kernel: Tensor): Tensor {
  const { data, shape } = transpose(kernel, [2, 3, 0, 1]);
  const [channels = 0, multiplier = 0, height = 0, width = 0] = shape;
  return { data, shape: [channels * multiplier, 1, height, width] };
}

/** Keras's ReLU with all its options, as its own code computes it: keras/src/activations/activations.py. */
function relu(b: Builder, x: string, { maxValue, negativeSlope, threshold }: OpOf<'ReLU'>): string {
  if (negativeSlope !== 0 && maxValue === null && threshold === 0) {
    return b.node('LeakyRelu', [x], { alpha: { f: negativeSlope } });
  }
  let positive = x;
  if (threshold !== 0) {
    const above = b.node('Greater', [x, b.constant([threshold])]);
    positive = b.node('Mul', [x, b.node('Cast', [above], { to: { i: 1 } })]);
  } else if (maxValue === null) {
    positive = b.node('Relu', [x]);
  }
  if (maxValue !== null) positive = b.node('Clip', [positive, b.constant([0]), b.constant([maxValue])]);
  if (negativeSlope === 0) return positive;
  const negative = b.node('Relu', [b.node('Sub', [b.constant([threshold]), x])]);
  return b.node('Sub', [positive, b.node('Mul', [negative, b.constant([negativeSlope])])]);
}

/** x * scale + offset, one value or one a channel. */
function affine(b: Builder, x: Value, scale: readonly number[], offset: readonly number[]): string {
  const constant = (values: readonly number[]): string =>
    values.length > 1 && x.shape.length === 3
      ? b.constant(values, [values.length, 1, 1])
      : b.constant(values, [values.length]);
  let result = x.name;
  if (scale.some((value) => value !== 1)) result = b.node('Mul', [result, constant(scale)]);
  if (offset.some((value) => value !== 0)) result = b.node('Add', [result, constant(offset)]);
  return result;
}

/** (x - mean) / max(sqrt(variance), epsilon): keras/src/layers/preprocessing/normalization.py. */
function normalize(b: Builder, x: Value, op: OpOf<'Normalization'>, weights: readonly Tensor[]): string {
  const mean = op.mean ?? Array.from(weights[0]?.data ?? []);
  const variance = op.variance ?? Array.from(weights[1]?.data ?? []);
  const deviation = variance.map((value) => Math.max(Math.sqrt(value), 1e-7));
  if (op.invert) return affine(b, x, deviation, mean);
  const scale = deviation.map((value) => 1 / value);
  return affine(
    b,
    x,
    scale,
    mean.map((value, i) => -value * (scale[i] ?? scale[0] ?? 1)),
  );
}

/** Inputs of a merging layer brought to one rank: missing axes come in front, as in Keras. */
function alignRanks(b: Builder, inputs: readonly Value[]): string[] {
  const rank = Math.max(...inputs.map((value) => value.shape.length));
  return inputs.map((value) => {
    const missing = rank - value.shape.length;
    if (missing === 0) return value.name;
    const axes = b.integers(Array.from({ length: missing }, (_, i) => i + 1));
    const widened = b.node('Unsqueeze', [b.channelsLast(value), axes]);
    return b.fromChannelsLast(widened, [...new Array<number>(missing).fill(1), ...value.shape]);
  });
}

/** Over the last axis, where ONNX wants it too: images turn around for it. */
function layerNorm(b: Builder, x: Value, op: OpOf<'LayerNormalization'>, weights: readonly Tensor[]): string {
  const rest = [...weights];
  const channels = x.shape.at(-1) ?? 0;
  const gamma = op.scale ? rest.shift()?.data : undefined;
  const inputs = [b.channelsLast(x), b.constant(gamma ?? new Float32Array(channels).fill(1), [channels])];
  const [beta] = rest;
  if (beta) inputs.push(b.constant(beta.data, beta.shape));
  const y = b.node('LayerNormalization', inputs, { axis: { i: x.shape.length }, epsilon: { f: op.epsilon } });
  return b.fromChannelsLast(y, x.shape);
}

type Merging = 'Add' | 'Multiply' | 'Subtract' | 'Divide' | 'Average' | 'Maximum' | 'Minimum';

function merge(b: Builder, kind: Merging, inputs: readonly Value[]): string {
  const [first = '', ...rest] = alignRanks(b, inputs);
  const chain = (op: string): string => rest.reduce((a, x) => b.node(op, [a, x]), first);
  switch (kind) {
    case 'Add':
      return chain('Add');
    case 'Multiply':
      return chain('Mul');
    case 'Subtract':
      return chain('Sub');
    case 'Divide':
      return chain('Div');
    case 'Maximum':
      return b.node('Max', [first, ...rest]);
    case 'Minimum':
      return b.node('Min', [first, ...rest]);
    case 'Average':
      return b.node('Mul', [chain('Add'), b.constant([1 / inputs.length])]);
  }
}

const marginAttributes = (margins: Margins): { starts: number[]; ends: number[] } => ({
  starts: [margins[0][0], margins[1][0]],
  ends: [margins[0][1], margins[1][1]],
});

/** Adds what one layer computes; returns the name of the result in the ONNX graph. */
function lower(b: Builder, op: Op, inputs: readonly Value[], weights: readonly Tensor[], out: Shape): string {
  const x = inputs[0] ?? { name: INPUT, shape: out };
  const rank = out.length;
  switch (op.kind) {
    case 'InputLayer':
      return x.name;
    case 'Conv2D': {
      const [kernel, bias] = weights as [Tensor, Tensor?];
      const y = convolve(b, x, op, transpose(kernel, [3, 2, 0, 1]), bias, op.groups);
      return activate(b, y, op.activation, rank);
    }
    case 'DepthwiseConv2D': {
      const [kernel, bias] = weights as [Tensor, Tensor?];
      const y = convolve(b, x, op, depthwiseKernel(kernel), bias, x.shape[2] ?? 1);
      return activate(b, y, op.activation, rank);
    }
    case 'SeparableConv2D': {
      const [depthwise, pointwise, bias] = weights as [Tensor, Tensor, Tensor?];
      const middle = convolve(b, x, op, depthwiseKernel(depthwise), undefined, x.shape[2] ?? 1);
      const plain = { ...op, kernelSize: [1, 1], strides: [1, 1], dilation: [1, 1], padding: 'valid' } as const;
      const kernel = transpose(pointwise, [3, 2, 0, 1]);
      const y = convolve(b, { name: middle, shape: out }, plain, kernel, bias, 1);
      return activate(b, y, op.activation, rank);
    }
    case 'LayerNormalization':
      return layerNorm(b, x, op, weights);
    case 'LayerScale':
      return affine(b, x, Array.from(weights[0]?.data ?? []), [0]);
    case 'Activation':
      return activate(b, x.name, op.activation, rank);
    case 'ReLU':
      return relu(b, x.name, op);
    case 'LeakyReLU':
      return b.node('LeakyRelu', [x.name], { alpha: { f: op.negativeSlope } });
    case 'ELU':
      return b.node('Elu', [x.name], { alpha: { f: op.alpha } });
    case 'PReLU': {
      const [alpha] = weights as [Tensor];
      const slope = rank === 3 ? transpose(alpha, [2, 0, 1]) : alpha;
      return b.node('PRelu', [x.name, b.constant(slope.data, slope.shape)]);
    }
    case 'Softmax': {
      const axis = op.axis < 0 ? op.axis + rank + 1 : op.axis;
      return b.node('Softmax', [x.name], { axis: { i: axisOf(axis, rank) } });
    }
    case 'MaxPooling2D':
    case 'AveragePooling2D':
      // TensorFlow's average takes only the pixels that are there, which is ONNX's default too (count_include_pad = 0)
      return b.node(op.kind === 'MaxPooling2D' ? 'MaxPool' : 'AveragePool', [x.name], {
        kernel_shape: op.poolSize,
        strides: op.strides,
        pads: pads(x.shape, op.poolSize, op),
      });
    case 'GlobalAveragePooling2D':
    case 'GlobalMaxPooling2D': {
      const y = b.node(op.kind === 'GlobalMaxPooling2D' ? 'GlobalMaxPool' : 'GlobalAveragePool', [x.name]);
      return op.keepdims ? y : b.node('Flatten', [y]);
    }
    case 'ZeroPadding2D': {
      const { starts, ends } = marginAttributes(op.margins);
      return b.node('Pad', [x.name, b.integers([0, 0, ...starts, 0, 0, ...ends])]);
    }
    case 'Cropping2D': {
      const { starts, ends } = marginAttributes(op.margins);
      const stops = ends.map((end, i) => (x.shape[i] ?? 0) - end);
      return b.node('Slice', [x.name, b.integers(starts), b.integers(stops), b.integers([2, 3])]);
    }
    case 'UpSampling2D': {
      const how: Record<string, Attribute> =
        op.interpolation === 'nearest'
          ? { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' }
          : { mode: 'linear', coordinate_transformation_mode: 'half_pixel' };
      return b.node('Resize', [x.name, '', b.constant([1, 1, ...op.size], [4])], how);
    }
    case 'Add':
    case 'Multiply':
    case 'Subtract':
    case 'Divide':
    case 'Average':
    case 'Maximum':
    case 'Minimum':
      return merge(b, op.kind, inputs);
    case 'CustomScaleLayer': {
      const [residual = x, branch = x] = inputs;
      const scaled = { ...branch, name: b.node('Mul', [branch.name, b.constant([op.scale])]) };
      return merge(b, 'Add', [residual, scaled]);
    }
    case 'Concatenate':
      return b.node(
        'Concat',
        inputs.map((value) => value.name),
        { axis: { i: axisOf(op.axis, rank) } },
      );
    case 'Dense': {
      const [kernel, bias] = weights as [Tensor, Tensor?];
      const w = b.constant(kernel.data, kernel.shape);
      const addend = bias && b.constant(bias.data, bias.shape);
      let y: string;
      if (rank === 1) {
        y = b.node('Gemm', addend ? [x.name, w, addend] : [x.name, w]);
      } else {
        const rows = b.node('MatMul', [b.channelsLast(x), w]);
        y = b.fromChannelsLast(addend ? b.node('Add', [rows, addend]) : rows, out);
      }
      return activate(b, y, op.activation, rank);
    }
    case 'Flatten':
      return b.node('Flatten', [b.channelsLast(x)]);
    case 'Reshape':
      return b.fromChannelsLast(b.node('Reshape', [b.channelsLast(x), b.integers([0, ...out])]), out);
    case 'Permute':
      return b.fromChannelsLast(b.node('Transpose', [b.channelsLast(x)], { perm: [0, ...op.dims] }), out);
    case 'Identity':
      return x.name;
    case 'Rescaling':
      return affine(b, x, op.scale, op.offset);
    case 'Normalization':
      return normalize(b, x, op, weights);
    case 'ReverseChannels':
      return b.node('Gather', [x.name, b.integers([2, 1, 0])], { axis: { i: rank === 3 ? 1 : rank } });
    case 'BatchNormalization':
      throw new ModelError('batch normalization must be folded before a graph is lowered');
  }
}

/**
 * Compiles a layer graph to ONNX: batch normalization folded, channels first inside, TensorFlow's `same` padding as explicit
 * pads, images in and feature maps out as `[n, height, width, channels]`.
 * @throws ModelError when a size is open or shapes do not fit
 */
export function compile(graph: Graph, options: CompileOptions = {}): Compiled {
  const { graph: folded, taps } = prepare(graph, options.outputs ?? [graph.output]);
  const shapes = fixedShapes(folded);
  const b = new Builder();
  const values = new Map<string, Value>();
  const inputShape = shapes.get(graph.input) ?? [];
  const channelsFirst = b.fromChannelsLast(INPUT, inputShape);
  const input = options.input === 'uint8' ? b.node('Cast', [channelsFirst], { to: { i: 1 } }) : channelsFirst;
  for (const node of folded.nodes) {
    const shape = shapes.get(node.name) ?? [];
    if (node.name === folded.input) {
      values.set(node.name, { name: input, shape });
      continue;
    }
    const inputs = node.inputs.map((name) => values.get(name) ?? { name, shape: [] });
    values.set(node.name, { name: lower(b, node.op, inputs, node.weights, shape), shape });
  }
  const outputs = taps.map((tap, i) => {
    const value = values.get(tap) ?? { name: tap, shape: [] };
    const output = `output:${i}`;
    b.nodes.push({ op: 'Identity', inputs: [b.channelsLast(value)], outputs: [output] });
    return { name: output, shape: value.shape };
  });
  return {
    graph: {
      name: 'base',
      nodes: b.nodes,
      initializers: b.initializers,
      inputs: [{ name: INPUT, type: options.input === 'uint8' ? 'uint8' : 'float', dims: ['n', ...inputShape] }],
      outputs: outputs.map(({ name, shape }) => ({ name, type: 'float', dims: ['n', ...shape] })),
    },
    outputs,
  };
}
