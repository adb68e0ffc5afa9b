import type { Tensor as Value } from '@tensorflow/tfjs-core';
import type { Elementwise, OpOf } from '../../graph/graph.js';
import { sliceAxis } from '../../graph/infer.js';
import { resampling } from '../../graph/resample.js';
import type { Constant } from './convolution.js';
import type { Tfjs } from './runtime.js';

type Shape = readonly number[];
type Step = (x: Value) => Value;

/** Rows and columns multiplied with a matrix each. */
export function resample(tf: Tfjs, op: OpOf<'Resizing' | 'CenterCrop'>, shape: Shape, constant: Constant): Step {
  const [height = 0, width = 0, channels = 0] = shape;
  const made = resampling(op, height, width);
  const [rows, columns] = [constant(made.rows, [op.height, height]), constant(made.columns, [op.width, width])];
  return (x) => {
    const n = x.shape[0] ?? 1;
    const first = tf.reshape(tf.transpose(x, [1, 2, 0, 3]), [height, width * n * channels]);
    const down = tf.reshape(tf.matMul(rows, first), [op.height, width, n, channels]);
    const second = tf.reshape(tf.transpose(down, [1, 0, 2, 3]), [width, op.height * n * channels]);
    const across = tf.reshape(tf.matMul(columns, second), [op.width, op.height, n, channels]);
    return tf.transpose(across, [2, 1, 0, 3]);
  };
}

/** Python's slice of one axis. */
export function slice(tf: Tfjs, op: OpOf<'Slice'>, shape: Shape): Step {
  const { from, count } = sliceAxis(shape[op.axis - 1] ?? 0, op);
  return (x) => {
    const places = Array.from({ length: count }, (_, i) => from + i * op.step);
    return tf.gather(x, tf.tensor1d(places, 'int32'), op.axis);
  };
}

export function reduce(tf: Tfjs, { by, axes, keepdims }: OpOf<'Reduce'>): Step {
  return (x) => (axes.length === 0 ? tf.clone(x) : tf[by](x, [...axes], keepdims));
}

/** Values kept between two limits. */
export function clip(tf: Tfjs, { min, max }: OpOf<'Clip'>): Step {
  return (x) => {
    const above = min === null ? tf.clone(x) : tf.maximum(x, min);
    return max === null ? above : tf.minimum(above, max);
  };
}

export function elementwise(tf: Tfjs, by: Elementwise): Step {
  return (x) => tf[by](x);
}
