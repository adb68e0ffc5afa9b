import type { OpOf, Tensor } from '../../graph/graph.js';
import type { Builder, Value } from './builder.js';

/** keras/src/layers/attention/multi_head_attention.py. @returns the name of the result, `[n, steps, size]` */
export function attend(
  b: Builder,
  op: OpOf<'MultiHeadAttention'>,
  inputs: readonly Value[],
  weights: readonly Tensor[],
): string {
  const { heads, keyDim, valueDim, useBias } = op;
  const rest = [...weights];
  const dense = (x: string, rows: number): string => {
    const kernel = rest.shift();
    const values = kernel?.data ?? [];
    const y = b.node('MatMul', [x, b.constant(values, [rows, values.length / rows])]);
    const bias = useBias ? rest.shift()?.data : undefined;
    return bias ? b.node('Add', [y, b.constant(bias, [bias.length])]) : y;
  };
  const [query, value, key = value] = inputs as [Value, Value, Value?];
  // [n, steps, heads * size] -> [n, heads, steps, size]
  const split = (x: string, size: number, perm: readonly number[]): string =>
    b.node('Transpose', [b.node('Reshape', [x, b.integers([0, 0, heads, size])])], { perm });
  const q = split(dense(query.name, query.shape[1] ?? 0), keyDim, [0, 2, 1, 3]);
  const k = split(dense(key.name, key.shape[1] ?? 0), keyDim, [0, 2, 3, 1]);
  const v = split(dense(value.name, value.shape[1] ?? 0), valueDim, [0, 2, 1, 3]);
  const scaled = b.node('Mul', [q, b.constant([1 / Math.sqrt(keyDim)])]);
  const shares = b.node('Softmax', [b.node('MatMul', [scaled, k])], { axis: { i: 3 } });
  const mixed = b.node('Transpose', [b.node('MatMul', [shares, v])], { perm: [0, 2, 1, 3] });
  return dense(b.node('Reshape', [mixed, b.integers([0, 0, heads * valueDim])]), heads * valueDim);
}
