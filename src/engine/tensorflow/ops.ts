import type { Tensor as Value } from '@tensorflow/tfjs-core';
import { ModelError } from '../../errors.js';
import type { Op, OpOf, Tensor } from '../../graph/graph.js';
import { activation, relu, softmax } from './activations.js';
import { attend } from './attention.js';
import { type Constant, convolution, type Image, transposed } from './convolution.js';
import { clip, elementwise, reduce, resample, slice } from './rearrange.js';
import type { Tfjs } from './runtime.js';

type Shape = readonly number[];

/** Computes one layer for a batch; what it makes on the way is freed by whoever calls it. */
export type Step = (inputs: readonly Value[]) => Value;

export interface Layer {
  readonly op: Op;
  /** Shapes of one example: of each input, and of the result. */
  readonly inputs: readonly Shape[];
  readonly output: Shape;
  readonly weights: readonly Tensor[];
}

/**
 * @param keep called with each constant that the step holds on to, so that it can be freed in the end
 * @returns what computes the layer
 * @throws ModelError for a layer that is not known here
 */
export function compileLayer(tf: Tfjs, layer: Layer, keep: (constant: Value) => void): Step {
  const { op, inputs, output, weights } = layer;
  const shape = inputs[0] ?? [];
  const rank = output.length;
  const constant = (values: ArrayLike<number>, dims: Shape): Value => {
    const made = tf.tensor(Float32Array.from(values), [...dims]);
    keep(made);
    return made;
  };
  const one = (step: (x: Value) => Value): Step => {
    return ([x]) => step(x as Value);
  };
  switch (op.kind) {
    case 'Conv2D':
    case 'DepthwiseConv2D':
    case 'SeparableConv2D': {
      const bias = op.useBias ? constant(weights.at(-1)?.data ?? [], [weights.at(-1)?.shape[0] ?? 0]) : undefined;
      const act = activation(tf, op.activation);
      const convolved = convolution(tf, op, shape, weights, constant);
      return one((x) => act(bias ? tf.add(convolved(x as Image), bias) : convolved(x as Image)));
    }
    case 'Conv2DTranspose': {
      const [kernel, bias] = weights as [Tensor, Tensor?];
      const addend = bias && constant(bias.data, bias.shape);
      const act = activation(tf, op.activation);
      const spread = transposed(tf, op, shape, kernel, constant);
      return one((x) => act(addend ? tf.add(spread(x as Image), addend) : spread(x as Image)));
    }
    case 'GroupNormalization':
      return one(groupNorm(tf, op, shape, weights, constant));
    case 'UnitNormalization':
      return one((x) => tf.div(x, tf.maximum(tf.norm(x, 2, -1, true), 1e-12)));
    case 'MultiHeadAttention':
      return attend(tf, op, inputs, weights, constant);
    case 'Reduce':
      return one(reduce(tf, op));
    case 'Resizing':
    case 'CenterCrop':
      return one(resample(tf, op, shape, constant));
    case 'Slice':
      return one(slice(tf, op, shape));
    case 'Squeeze':
    case 'ExpandDims':
      return one((x) => tf.reshape(x, [-1, ...output]));
    case 'Clip':
      return one(clip(tf, op));
    case 'Elementwise':
      return one(elementwise(tf, op.by));
    case 'Power':
      return one((x) => tf.pow(x, op.exponent));
    case 'LayerNormalization':
      return one(layerNorm(tf, op, weights, constant));
    case 'LayerScale': {
      const [gamma] = weights as [Tensor];
      const factor = constant(gamma.data, gamma.shape);
      return one((x) => tf.mul(x, factor));
    }
    case 'Activation':
      return one(activation(tf, op.activation));
    case 'ReLU':
      return one(relu(tf, op));
    case 'LeakyReLU':
      return one((x) => tf.leakyRelu(x, op.negativeSlope));
    case 'ELU':
      return one((x) => (op.alpha === 1 ? tf.elu(x) : tf.add(tf.relu(x), tf.mul(tf.elu(tf.minimum(x, 0)), op.alpha))));
    case 'PReLU': {
      const [alpha] = weights as [Tensor];
      const slope = constant(alpha.data, [1, ...alpha.shape]);
      return one((x) => tf.add(tf.relu(x), tf.mul(tf.minimum(x, 0), slope)));
    }
    case 'Softmax': {
      const axis = op.axis < 0 ? op.axis + rank + 1 : op.axis;
      return one(softmax(tf, axis, rank));
    }
    case 'MaxPooling2D':
      return one((x) => tf.maxPool(x as Image, [...op.poolSize], [...op.strides], op.padding));
    case 'AveragePooling2D':
      return one((x) => tf.avgPool(x as Image, [...op.poolSize], [...op.strides], op.padding));
    case 'GlobalAveragePooling2D':
      return one((x) => tf.mean(x, [1, 2], op.keepdims));
    case 'GlobalMaxPooling2D':
      return one((x) => tf.max(x, [1, 2], op.keepdims));
    case 'ZeroPadding2D': {
      const [rows, columns] = op.margins;
      return one((x) => tf.pad(x, [[0, 0], [...rows], [...columns], [0, 0]]));
    }
    case 'Cropping2D': {
      const [[top], [left]] = op.margins;
      const [height = 0, width = 0, channels = 0] = output;
      return one((x) => tf.slice(x, [0, top, left, 0], [-1, height, width, channels]));
    }
    case 'UpSampling2D': {
      const size: [number, number] = [output[0] ?? 0, output[1] ?? 0];
      return op.interpolation === 'nearest'
        ? one((x) => tf.image.resizeNearestNeighbor(x as Image, size, false, false))
        : one((x) => tf.image.resizeBilinear(x as Image, size, false, true));
    }
    case 'Add':
    case 'Multiply':
    case 'Subtract':
    case 'Divide':
    case 'Average':
    case 'Maximum':
    case 'Minimum':
      return merge(tf, op.kind, inputs);
    case 'CustomScaleLayer':
      return ([x, branch]) => tf.add(x as Value, tf.mul(branch as Value, op.scale));
    case 'Concatenate':
      return (values) => (values.length === 1 ? tf.clone(values[0] as Value) : tf.concat([...values], op.axis));
    case 'Dense': {
      const [kernel, bias] = weights as [Tensor, Tensor?];
      const w = constant(kernel.data, kernel.shape) as ReturnType<Tfjs['tensor2d']>;
      const addend = bias && constant(bias.data, bias.shape);
      const act = activation(tf, op.activation);
      const [depth = 0, units = 0] = kernel.shape;
      return one((x) => {
        const product = tf.matMul(tf.reshape(x, [-1, depth]), w);
        const rows = addend ? tf.add(product, addend) : product;
        return act(rank === 1 ? rows : tf.reshape(rows, [-1, ...output.slice(0, -1), units]));
      });
    }
    case 'Flatten':
    case 'Reshape':
      return one((x) => tf.reshape(x, [-1, ...output]));
    case 'Permute':
      return one((x) => tf.transpose(x, [0, ...op.dims]));
    case 'InputLayer':
    case 'Identity':
      return one((x) => tf.clone(x));
    case 'Rescaling':
      return one(affine(tf, op.scale, op.offset, constant));
    case 'Normalization':
      return one(normalize(tf, op, weights, constant));
    case 'ReverseChannels':
      return one((x) => tf.reverse(x, [rank]));
    case 'BatchNormalization':
      throw new ModelError('batch normalization must be folded before a graph is run');
    default:
      throw new ModelError(`the tensorflow engine does not know the layer ${(op as Op).kind}: use --engine onnx`);
  }
}

/** Over the last axis: keras/src/layers/normalization/layer_normalization.py. */
function layerNorm(tf: Tfjs, op: OpOf<'LayerNormalization'>, weights: readonly Tensor[], constant: Constant) {
  const [gamma, beta] = op.scale ? weights : [undefined, weights[0]];
  const factor = gamma && constant(gamma.data, gamma.shape);
  const addend = beta && constant(beta.data, beta.shape);
  return (x: Value): Value => {
    const { mean, variance } = tf.moments(x, -1, true);
    const normal = tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, op.epsilon)));
    const scaled = factor ? tf.mul(normal, factor) : normal;
    return addend ? tf.add(scaled, addend) : scaled;
  };
}

/** Of groups of channels: keras/src/layers/normalization/group_normalization.py. */
function groupNorm(
  tf: Tfjs,
  op: OpOf<'GroupNormalization'>,
  shape: Shape,
  weights: readonly Tensor[],
  constant: Constant,
) {
  const [gamma, beta] = op.scale ? weights : [undefined, weights[0]];
  const factor = gamma && constant(gamma.data, gamma.shape);
  const addend = beta && constant(beta.data, beta.shape);
  const channels = shape.at(-1) ?? 1;
  return (x: Value): Value => {
    const grouped = tf.reshape(x, [x.shape[0] ?? 1, -1, op.groups, channels / op.groups]);
    const { mean, variance } = tf.moments(grouped, [1, 3], true);
    const normal = tf.reshape(tf.div(tf.sub(grouped, mean), tf.sqrt(tf.add(variance, op.epsilon))), x.shape);
    const scaled = factor ? tf.mul(normal, factor) : normal;
    return addend ? tf.add(scaled, addend) : scaled;
  };
}

/** x * scale + offset, one value or one a channel. */
function affine(tf: Tfjs, scale: readonly number[], offset: readonly number[], constant: Constant) {
  const factor = scale.some((value) => value !== 1) ? constant(scale, [scale.length]) : undefined;
  const addend = offset.some((value) => value !== 0) ? constant(offset, [offset.length]) : undefined;
  return (x: Value): Value => {
    const scaled = factor ? tf.mul(x, factor) : x;
    if (addend) return tf.add(scaled, addend);
    return factor ? scaled : tf.clone(x);
  };
}

/** (x - mean) / max(sqrt(variance), epsilon): keras/src/layers/preprocessing/normalization.py. */
function normalize(tf: Tfjs, op: OpOf<'Normalization'>, weights: readonly Tensor[], constant: Constant) {
  const mean = op.mean ?? Array.from(weights[0]?.data ?? []);
  const variance = op.variance ?? Array.from(weights[1]?.data ?? []);
  const deviation = variance.map((value) => Math.max(Math.sqrt(value), 1e-7));
  if (op.invert) return affine(tf, deviation, mean, constant);
  const shift = constant(mean, [mean.length]);
  const divisor = constant(deviation, [deviation.length]);
  return (x: Value): Value => tf.div(tf.sub(x, shift), divisor);
}

type Merging = 'Add' | 'Multiply' | 'Subtract' | 'Divide' | 'Average' | 'Maximum' | 'Minimum';

/** Missing axes come in front, behind the batch, as in Keras. */
function merge(tf: Tfjs, kind: Merging, shapes: readonly Shape[]): Step {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  const widened = shapes.map((shape) => [-1, ...new Array<number>(rank - shape.length).fill(1), ...shape]);
  const pair = {
    Add: tf.add,
    Average: tf.add,
    Multiply: tf.mul,
    Subtract: tf.sub,
    Divide: tf.div,
    Maximum: tf.maximum,
    Minimum: tf.minimum,
  }[kind];
  return (values) => {
    const [first, ...rest] = values.map((value, i) =>
      shapes[i]?.length === rank ? value : tf.reshape(value, widened[i] ?? []),
    ) as [Value, ...Value[]];
    const all = rest.reduce((a, b) => pair(a, b), first);
    if (kind === 'Average') return tf.mul(all, 1 / values.length);
    return all === values[0] ? tf.clone(all) : all;
  };
}
