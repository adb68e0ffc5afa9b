import { ModelError } from '../errors.js';
import type { Op, OpOf, Shape } from './graph.js';

/** What one weight of a layer is called in Keras, and the shape it must have. */
export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** Where Keras 3 keeps it, where that is a layer within the layer: `query_dense/vars/0`. */
  readonly place?: string;
}

/**
 * The weights of a layer in the order in which Keras saves them.
 * @throws ModelError when a size that they depend on is left open
 */
export function weightSpecs(op: Op, inputs: readonly Shape[]): WeightSpec[] {
  const channels = (): number => {
    const size = inputs[0]?.at(-1);
    if (typeof size !== 'number') throw new ModelError('the number of channels must be known');
    return size;
  };
  const bias = (op: { useBias: boolean }, size: number): WeightSpec[] =>
    op.useBias ? [{ name: 'bias', shape: [size] }] : [];
  switch (op.kind) {
    case 'Conv2D':
      return [
        { name: 'kernel', shape: [...op.kernelSize, channels() / op.groups, op.filters] },
        ...bias(op, op.filters),
      ];
    case 'DepthwiseConv2D':
      return [
        { name: 'depthwise_kernel', shape: [...op.kernelSize, channels(), op.depthMultiplier] },
        ...bias(op, channels() * op.depthMultiplier),
      ];
    case 'SeparableConv2D':
      return [
        { name: 'depthwise_kernel', shape: [...op.kernelSize, channels(), op.depthMultiplier] },
        { name: 'pointwise_kernel', shape: [1, 1, channels() * op.depthMultiplier, op.filters] },
        ...bias(op, op.filters),
      ];
    case 'BatchNormalization': {
      const names = [...(op.scale ? ['gamma'] : []), ...(op.center ? ['beta'] : []), 'moving_mean', 'moving_variance'];
      return names.map((name) => ({ name, shape: [channels()] }));
    }
    case 'LayerNormalization': {
      const names = [...(op.scale ? ['gamma'] : []), ...(op.center ? ['beta'] : [])];
      return names.map((name) => ({ name, shape: [channels()] }));
    }
    case 'Conv2DTranspose':
      return [{ name: 'kernel', shape: [...op.kernelSize, op.filters, channels()] }, ...bias(op, op.filters)];
    case 'GroupNormalization': {
      const names = [...(op.scale ? ['gamma'] : []), ...(op.center ? ['beta'] : [])];
      return names.map((name) => ({ name, shape: [channels()] }));
    }
    case 'MultiHeadAttention':
      return attention(op, inputs);
    case 'LayerScale':
      return [{ name: 'gamma', shape: [channels()] }];
    case 'Dense':
      return [{ name: 'kernel', shape: [channels(), op.units] }, ...bias(op, op.units)];
    case 'PReLU': {
      const shape = (inputs[0] ?? []).map((size, i) => (op.sharedAxes.includes(i + 1) ? 1 : size));
      if (!shape.every((size) => size !== null)) {
        throw new ModelError('PReLU without shared axes needs a fixed input size');
      }
      return [{ name: 'alpha', shape }];
    }
    case 'Normalization':
      if (op.mean !== null) return [];
      return [
        { name: 'mean', shape: [channels()] },
        { name: 'variance', shape: [channels()] },
        { name: 'count', shape: [] },
      ];
    default:
      return [];
  }
}

/** keras/src/layers/attention/multi_head_attention.py: a dense layer each for query, key, value and output. */
function attention(op: OpOf<'MultiHeadAttention'>, inputs: readonly Shape[]): WeightSpec[] {
  const [query, value, key = value] = inputs.map((shape) => shape.at(-1));
  if (typeof query !== 'number' || typeof value !== 'number' || typeof key !== 'number') {
    throw new ModelError('the size of a step must be known');
  }
  const { heads, keyDim, valueDim } = op;
  const out = op.outputDim ?? query;
  const dense = (name: string, group: string, kernel: readonly number[], bias: readonly number[]): WeightSpec[] => [
    { name: `${name}/kernel`, shape: kernel, place: `${group}/vars/0` },
    ...(op.useBias ? [{ name: `${name}/bias`, shape: bias, place: `${group}/vars/1` }] : []),
  ];
  return [
    ...dense('query', 'query_dense', [query, heads, keyDim], [heads, keyDim]),
    ...dense('key', 'key_dense', [key, heads, keyDim], [heads, keyDim]),
    ...dense('value', 'value_dense', [value, heads, valueDim], [heads, valueDim]),
    ...dense('attention_output', 'output_dense', [heads, valueDim, out], [out]),
  ];
}
