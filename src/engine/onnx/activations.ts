import type { Activation, OpOf } from '../../graph/graph.js';
import { axisOf, type Builder } from './builder.js';

/** Adds an activation of a value with `rank` axes. @returns the name of the result in the ONNX graph */
export function activate(b: Builder, x: string, activation: Activation, rank: number): string {
  switch (activation) {
    case 'linear':
      return x;
    case 'relu':
      return b.node('Relu', [x]);
    case 'relu6':
      return b.node('Clip', [x, b.constant([0]), b.constant([6])]);
    case 'sigmoid':
      return b.node('Sigmoid', [x]);
    case 'tanh':
      return b.node('Tanh', [x]);
    case 'softmax':
      return b.node('Softmax', [x], { axis: { i: axisOf(rank, rank) } });
    case 'elu':
      return b.node('Elu', [x], { alpha: { f: 1 } });
    case 'selu':
      return b.node('Selu', [x]);
    case 'softplus':
      return b.node('Softplus', [x]);
    case 'softsign':
      return b.node('Softsign', [x]);
    case 'silu':
      return b.node('Mul', [x, b.node('Sigmoid', [x])]);
    case 'gelu':
      return b.node('Gelu', [x], { approximate: 'none' });
    case 'gelu_tanh':
      return b.node('Gelu', [x], { approximate: 'tanh' });
    case 'hard_sigmoid':
      return b.node('HardSigmoid', [x], { alpha: { f: 1 / 6 }, beta: { f: 0.5 } });
    case 'hard_sigmoid_v2':
      return b.node('HardSigmoid', [x], { alpha: { f: 0.2 }, beta: { f: 0.5 } });
    case 'hard_silu':
      return b.node('HardSwish', [x]);
    case 'exponential':
      return b.node('Exp', [x]);
    case 'mish':
      return b.node('Mul', [x, b.node('Tanh', [b.node('Softplus', [x])])]);
    case 'log_softmax':
      return b.node('LogSoftmax', [x], { axis: { i: axisOf(rank, rank) } });
    case 'log_sigmoid':
      return b.node('Neg', [b.node('Softplus', [b.node('Neg', [x])])]);
    case 'hard_tanh':
      return b.node('Clip', [x, b.constant([-1]), b.constant([1])]);
    case 'tanh_shrink':
      return b.node('Sub', [x, b.node('Tanh', [x])]);
    case 'soft_shrink':
      return b.node('Shrink', [x], { lambd: { f: 0.5 }, bias: { f: 0.5 } });
    case 'hard_shrink':
      return b.node('Shrink', [x], { lambd: { f: 0.5 }, bias: { f: 0 } });
    case 'squareplus': {
      const root = b.node('Sqrt', [b.node('Add', [b.node('Mul', [x, x]), b.constant([4])])]);
      return b.node('Mul', [b.node('Add', [x, root]), b.constant([0.5])]);
    }
    case 'sparse_plus': {
      // (t + 1)² / 4 with t clipped to -1 … 1, and what lies above 1
      const half = b.node('HardSigmoid', [x], { alpha: { f: 0.5 }, beta: { f: 0.5 } });
      return b.node('Add', [b.node('Mul', [half, half]), b.node('Relu', [b.node('Sub', [x, b.constant([1])])])]);
    }
    case 'sparse_sigmoid':
      return b.node('HardSigmoid', [x], { alpha: { f: 0.5 }, beta: { f: 0.5 } });
  }
}

/** Keras's ReLU with all its options, as its own code computes it: keras/src/activations/activations.py. */
export function relu(b: Builder, x: string, { maxValue, negativeSlope, threshold }: OpOf<'ReLU'>): string {
  if (negativeSlope !== 0 && maxValue === null && threshold === 0) {
    return b.node('LeakyRelu', [x], { alpha: { f: negativeSlope } });
  }
  let positive = x;
  if (threshold !== 0) {
    const above = b.node('Greater', [x, b.constant([threshold])]);
    positive = b.node('Mul', [x, b.node('Cast', [above], { to: { i: 1 } })]);
  } else if (maxValue === null) {
    positive = b.node('Relu', [x]);
  }
  if (maxValue !== null) positive = b.node('Clip', [positive, b.constant([0]), b.constant([maxValue])]);
  if (negativeSlope === 0) return positive;
  const negative = b.node('Relu', [b.node('Sub', [b.constant([threshold]), x])]);
  return b.node('Sub', [positive, b.node('Mul', [negative, b.constant([negativeSlope])])]);
}
