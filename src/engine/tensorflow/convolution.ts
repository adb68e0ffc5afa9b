import type { Tensor as Value } from '@tensorflow/tfjs-core';
import type { Convolution, OpOf, Padding, Pair, Tensor } from '../../graph/graph.js';
import { transposedAxis, windowAxis } from '../../graph/infer.js';
import type { Tfjs } from './runtime.js';

type Shape = readonly number[];
/** Every value carries the batch axis in front and Keras's axes behind it, channels last. */
export type Image = ReturnType<Tfjs['tensor4d']>;
/** Makes a constant that the step holds on to. */
export type Constant = (values: ArrayLike<number>, dims: Shape) => Value;

/** A convolution without its bias. */
export function convolution(
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
 * padding that differs by side is put on first (WebAssembly's own is wrong for some kernels that are even or not square).
 */
function windowOf(tf: Tfjs, op: Convolution, shape: Shape, isDepthwise = false) {
  const axis = (i: 0 | 1) => windowAxis(shape[i] ?? 0, op.kernelSize[i], op.strides[i], op.dilation[i], op.padding);
  const [h, w] = [axis(0), axis(1)];
  const isUneven = isDepthwise && op.strides[0] !== op.strides[1];
  const isCentred = [h.after, w.before, w.after].every((margin) => margin === h.before);
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

/** A transposed convolution without its bias: what each value spreads, cut or filled up as TensorFlow does. */
export function transposed(
  tf: Tfjs,
  op: OpOf<'Conv2DTranspose'>,
  shape: Shape,
  kernel: Tensor,
  constant: Constant,
): (x: Image) => Image {
  const filter = constant(kernel.data, kernel.shape) as Image;
  const axis = (i: 0 | 1) =>
    transposedAxis(shape[i] ?? 0, op.kernelSize[i], op.strides[i], op.padding, op.outputPadding?.[i] ?? null);
  const [rows, columns] = [axis(0), axis(1)];
  const full = (i: 0 | 1): number => ((shape[i] ?? 0) - 1) * op.strides[i] + op.kernelSize[i];
  const kept = (i: 0 | 1, { before, out }: typeof rows): number => Math.min(before + out, full(i)) - before;
  return (x) => {
    const whole: [number, number, number, number] = [x.shape[0], full(0), full(1), op.filters];
    const spread = tf.conv2dTranspose(x, filter, whole, [...op.strides], 'valid');
    const begin = [0, rows.before, columns.before, 0];
    const inside = tf.slice(spread, begin, [-1, kept(0, rows), kept(1, columns), op.filters]);
    return tf.pad(inside, [
      [0, 0],
      [0, Math.max(-rows.after, 0)],
      [0, Math.max(-columns.after, 0)],
      [0, 0],
    ]) as Image;
  };
}
