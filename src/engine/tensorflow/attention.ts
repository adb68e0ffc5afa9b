import type { Tensor as Value } from '@tensorflow/tfjs-core';
import type { OpOf, Tensor } from '../../graph/graph.js';
import type { Constant } from './convolution.js';
import type { Tfjs } from './runtime.js';

/** keras/src/layers/attention/multi_head_attention.py */
export function attend(
  tf: Tfjs,
  { heads, keyDim, valueDim, useBias }: OpOf<'MultiHeadAttention'>,
  inputs: readonly (readonly number[])[],
  weights: readonly Tensor[],
  constant: Constant,
): (inputs: readonly Value[]) => Value {
  const rest = [...weights];
  const dense = (rows: number): ((x: Value) => Value) => {
    const values = rest.shift()?.data ?? [];
    const columns = values.length / rows;
    const kernel = constant(values, [rows, columns]);
    const bias = useBias ? rest.shift()?.data : undefined;
    const addend = bias && constant(bias, [bias.length]);
    return (x) => {
      const product = tf.matMul(tf.reshape(x, [-1, rows]), kernel);
      return tf.reshape(addend ? tf.add(product, addend) : product, [...x.shape.slice(0, -1), columns]);
    };
  };
  const [query = [], value = [], key = value] = inputs;
  const [toQuery, toKey, toValue] = [dense(query[1] ?? 0), dense(key[1] ?? 0), dense(value[1] ?? 0)];
  const toOutput = dense(heads * valueDim);
  // [n, steps, heads * size] -> [n, heads, steps, size]
  const split = (x: Value, size: number): Value =>
    tf.transpose(tf.reshape(x, [x.shape[0] ?? 1, x.shape[1] ?? 1, heads, size]), [0, 2, 1, 3]);
  return (values) => {
    const [q, v, k = v] = values as [Value, Value, Value?];
    const scaled = tf.mul(split(toQuery(q), keyDim), 1 / Math.sqrt(keyDim));
    const shares = tf.softmax(tf.matMul(scaled, split(toKey(k), keyDim), false, true));
    const mixed = tf.transpose(tf.matMul(shares, split(toValue(v), valueDim)), [0, 2, 1, 3]);
    return toOutput(tf.reshape(mixed, [q.shape[0] ?? 1, q.shape[1] ?? 1, heads * valueDim]));
  };
}
