import { ModelError } from '../../errors.js';
import type { Attribute } from '../../formats/onnx/write.js';
import type { Convolution, Margins, Op, OpOf, Tensor } from '../../graph/graph.js';
import { transposedAxis, windowAxis } from '../../graph/infer.js';
import { activate, relu } from './activations.js';
import { attend } from './attention.js';
import { axisOf, type Builder, type Shape, transpose, type Value } from './builder.js';
import { clip, elementwise, reduce, resample, reshapeAxis, slice } from './rearrange.js';

/** The name of the compiled model's one input: `[n, height, width, channels]`. */
export const INPUT = 'images';

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
    pads: added(padsDilated(x.shape, op.kernelSize, op, op.dilation), x.margins),
    group: { i: groups },
  });
}

/** A convolution's own padding is of zeros too. */
function added(pads: readonly number[], margins: Margins | undefined): number[] {
  if (margins === undefined) return [...pads];
  const { starts, ends } = marginAttributes(margins);
  return pads.map((pad, i) => pad + ([...starts, ...ends][i] ?? 0));
}

/** Whether a layer takes zeros around its input into its own padding. */
export const padsItself = ({ kind }: Op): boolean =>
  kind === 'Conv2D' || kind === 'DepthwiseConv2D' || kind === 'SeparableConv2D';

/** `[h, w, channels, multiplier]` -> `[channels * multiplier, 1, h, w]` */
function depthwiseKernel(kernel: Tensor): Tensor {
  const { data, shape } = transpose(kernel, [2, 3, 0, 1]);
  const [channels = 0, multiplier = 0, height = 0, width = 0] = shape;
  return { data, shape: [channels * multiplier, 1, height, width] };
}

/** A transposed convolution, as TensorFlow lays it out. */
function convolveBack(b: Builder, x: Value, op: OpOf<'Conv2DTranspose'>, weights: readonly Tensor[]): string {
  const [kernel, bias] = weights as [Tensor, Tensor?];
  const turned = transpose(kernel, [3, 2, 0, 1]); // [h, w, filters, channels] -> [channels, filters, h, w]
  const axis = (i: 0 | 1) =>
    transposedAxis(x.shape[i] ?? 0, op.kernelSize[i], op.strides[i], op.padding, op.outputPadding?.[i] ?? null);
  const [rows, columns] = [axis(0), axis(1)];
  const y = b.node('ConvTranspose', [x.name, b.constant(turned.data, turned.shape)], {
    kernel_shape: op.kernelSize,
    strides: op.strides,
  });
  const full = (i: 0 | 1): number => ((x.shape[i] ?? 0) - 1) * op.strides[i] + op.kernelSize[i];
  const cut = (size: number, { out, before }: typeof rows): readonly [number, number] => [
    before,
    Math.min(before + out, size),
  ];
  const [[top, bottom], [left, right]] = [cut(full(0), rows), cut(full(1), columns)];
  const inside = b.node('Slice', [y, b.integers([top, left]), b.integers([bottom, right]), b.integers([2, 3])]);
  const [down, across] = [Math.max(-rows.after, 0), Math.max(-columns.after, 0)];
  const whole = down + across === 0 ? inside : b.node('Pad', [inside, b.integers([0, 0, 0, 0, 0, 0, down, across])]);
  return bias ? b.node('Add', [whole, b.constant(bias.data, [bias.data.length, 1, 1])]) : whole;
}

/** Of groups of channels: keras/src/layers/normalization/group_normalization.py. */
function groupNorm(b: Builder, x: Value, op: OpOf<'GroupNormalization'>, weights: readonly Tensor[]): string {
  const { shape } = x;
  const turned = shape.length === 2 ? b.node('Transpose', [x.name], { perm: [0, 2, 1] }) : x.name;
  const lies = shape.length === 3 ? [shape[2], shape[0], shape[1]] : [...shape].reverse(); // channels first
  const rows = b.node('Reshape', [turned, b.integers([0, op.groups, -1])]);
  const [ones, zeros] = [new Float32Array(op.groups).fill(1), new Float32Array(op.groups)];
  const scale = [b.constant(ones, [op.groups]), b.constant(zeros, [op.groups])];
  const normal = b.node('InstanceNormalization', [rows, ...scale], { epsilon: { f: op.epsilon } });
  const y = b.node('Reshape', [normal, b.integers([0, ...lies.map(Number)])]);
  const back = shape.length === 2 ? b.node('Transpose', [y], { perm: [0, 2, 1] }) : y;
  const rest = [...weights];
  const gamma = op.scale ? Array.from(rest.shift()?.data ?? []) : [1];
  const beta = op.center ? Array.from(rest.shift()?.data ?? []) : [0];
  return affine(b, { name: back, shape }, gamma, beta);
}

/** x over its length along the last axis. */
function unitNorm(b: Builder, x: Value): string {
  const axis = axisOf(x.shape.length, x.shape.length);
  const length = b.node('ReduceL2', [x.name, b.integers([axis])]);
  return b.node('Div', [x.name, b.node('Max', [length, b.constant([1e-12])])]);
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
export function lower(b: Builder, op: Op, inputs: readonly Value[], weights: readonly Tensor[], out: Shape): string {
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
    case 'Conv2DTranspose':
      return activate(b, convolveBack(b, x, op, weights), op.activation, rank);
    case 'GroupNormalization':
      return groupNorm(b, x, op, weights);
    case 'UnitNormalization':
      return unitNorm(b, x);
    case 'MultiHeadAttention':
      return attend(b, op, inputs, weights);
    case 'Reduce':
      return reduce(b, x, op, out);
    case 'Resizing':
    case 'CenterCrop':
      return resample(b, x, op);
    case 'Slice':
      return slice(b, x, op);
    case 'Squeeze':
    case 'ExpandDims':
      return reshapeAxis(b, x, op, out);
    case 'Clip':
      return clip(b, x.name, op);
    case 'Elementwise':
      return elementwise(b, x.name, op.by);
    case 'Power':
      return b.node('Pow', [x.name, b.constant([op.exponent])]);
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
    case 'Refused':
      throw new ModelError(op.reason);
    case 'BatchNormalization':
      throw new ModelError('batch normalization must be folded before a graph is lowered');
  }
}
