import { ModelError } from '../errors.js';
import type { Convolution, Graph, Margins, Node, Op, OpOf, Padding, Pair, Shape } from './graph.js';
import { type WeightSpec, weightSpecs } from './weight-specs.js';

export { type WeightSpec, weightSpecs };

/** The largest number of values that one example may have at any node: refuses absurd models before any memory is asked for. */
const MAX_VALUES = 2 ** 31 - 1;

/** How one spatial axis of a window operation is laid out: its output size and, for `same`, TensorFlow's padding. */
export function windowAxis(
  size: number,
  kernel: number,
  stride: number,
  dilation: number,
  padding: Padding,
): { out: number; before: number; after: number } {
  const reach = (kernel - 1) * dilation + 1;
  if (padding === 'valid') return { out: Math.floor((size - reach) / stride) + 1, before: 0, after: 0 };
  const out = Math.ceil(size / stride);
  const total = Math.max((out - 1) * stride + reach - size, 0);
  return { out, before: Math.floor(total / 2), after: Math.ceil(total / 2) };
}

/**
 * How one spatial axis of a transposed convolution is laid out: its output size, and how many of the values that each input
 * spreads are cut off in front and behind (negative: zeros are added): keras/src/backend/common/backend_utils.py.
 */
export function transposedAxis(
  size: number,
  kernel: number,
  stride: number,
  padding: Padding,
  outputPadding: number | null,
): { out: number; before: number; after: number } {
  const full = (size - 1) * stride + kernel;
  if (padding === 'valid') {
    const out = full + (outputPadding ?? Math.max(stride - kernel, 0));
    return { out, before: 0, after: full - out };
  }
  const out = outputPadding === null ? size * stride : (size - 1) * stride + (kernel % 2) + outputPadding;
  const before = Math.floor(Math.max(full - out, 0) / 2);
  return { out, before, after: full - out - before };
}

/** The values that Python's `start:stop:step` takes of an axis. */
export function sliceAxis(size: number, { start, stop, step }: Pick<OpOf<'Slice'>, 'start' | 'stop' | 'step'>) {
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const bound = (value: number): number => Math.min(Math.max(value < 0 ? value + size : value, low), high);
  const from = start === null ? (step > 0 ? low : high) : bound(start);
  const to = stop === null ? (step > 0 ? high : low) : bound(stop);
  return { from, to, count: Math.max(Math.ceil((to - from) / step), 0) };
}

const NO_DILATION: Pair = [1, 1];

type Window = Pick<Convolution, 'strides' | 'padding'>;

function slide(shape: Shape, kernel: Pair, op: Window, channels: number | null, dilation: Pair = NO_DILATION): Shape {
  if (shape.length !== 3) throw new ModelError(`expected an image [height, width, channels], found ${show(shape)}`);
  const size = (axis: 0 | 1): number | null => {
    const input = shape[axis] ?? null;
    if (input === null) return null;
    return windowAxis(input, kernel[axis], op.strides[axis], dilation[axis], op.padding).out;
  };
  return [size(0), size(1), channels];
}

function scale(shape: Shape, change: (size: number, axis: 0 | 1) => number): Shape {
  if (shape.length !== 3) throw new ModelError(`expected an image [height, width, channels], found ${show(shape)}`);
  const [height = null, width = null, channels = null] = shape;
  return [height === null ? null : change(height, 0), width === null ? null : change(width, 1), channels];
}

const sum = (margins: Margins, axis: 0 | 1): number => margins[axis][0] + margins[axis][1];

/** The shape that broadcasting two shapes gives, as numpy does it. */
function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = i < rank - a.length ? 1 : (a[i - (rank - a.length)] ?? null);
    const y = i < rank - b.length ? 1 : (b[i - (rank - b.length)] ?? null);
    if (x === 1) return y;
    if (y === 1 || x === y) return x;
    if (x === null || y === null) return x ?? y;
    throw new ModelError(`shapes ${show(a)} and ${show(b)} do not go together`);
  });
}

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const isKnown = (shape: Shape): shape is readonly number[] => shape.every((size) => size !== null);

/**
 * The shape of one example that an operation gives, as Keras infers it.
 * @param inputs shapes of its inputs, without the batch axis
 * @throws ModelError when the inputs do not fit
 */
export function inferShape(op: Op, inputs: readonly Shape[]): Shape {
  const merges = ['Add', 'Multiply', 'Average', 'Maximum', 'Minimum', 'Concatenate'].includes(op.kind);
  const pairs = ['Subtract', 'Divide', 'CustomScaleLayer'].includes(op.kind);
  const wanted = op.kind === 'InputLayer' ? 0 : pairs ? 2 : 1;
  const attends = op.kind === 'MultiHeadAttention' && (inputs.length === 2 || inputs.length === 3);
  if (op.kind === 'Refused') throw new ModelError(op.reason);
  if (merges ? inputs.length < 1 : inputs.length !== wanted && !attends) {
    throw new ModelError(`expected ${wanted} input${wanted === 1 ? '' : 's'}, found ${inputs.length}`);
  }
  const shape = inputs[0] ?? [];
  const last = shape.at(-1) ?? null;
  switch (op.kind) {
    case 'InputLayer':
      return op.shape;
    case 'Conv2D':
      if (last === null || last % op.groups !== 0 || op.filters % op.groups !== 0) {
        throw new ModelError(`${last} channels and ${op.filters} filters do not divide into ${op.groups} groups`);
      }
      return slide(shape, op.kernelSize, op, op.filters, op.dilation);
    case 'DepthwiseConv2D':
      return slide(shape, op.kernelSize, op, last === null ? null : last * op.depthMultiplier, op.dilation);
    case 'SeparableConv2D':
      return slide(shape, op.kernelSize, op, op.filters, op.dilation);
    case 'Conv2DTranspose': {
      const { kernelSize, strides, padding, outputPadding } = op;
      const axis = (size: number, i: 0 | 1): number =>
        transposedAxis(size, kernelSize[i], strides[i], padding, outputPadding?.[i] ?? null).out;
      return [...scale(shape, axis).slice(0, 2), op.filters];
    }
    case 'GroupNormalization':
      if (last === null || last % op.groups !== 0)
        throw new ModelError(`${last} channels do not divide into ${op.groups} groups`);
      return shape;
    case 'MultiHeadAttention':
      if (inputs.some((input) => input.length !== 2)) {
        throw new ModelError(`attention is over [steps, size] only, found ${inputs.map(show).join(' and ')}`);
      }
      return [shape[0] ?? null, op.outputDim ?? last];
    case 'Reduce': {
      if (op.axes.some((axis) => axis < 1 || axis > shape.length)) {
        throw new ModelError(`there are no axes ${op.axes.join(', ')} to take together in ${show(shape)}`);
      }
      if (op.keepdims) return shape.map((size, i) => (op.axes.includes(i + 1) ? 1 : size));
      return shape.filter((_, i) => !op.axes.includes(i + 1));
    }
    case 'Resizing':
    case 'CenterCrop':
      return [op.height, op.width, scale(shape, (size) => size)[2] ?? null];
    case 'Slice': {
      if (op.axis < 1 || op.axis > shape.length) throw new ModelError(`${show(shape)} has no axis ${op.axis}`);
      return shape.map((size, i) => (size === null || i + 1 !== op.axis ? size : sliceAxis(size, op).count));
    }
    case 'Squeeze':
      if (shape[op.axis - 1] !== 1) throw new ModelError(`axis ${op.axis} of ${show(shape)} is not of size 1`);
      return shape.filter((_, i) => i + 1 !== op.axis);
    case 'ExpandDims':
      if (op.axis < 1 || op.axis > shape.length + 1) throw new ModelError(`${show(shape)} has no place ${op.axis}`);
      return [...shape.slice(0, op.axis - 1), 1, ...shape.slice(op.axis - 1)];
    case 'MaxPooling2D':
    case 'AveragePooling2D':
      return slide(shape, op.poolSize, op, last);
    case 'GlobalAveragePooling2D':
    case 'GlobalMaxPooling2D':
      if (shape.length !== 3) throw new ModelError(`expected an image [height, width, channels], found ${show(shape)}`);
      return op.keepdims ? [1, 1, last] : [last];
    case 'ZeroPadding2D':
      return scale(shape, (size, axis) => size + sum(op.margins, axis));
    case 'Cropping2D':
      return scale(shape, (size, axis) => size - sum(op.margins, axis));
    case 'UpSampling2D':
      return scale(shape, (size, axis) => size * op.size[axis]);
    case 'Add':
    case 'Multiply':
    case 'Subtract':
    case 'Divide':
    case 'Average':
    case 'Maximum':
    case 'Minimum':
    case 'CustomScaleLayer':
      return inputs.reduce(broadcast);
    case 'Concatenate': {
      const axis = op.axis - 1;
      if (axis < 0 || axis >= shape.length) throw new ModelError(`there is no axis ${op.axis} to concatenate`);
      return shape.map((size, i) => {
        const sizes = inputs.map((input) => input[i] ?? null);
        if (inputs.some((input) => input.length !== shape.length)) {
          throw new ModelError(`shapes ${inputs.map(show).join(' and ')} do not go together`);
        }
        if (i === axis) return sizes.includes(null) ? null : sizes.reduce<number>((a, b) => a + (b ?? 0), 0);
        if (sizes.some((other) => other !== size)) {
          throw new ModelError(`shapes ${inputs.map(show).join(' and ')} do not go together`);
        }
        return size;
      });
    }
    case 'Dense':
      return [...shape.slice(0, -1), op.units];
    case 'Flatten':
      return isKnown(shape) ? [product(shape)] : [null];
    case 'Reshape': {
      if (!isKnown(shape)) return op.targetShape.map((size) => (size === -1 ? null : size));
      const known = product(op.targetShape.filter((size) => size !== -1));
      const target = op.targetShape.map((size) => (size === -1 ? product(shape) / known : size));
      if (product(target) !== product(shape) || !target.every(Number.isInteger)) {
        throw new ModelError(`${show(shape)} cannot be reshaped to ${show(op.targetShape)}`);
      }
      return target;
    }
    case 'Rescaling': {
      const { length } = op.scale.length > 1 ? op.scale : op.offset;
      if (length !== 1 && length !== last) throw new ModelError(`${length} numbers do not go with ${last} channels`);
      return shape;
    }
    case 'Permute': {
      if ([...op.dims].sort((a, b) => a - b).some((dim, i) => dim !== i + 1) || op.dims.length !== shape.length) {
        throw new ModelError(`dims ${show(op.dims)} do not permute ${show(shape)}`);
      }
      return op.dims.map((dim) => shape[dim - 1] ?? null);
    }
    default:
      return shape;
  }
}

/** A shape as Keras prints it, the batch left out. */
export const show = (shape: Shape): string => `(${shape.map((size) => size ?? 'None').join(', ')})`;

/**
 * The shape of one example at every node.
 * @throws ModelError that names the node where shapes do not fit, or where a size falls to nothing
 */
export function inferShapes(graph: Graph): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const node of graph.nodes) {
    shapes.set(node.name, nodeShape(node, inputShapes(node, shapes)));
  }
  return shapes;
}

/**
 * The shape of one example at a node.
 * @throws ModelError that names the node where the inputs do not fit, where a size falls to nothing or is absurd
 */
export function nodeShape(node: Node, inputs: readonly Shape[]): Shape {
  return inLayer(node, () => {
    const shape = inferShape(node.op, inputs);
    if (shape.some((size) => size !== null && size < 1)) {
      throw new ModelError(`it would shrink ${inputs.map(show).join(' and ') || 'the input'} to ${show(shape)}`);
    }
    if (shape.reduce<number>((a, b) => a * (b ?? 1), 1) > MAX_VALUES) {
      throw new ModelError(`it would hold ${show(shape)} values, more than 2^31`);
    }
    return shape;
  });
}

/** The shapes of a node's inputs, out of those inferred so far. */
export function inputShapes(node: Node, shapes: ReadonlyMap<string, Shape>): Shape[] {
  return node.inputs.map((name) => {
    const shape = shapes.get(name);
    if (!shape) throw new ModelError(`layer ${node.name} takes ${name}, which is not computed before it`);
    return shape;
  });
}

/** Runs a check of one layer; a ModelError of it gets the layer's name in front. */
export function inLayer<T>(node: Node, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(`layer ${node.name} (${node.op.kind}): ${error.message}`, { cause: error });
  }
}

/**
 * Checks that every node carries the weights it needs, in the right shapes and finite.
 * @throws ModelError that names the layer and the weight
 */
export function checkWeights(graph: Graph): void {
  const shapes = inferShapes(graph);
  for (const node of graph.nodes) {
    const specs = inLayer(node, () => weightSpecs(node.op, inputShapes(node, shapes)));
    if (specs.length !== node.weights.length) {
      throw new ModelError(`layer ${node.name} needs ${specs.length} weights and has ${node.weights.length}`);
    }
    for (const [i, spec] of specs.entries()) {
      const weight = node.weights[i];
      if (!weight || weight.shape.join() !== spec.shape.join()) {
        throw new ModelError(
          `layer ${node.name}: ${spec.name} must have shape ${show(spec.shape)}, found ${show(weight?.shape ?? [])}`,
        );
      }
      if (!weight.data.every(Number.isFinite)) throw new ModelError(`layer ${node.name}: ${spec.name} is not finite`);
    }
  }
}
