import { ModelError } from '../errors.js';
import type { Activation, Elementwise, Shape } from '../graph/graph.js';
import { Arguments, type Operand } from './arguments.js';
import type { Attributes } from './attributes.js';
import { type Call, Constant } from './calls.js';
import { axisFrom, type Expression, type Step, step } from './expression.js';
import { getItem } from './get-item.js';
import { isText, shown } from './json.js';
import { knownClasses, readInterpolation } from './layers.js';
import { TENSORFLOW } from './tensorflow-functions.js';

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
  Mish: 'mish',
  LogSigmoid: 'log_sigmoid',
  HardTanh: 'hard_tanh',
  TanhShrink: 'tanh_shrink',
  SparsePlus: 'sparse_plus',
  SparseSigmoid: 'sparse_sigmoid',
};

const ELEMENTWISE: Readonly<Record<string, Elementwise>> = {
  Absolute: 'abs',
  Abs: 'abs',
  Exp: 'exp',
  Log: 'log',
  Sqrt: 'sqrt',
  Rsqrt: 'rsqrt',
  Square: 'square',
  Reciprocal: 'reciprocal',
  Sin: 'sin',
  Cos: 'cos',
};

const REDUCTIONS = { Mean: 'mean', Max: 'max', Min: 'min', Sum: 'sum', Amax: 'max', Amin: 'min' } as const;

const rescaling = (scale: readonly number[], offset: readonly number[], of: Expression): Step =>
  step({ kind: 'Rescaling', scale, offset }, of);

type Arithmetic = 'Add' | 'Subtract' | 'Multiply' | 'Divide' | 'Maximum' | 'Minimum';

/** Arithmetic between a tensor and numbers; null where it is not supported. */
function withNumbers(kind: Arithmetic, numbers: readonly number[], x: number, numbersFirst: boolean): Step | null {
  const [one = 0] = numbers;
  switch (kind) {
    case 'Add':
      return rescaling([1], numbers, x);
    case 'Multiply':
      return rescaling(numbers, [0], x);
    case 'Subtract':
      if (numbersFirst) return rescaling([-1], numbers, x);
      return rescaling(
        [1],
        numbers.map((value) => -value),
        x,
      );
    case 'Divide':
      if (numbersFirst) return rescaling(numbers, [0], step({ kind: 'Elementwise', by: 'reciprocal' }, x));
      return rescaling(
        numbers.map((value) => 1 / value),
        [0],
        x,
      );
    case 'Maximum':
      return numbers.length === 1 ? step({ kind: 'Clip', min: one, max: null }, x) : null;
    case 'Minimum':
      return numbers.length === 1 ? step({ kind: 'Clip', min: null, max: one }, x) : null;
  }
}

function arithmetic(kind: Arithmetic, first: Operand, second: Operand): Step | null {
  if (first instanceof Constant)
    return second instanceof Constant ? null : withNumbers(kind, first.values, second, true);
  return second instanceof Constant ? withNumbers(kind, second.values, first, false) : step({ kind }, first, second);
}

function power(x: Operand, exponent: Operand): Step | null {
  if (x instanceof Constant || !(exponent instanceof Constant) || exponent.values.length !== 1) return null;
  const [value = 1] = exponent.values;
  return value === 2 ? step({ kind: 'Elementwise', by: 'square' }, x) : step({ kind: 'Power', exponent: value }, x);
}

function reduction(name: keyof typeof REDUCTIONS, p: Arguments): Step {
  const x = p.tensor(0, 'x', 'input_tensor');
  const axes = p.axes(x, 1, 'axis').sort();
  const keepdims = p.flag(2, false, 'keepdims');
  const by = REDUCTIONS[name];
  if (axes.join() !== '1,2' || p.rank(x) !== 3 || by === 'min' || by === 'sum')
    return step({ kind: 'Reduce', by, axes, keepdims }, x);
  return step({ kind: by === 'mean' ? 'GlobalAveragePooling2D' : 'GlobalMaxPooling2D', keepdims }, x);
}

function resize(p: Arguments): Step | null {
  const x = p.tensor(0, 'images');
  const [height, width, ...more] = p.integers(1, 'size');
  const by = p.text(2, 'bilinear', 'interpolation', 'method');
  if (height === undefined || width === undefined || more.length > 0) return null;
  const crop = p.flag(-1, false, 'crop_to_aspect_ratio');
  const pad = p.flag(-1, false, 'pad_to_aspect_ratio');
  if (p.number(-1, 'fill_value', 0) !== 0 || p.text(-1, 'constant', 'fill_mode') !== 'constant') return null;
  if (p.text(-1, 'channels_last', 'data_format') !== 'channels_last') return null;
  if (p.flag(-1, false, 'preserve_aspect_ratio')) return null;
  const antialias = p.flag(-1, false, 'antialias');
  const fit = crop ? 'crop' : pad ? 'pad' : 'stretch';
  return step({ kind: 'Resizing', height, width, interpolation: readInterpolation(by), antialias, fit }, x);
}

/** Sizes of an example out of a shape that has the batch in front. */
function reshape(p: Arguments): Step | null {
  const x = p.tensor(0, 'x', 'tensor');
  const value = p.get(1, 'newshape', 'shape');
  const sizes = Array.isArray(value)
    ? value.map((size) => size ?? -1)
    : value instanceof Constant
      ? value.values
      : null;
  if (!sizes?.every((size): size is number => Number.isInteger(size))) return null;
  const [batch, ...targetShape] = sizes;
  if (batch !== -1 || targetShape.filter((size) => size < 1).length > 1) return null;
  const known = p.shape(x).every((size) => size !== null);
  if (!known && targetShape.includes(-1)) return null;
  return step({ kind: 'Reshape', targetShape }, x);
}

function pad(p: Arguments): Step | null {
  const x = p.tensor(0, 'x', 'tensor');
  const widths = p.integers(1, 'pad_width', 'paddings');
  if (p.text(2, 'constant', 'mode').toLowerCase() !== 'constant' || (p.optional(-1, 'constant_values') ?? 0) !== 0) {
    return null;
  }
  const [a, b, top = 0, bottom = 0, left = 0, right = 0, c, d] = widths;
  if (widths.length !== 8 || [a, b, c, d].some((size) => size !== 0) || widths.some((size) => size < 0)) return null;
  return step(
    {
      kind: 'ZeroPadding2D',
      margins: [
        [top, bottom],
        [left, right],
      ],
    },
    x,
  );
}

/** A new axis for each tensor, along which they are joined. */
function stack(p: Arguments): Step {
  const parts = p.tensors(0, 'x', 'values');
  const axis = axisFrom(p.number(1, 'axis', 0), p.rank(parts[0] ?? 0) + 1);
  return step({ kind: 'Concatenate', axis }, ...parts.map((part) => step({ kind: 'ExpandDims', axis }, part)));
}

function squeeze(p: Arguments): Step {
  const x = p.tensor(0, 'x', 'input');
  const axes = p.axes(x, 1, 'axis').sort((a, b) => b - a);
  const [first = 1, ...rest] = axes;
  return rest.reduce((y, axis) => step({ kind: 'Squeeze', axis }, y), step({ kind: 'Squeeze', axis: first }, x));
}

const FLOATS = ['float16', 'bfloat16', 'float32', 'float64'];

/** One reader for each operation; null where its arguments are not supported. */
const READERS: Readonly<Record<string, (p: Arguments) => Step | null>> = {
  Power: (p) => power(p.operand(0, 'x1', 'x'), p.operand(1, 'x2', 'y')),
  GetItem: getItem,
  Stack: stack,
  Squeeze: squeeze,
  Reshape: reshape,
  Pad: pad,
  Resize: resize,
  ExpandDims: (p) => {
    const x = p.tensor(0, 'x', 'input');
    return step({ kind: 'ExpandDims', axis: axisFrom(p.number(1, 'axis', -1), p.rank(x) + 1) }, x);
  },
  Concatenate: (p) => {
    const parts = p.tensors(0, 'xs', 'values');
    return step({ kind: 'Concatenate', axis: axisFrom(p.number(1, 'axis', -1), p.rank(parts[0] ?? 0)) }, ...parts);
  },
  Repeat: (p) => {
    const x = p.tensor(0, 'x', 'input');
    const [count = 0, ...more] = p.integers(1, 'repeats');
    const [axis = 0] = p.axes(x, 2, 'axis');
    if (more.length > 0 || count < 1 || count > 4096 || p.shape(x)[axis - 1] !== 1) return null;
    return step({ kind: 'Concatenate', axis }, ...new Array<number>(count).fill(x));
  },
  Transpose: (p) => {
    const x = p.tensor(0, 'x', 'a');
    const [batch, ...dims] = p.integers(1, 'axes', 'perm');
    return batch === 0 ? step({ kind: 'Permute', dims }, x) : null;
  },
  Flip: (p) => {
    const x = p.tensor(0, 'x', 'tensor');
    const axes = p.axes(x, 1, 'axis');
    const [axis = 0] = axes;
    if (axes.length !== 1) return null;
    if (axis === p.rank(x) && p.shape(x).at(-1) === 3) return step({ kind: 'ReverseChannels' }, x);
    return step({ kind: 'Slice', axis, start: null, stop: null, step: -1 }, x);
  },
  Cast: (p) => {
    const x = p.tensor(0, 'x');
    return FLOATS.includes(p.text(1, '', 'dtype')) ? step({ kind: 'Identity', className: 'Cast' }, x) : null;
  },
  StopGradient: (p) => step({ kind: 'Identity', className: 'StopGradient' }, p.tensor(0, 'x', 'input', 'variable')),
  Copy: (p) => step({ kind: 'Identity', className: 'Copy' }, p.tensor(0, 'x', 'input')),
  Clip: (p) => {
    const x = p.tensor(0, 'x', 't');
    const min = p.optional(1, 'x_min', 'clip_value_min');
    const max = p.optional(2, 'x_max', 'clip_value_max');
    return step({ kind: 'Clip', min, max }, x);
  },
  Gelu: (p) => {
    const x = p.tensor(0, 'x', 'features');
    return step({ kind: 'Activation', activation: p.flag(1, true, 'approximate') ? 'gelu_tanh' : 'gelu' }, x);
  },
  LeakyRelu: (p) => {
    const x = p.tensor(0, 'x', 'features');
    return step({ kind: 'LeakyReLU', negativeSlope: p.optional(1, 'negative_slope', 'alpha') ?? 0.2 }, x);
  },
  Elu: (p) => step({ kind: 'ELU', alpha: p.number(1, 'alpha', 1) }, p.tensor(0, 'x', 'features')),
  Softmax: (p) => {
    const x = p.tensor(0, 'x', 'logits');
    return step({ kind: 'Softmax', axis: axisFrom(p.number(1, 'axis', -1), p.rank(x)) }, x);
  },
  LogSoftmax: (p) => {
    const x = p.tensor(0, 'x', 'logits');
    const isLast = axisFrom(p.number(1, 'axis', -1), p.rank(x)) === p.rank(x);
    return isLast ? step({ kind: 'Activation', activation: 'log_softmax' }, x) : null;
  },
  Squareplus: (p) => {
    const x = p.tensor(0, 'x');
    return p.number(1, 'b', 4) === 4 ? step({ kind: 'Activation', activation: 'squareplus' }, x) : null;
  },
  Negative: (p) => rescaling([-1], [0], p.tensor(0, 'x')),
  Normalize: (p) => {
    const x = p.tensor(0, 'x');
    const axes = p.axes(x, 1, 'axis', 'dim');
    p.get(-1, 'epsilon');
    if ((p.optional(2, 'order') ?? 2) !== 2 || axes.join() !== `${p.rank(x)}`) return null;
    return step({ kind: 'UnitNormalization' }, x);
  },
  // ITU-R BT.601's weights, as TensorFlow rounds them: tensorflow/python/ops/image_ops_impl.py
  RGBToGrayscale: (p) => {
    const scaled = rescaling([0.2989, 0.587, 0.114], [0], p.tensor(0, 'images'));
    return step({ kind: 'Reduce', by: 'sum', axes: [3], keepdims: true }, scaled);
  },
  GrayscaleToRGB: (p) => {
    const x = p.tensor(0, 'images');
    return p.shape(x).at(-1) === 1 ? step({ kind: 'Concatenate', axis: 3 }, x, x, x) : null;
  },
};

const ARITHMETIC: Readonly<Record<string, Arithmetic>> = {
  Add: 'Add',
  Subtract: 'Subtract',
  Multiply: 'Multiply',
  Divide: 'Divide',
  TrueDivide: 'Divide',
  Maximum: 'Maximum',
  Minimum: 'Minimum',
};

const own = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;

function operation(name: string, p: Arguments): Step | null {
  const kind = own(ARITHMETIC, name);
  if (kind) return arithmetic(kind, p.operand(0, 'x1', 'x', 'value'), p.operand(1, 'x2', 'y', 'bias'));
  const activation = own(ACTIVATIONS, name);
  if (activation) return step({ kind: 'Activation', activation }, p.tensor(0, 'x', 'features'));
  const by = own(ELEMENTWISE, name);
  if (by) return step({ kind: 'Elementwise', by }, p.tensor(0, 'x'));
  if (Object.hasOwn(REDUCTIONS, name)) return reduction(name as keyof typeof REDUCTIONS, p);
  return own(READERS, name)?.(p) ?? null;
}

/**
 * Whether a node without a module, as Keras 3 writes it into `.h5`, is an operation: by a name that no layer has, or by numbers and
 * tensors side by side where the layer of that name takes one list.
 */
export const looksLikeOperation = (className: string, { args }: Call): boolean =>
  Object.hasOwn(ARITHMETIC, className) && args.length > 1
    ? true
    : !knownClasses().includes(className) &&
      [ARITHMETIC, ACTIVATIONS, ELEMENTWISE, REDUCTIONS, READERS].some((table) => Object.hasOwn(table, className));

/** Whether a layer is a function of TensorFlow, as Keras 2 saves it. */
export const isTensorflow = (className: string): boolean =>
  className === 'TFOpLambda' || className === 'SlicingOpLambda';

/**
 * What a node of an operation computes: of `keras.ops`, which Keras 3 saves each (`x + 3.0`, `keras.ops.relu(x)`) as a node of its
 * own, or of TensorFlow, which Keras 2 saves as `TFOpLambda` and `SlicingOpLambda`.
 * @param shapes of the tensors that it takes
 * @throws ModelError for an operation that is not supported
 */
export function readOperation(className: string, a: Attributes, call: Call, shapes: readonly Shape[]): Step {
  const given = isTensorflow(className) ? a.raw('function') : className;
  const called = isText(given) ? given.slice(0, 200) : shown(given);
  const name = isTensorflow(className) ? own(TENSORFLOW, called) : className;
  const p = new Arguments(call, a, shapes);
  const found = name === undefined ? null : operation(name, p);
  if (!found) {
    const what = isTensorflow(className)
      ? `the function tf.${called}(${p})`
      : `the operation ${className}(${p}) of keras.ops`;
    throw new ModelError(`${a.where}: ${what} is not supported`);
  }
  p.finish();
  a.finish();
  return found;
}
