import type { Tensor as Value } from '@tensorflow/tfjs-core';
import { ModelError } from '../../errors.js';
import type { Activation, Convolution, Op, OpOf, Padding, Pair, Tensor } from '../../graph/graph.js';
import { windowAxis } from '../../graph/infer.js';
import type { Tfjs } from './runtime.js';

type Shape = readonly number[];
/** Every value carries the batch axis in front and Keras's axes behind it, channels last. */
type Image = ReturnType<Tfjs['tensor4d']>;

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

type Constant = (values: ArrayLike<number>, dims: Shape) => Value;

function activation(tf: Tfjs, name: Activation): (x: Value) => Value {
  switch (name) {
    case 'linear':
      return (x) => x;
    case 'relu':
      return (x) => tf.relu(x);
    case 'relu6':
      return (x) => tf.relu6(x);
    case 'sigmoid':
      return (x) => tf.sigmoid(x);
    case 'tanh':
      return (x) => tf.tanh(x);
    case 'softmax':
      return (x) => tf.softmax(x);
    case 'elu':
      return (x) => tf.elu(x);
    case 'selu':
      return (x) => tf.selu(x);
    case 'softplus':
      return (x) => tf.softplus(x);
    case 'softsign':
      return (x) => tf.div(x, tf.add(tf.abs(x), 1));
    case 'silu':
      return (x) => tf.mul(x, tf.sigmoid(x));
    case 'gelu':
      return (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
    case 'gelu_tanh':
      return (x) => {
        const inner = tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI));
        return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
      };
    case 'hard_sigmoid':
      return (x) => tf.mul(tf.relu6(tf.add(x, 3)), 1 / 6);
    case 'hard_sigmoid_v2':
      return (x) => tf.clipByValue(tf.add(tf.mul(x, 0.2), 0.5), 0, 1);
    case 'hard_silu':
      return (x) => tf.mul(x, tf.mul(tf.relu6(tf.add(x, 3)), 1 / 6));
    case 'exponential':
      return (x) => tf.exp(x);
    default:
      throw new ModelError(`the tensorflow engine does not know the activation ${name satisfies never}`);
  }
}

/** Keras's ReLU with all its options: keras/src/activations/activations.py. */
function relu(tf: Tfjs, { maxValue, negativeSlope, threshold }: OpOf<'ReLU'>): (x: Value) => Value {
  return (x) => {
    let positive = threshold === 0 ? tf.relu(x) : tf.mul(x, tf.cast(tf.greater(x, threshold), 'float32'));
    if (maxValue !== null) positive = tf.clipByValue(positive, 0, maxValue);
    if (negativeSlope === 0) return positive;
    return tf.sub(positive, tf.mul(tf.relu(tf.sub(threshold, x)), negativeSlope));
  };
}

/** tfjs has softmax over the last axis only. */
function softmax(tf: Tfjs, axis: number, rank: number): (x: Value) => Value {
  if (axis === rank) return (x) => tf.softmax(x);
  const swap = Array.from({ length: rank + 1 }, (_, i) => (i === axis ? rank : i === rank ? axis : i));
  return (x) => tf.transpose(tf.softmax(tf.transpose(x, swap)), swap);
}

/** A convolution without its bias. */
function convolution(
  tf: Tfjs,
  op: OpOf<'Conv2D' | 'DepthwiseConv2D' | 'SeparableConv2D'>,
  shape: Shape,
  weights: readonly Tensor[],
  constant: Constant,
): (x: Image) => Image {
  const [first, second] = weights as [Tensor, Tensor?];
  if (op.kind === 'Conv2D') return grouped(tf, op, shape, first, constant);
  const depthwise = eachChannel(tf, op, shape, first, constant);
  if (op.kind === 'DepthwiseConv2D' || !second) return depthwise;
  const pointwise = constant(second.data, second.shape) as Image;
  return (x) => tf.conv2d(depthwise(x), pointwise, 1, 'valid');
}

/** Neither tfjs nor TensorFlow's CPU kernels convolve in groups, so each group is a convolution of its own. */
function grouped(tf: Tfjs, op: OpOf<'Conv2D'>, shape: Shape, kernel: Tensor, constant: Constant): (x: Image) => Image {
  const window = windowOf(tf, op, shape);
  const whole = constant(window.spread(kernel).data, window.spread(kernel).shape) as Image;
  if (op.groups === 1) return (x) => window.run(x, (y, strides, pad) => tf.conv2d(y, whole, strides, pad));
  return (x) =>
    window.run(x, (y, strides, pad) => {
      const kernels = tf.split(whole, op.groups, 3);
      return tf.concat(
        tf.split(y, op.groups, 3).map((part, i) => tf.conv2d(part as Image, kernels[i] as Image, strides, pad)),
        3,
      );
    });
}

function eachChannel(tf: Tfjs, op: Convolution, shape: Shape, kernel: Tensor, constant: Constant): (x: Image) => Image {
  const window = windowOf(tf, op, shape, true);
  const spread = window.spread(kernel);
  const filter = constant(spread.data, spread.shape) as Image;
  return (x) => window.run(x, (y, strides, pad) => tf.depthwiseConv2d(y, filter, strides, pad));
}

/**
 * How a window slides where the backends do not: dilation becomes zeros inside the kernel (TensorFlow's depthwise CPU kernel
 * has none), a depthwise stride that differs by axis becomes stride 1 with the rows and columns between left out, and
 * padding that differs by side is put on first (WebAssembly's own is wrong for some even kernels).
 */
function windowOf(tf: Tfjs, op: Convolution, shape: Shape, isDepthwise = false) {
  const axis = (i: 0 | 1) => windowAxis(shape[i] ?? 0, op.kernelSize[i], op.strides[i], op.dilation[i], op.padding);
  const [h, w] = [axis(0), axis(1)];
  const isUneven = isDepthwise && op.strides[0] !== op.strides[1];
  const isCentred = h.before === h.after && w.before === w.after;
  const margins: [number, number][] = [
    [0, 0],
    [h.before, h.after],
    [w.before, w.after],
    [0, 0],
  ];
  return {
    spread: (kernel: Tensor): Tensor =>
      op.dilation.every((step) => step === 1) ? kernel : dilate(kernel, op.dilation),
    run(x: Image, convolve: (x: Image, strides: [number, number], padding: Padding) => Value): Image {
      if (isCentred && !isUneven) return convolve(x, [...op.strides], op.padding) as Image;
      const padded = tf.pad(x, margins);
      if (!isUneven) return convolve(padded, [...op.strides], 'valid') as Image;
      const every = convolve(padded, [1, 1], 'valid');
      const end = [x.shape[0], (h.out - 1) * op.strides[0] + 1, (w.out - 1) * op.strides[1] + 1, every.shape[3] ?? 1];
      return tf.stridedSlice(every, [0, 0, 0, 0], end, [1, ...op.strides, 1]) as Image;
    },
  };
}

/** `[h, w, c, m]` -> `[(h - 1) * rows + 1, (w - 1) * columns + 1, c, m]`, zeros between. */
function dilate(kernel: Tensor, [rows, columns]: Pair): Tensor {
  const [height = 0, width = 0, channels = 0, filters = 0] = kernel.shape;
  const tap = channels * filters;
  const wide = (width - 1) * columns + 1;
  const shape = [(height - 1) * rows + 1, wide, channels, filters];
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const from = (i * width + j) * tap;
      data.set(kernel.data.subarray(from, from + tap), (i * rows * wide + j * columns) * tap);
    }
  }
  return { shape, data };
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
