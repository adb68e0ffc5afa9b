import type { Tensor as Value } from '@tensorflow/tfjs-core';
import { ModelError } from '../../errors.js';
import type { Activation, OpOf } from '../../graph/graph.js';
import type { Tfjs } from './runtime.js';

/** @returns what computes an activation */
export function activation(tf: Tfjs, name: Activation): (x: Value) => Value {
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
    case 'mish':
      return (x) => tf.mul(x, tf.tanh(tf.softplus(x)));
    case 'log_softmax':
      return (x) => tf.logSoftmax(x);
    case 'log_sigmoid':
      return (x) => tf.neg(tf.softplus(tf.neg(x)));
    case 'hard_tanh':
      return (x) => tf.clipByValue(x, -1, 1);
    case 'tanh_shrink':
      return (x) => tf.sub(x, tf.tanh(x));
    case 'soft_shrink':
      return (x) => tf.sub(x, tf.clipByValue(x, -0.5, 0.5));
    case 'hard_shrink':
      return (x) => tf.mul(x, tf.cast(tf.greater(tf.abs(x), 0.5), 'float32'));
    case 'squareplus':
      return (x) => tf.mul(tf.add(x, tf.sqrt(tf.add(tf.square(x), 4))), 0.5);
    case 'sparse_plus':
      return (x) => {
        const half = tf.clipByValue(tf.add(tf.mul(x, 0.5), 0.5), 0, 1);
        return tf.add(tf.square(half), tf.relu(tf.sub(x, 1)));
      };
    case 'sparse_sigmoid':
      return (x) => tf.clipByValue(tf.add(tf.mul(x, 0.5), 0.5), 0, 1);
    default:
      throw new ModelError(`the tensorflow engine does not know the activation ${name satisfies never}`);
  }
}

/** Keras's ReLU with all its options: keras/src/activations/activations.py. */
export function relu(tf: Tfjs, { maxValue, negativeSlope, threshold }: OpOf<'ReLU'>): (x: Value) => Value {
  return (x) => {
    let positive = threshold === 0 ? tf.relu(x) : tf.mul(x, tf.cast(tf.greater(x, threshold), 'float32'));
    if (maxValue !== null) positive = tf.clipByValue(positive, 0, maxValue);
    if (negativeSlope === 0) return positive;
    return tf.sub(positive, tf.mul(tf.relu(tf.sub(threshold, x)), negativeSlope));
  };
}

/** tfjs has softmax over the last axis only. */
export function softmax(tf: Tfjs, axis: number, rank: number): (x: Value) => Value {
  if (axis === rank) return (x) => tf.softmax(x);
  const swap = Array.from({ length: rank + 1 }, (_, i) => (i === axis ? rank : i === rank ? axis : i));
  return (x) => tf.transpose(tf.softmax(tf.transpose(x, swap)), swap);
}
