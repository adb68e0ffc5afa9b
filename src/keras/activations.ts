import type { Activation } from '../graph/graph.js';

/** Activations by a name that is theirs here too. */
const byTheirName = (names: readonly Activation[]): Partial<Record<Activation, Activation>> =>
  Object.fromEntries(names.map((name) => [name, name]));

const EVERYWHERE = byTheirName([
  ...(['linear', 'relu', 'relu6', 'sigmoid', 'tanh', 'softmax'] as const),
  ...(['elu', 'selu', 'softplus', 'softsign', 'gelu'] as const),
]);

/** What Keras calls its activations; `hard_sigmoid`, which each version means otherwise, is left to who knows the version. */
export const KERAS_ACTIVATIONS: Partial<Record<Activation, Activation>> = {
  ...EVERYWHERE,
  ...byTheirName([
    ...(['silu', 'hard_silu', 'exponential', 'mish', 'log_softmax', 'log_sigmoid', 'hard_tanh'] as const),
    ...(['tanh_shrink', 'soft_shrink', 'hard_shrink', 'squareplus', 'sparse_plus', 'sparse_sigmoid'] as const),
  ]),
};

/** What TensorFlow.js calls those that it has. */
export const TFJS_ACTIVATIONS: Partial<Record<Activation, string>> = {
  ...EVERYWHERE,
  silu: 'swish',
  hard_sigmoid_v2: 'hard_sigmoid',
};
