import { ModelError } from '../errors.js';
import type { Activation, Op } from '../graph/graph.js';
import type { Attributes } from './attributes.js';

/** What an operation is called with: the output of another node, or numbers that Keras wrote into the file (one, or one a channel). */
export type Argument = 'tensor' | readonly number[];

/** Operations of one tensor that are activations. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  Relu: 'relu',
  Relu6: 'relu6',
  Sigmoid: 'sigmoid',
  Tanh: 'tanh',
  Selu: 'selu',
  Silu: 'silu',
  Softplus: 'softplus',
  Softsign: 'softsign',
  HardSigmoid: 'hard_sigmoid',
  HardSilu: 'hard_silu',
  Exp: 'exponential',
};

const ARITHMETIC: Readonly<Record<string, 'Add' | 'Subtract' | 'Multiply' | 'Divide' | 'Maximum' | 'Minimum'>> = {
  Add: 'Add',
  Subtract: 'Subtract',
  Multiply: 'Multiply',
  Divide: 'Divide',
  TrueDivide: 'Divide',
  Maximum: 'Maximum',
  Minimum: 'Minimum',
};

/** Arithmetic between a tensor and numbers, as the Rescaling that it is; null where it is none. */
function withNumbers(kind: string, numbers: readonly number[], first: boolean): Op | null {
  const each = (change: (value: number) => number): number[] => numbers.map(change);
  switch (kind) {
    case 'Add':
      return { kind: 'Rescaling', scale: [1], offset: numbers };
    case 'Multiply':
      return { kind: 'Rescaling', scale: numbers, offset: [0] };
    case 'Subtract':
      return first
        ? { kind: 'Rescaling', scale: [-1], offset: numbers }
        : { kind: 'Rescaling', scale: [1], offset: each((value) => -value) };
    case 'Divide':
      return first ? null : { kind: 'Rescaling', scale: each((value) => 1 / value), offset: [0] };
    default:
      return null;
  }
}

/** Whether the axes are those of rows and columns, in whatever way they are counted. */
const overImage = (axes: readonly number[], rank: number): boolean => {
  const counted = axes.map((axis) => (axis < 0 ? axis + rank + 1 : axis)).sort();
  return rank === 3 && counted.join() === '1,2';
};

/**
 * What a node of `keras.ops` computes. Keras 3 saves each (`x + 3.0`, `keras.ops.relu(x)`) as a node of its own.
 * @param args in the order of the call
 * @throws ModelError for an operation that is not supported
 */
export function readOperation(className: string, a: Attributes, args: readonly Argument[]): Op {
  const op = operation(className, a, args);
  if (!op) {
    const shown = args
      .map((arg) => (arg === 'tensor' ? arg : arg.slice(0, 4).join(' ')))
      .slice(0, 8)
      .join(', ');
    throw new ModelError(`${a.where}: the operation ${className}(${shown}) of keras.ops is not supported`);
  }
  a.finish();
  return op;
}

function operation(className: string, a: Attributes, args: readonly Argument[]): Op | null {
  const [x, y] = args;
  const tensors = args.length > 0 && args.every((arg) => arg === 'tensor');
  const arithmetic = Object.hasOwn(ARITHMETIC, className) ? ARITHMETIC[className] : undefined;
  if (arithmetic && args.length === 2) {
    if (tensors) return { kind: arithmetic };
    if (x === 'tensor' && y !== undefined && y !== 'tensor') return withNumbers(arithmetic, y, false);
    if (y === 'tensor' && x !== undefined && x !== 'tensor') return withNumbers(arithmetic, x, true);
    return null;
  }
  if (!tensors) return null;
  if (className === 'Concatenate') return { kind: 'Concatenate', axis: a.integers('axis')[0] ?? -1 };
  if (args.length !== 1) return null;
  const activation = Object.hasOwn(ACTIVATIONS, className) ? ACTIVATIONS[className] : undefined;
  if (activation) return { kind: 'Activation', activation };
  switch (className) {
    case 'Gelu':
      return { kind: 'Activation', activation: a.boolean('approximate', true) ? 'gelu_tanh' : 'gelu' };
    case 'Softmax':
      return { kind: 'Softmax', axis: a.integers('axis')[0] ?? -1 };
    case 'Negative':
      return { kind: 'Rescaling', scale: [-1], offset: [0] };
    case 'Mean':
    case 'Max': {
      if (!overImage(a.integers('axis'), a.lastAxis)) return null;
      const kind = className === 'Mean' ? 'GlobalAveragePooling2D' : 'GlobalMaxPooling2D';
      return { kind, keepdims: a.boolean('keepdims', false) };
    }
    default:
      return null;
  }
}
