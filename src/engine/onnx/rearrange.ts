import type { Elementwise, OpOf } from '../../graph/graph.js';
import { sliceAxis } from '../../graph/infer.js';
import { resampling } from '../../graph/resample.js';
import { axisOf, type Builder, type Shape, type Value } from './builder.js';

/** Rows and columns multiplied with a matrix each. */
export function resample(b: Builder, x: Value, op: OpOf<'Resizing' | 'CenterCrop'>): string {
  const [height = 0, width = 0] = x.shape;
  const { rows, columns } = resampling(op, height, width);
  const turned = new Float32Array(columns.length); // [in, out]
  for (let i = 0; i < columns.length; i++) turned[(i % width) * op.width + Math.floor(i / width)] = columns[i] ?? 0;
  const across = b.node('MatMul', [x.name, b.constant(turned, [width, op.width])]);
  return b.node('MatMul', [b.constant(rows, [op.height, height]), across]);
}

/** Python's slice of one axis. */
export function slice(b: Builder, x: Value, op: OpOf<'Slice'>): string {
  const size = x.shape[op.axis - 1] ?? 0;
  const { from, to } = sliceAxis(size, op);
  const stop = to < 0 ? -size - 1 : to; // ONNX counts a negative one from the end
  const axis = axisOf(op.axis, x.shape.length);
  return b.node('Slice', [x.name, b.integers([from]), b.integers([stop]), b.integers([axis]), b.integers([op.step])]);
}

const REDUCTIONS = { mean: 'ReduceMean', max: 'ReduceMax', min: 'ReduceMin', sum: 'ReduceSum' } as const;

/** Over axes of Keras's order. */
export function reduce(b: Builder, x: Value, op: OpOf<'Reduce'>, out: Shape): string {
  if (op.axes.length === 0) return x.name;
  const keepdims = { keepdims: { i: op.keepdims ? 1 : 0 } };
  const y = b.node(REDUCTIONS[op.by], [b.channelsLast(x), b.integers(op.axes)], keepdims);
  return b.fromChannelsLast(y, out);
}

/** An axis of size 1 taken out or put in. */
export function reshapeAxis(b: Builder, x: Value, op: OpOf<'Squeeze' | 'ExpandDims'>, out: Shape): string {
  const kind = op.kind === 'Squeeze' ? 'Squeeze' : 'Unsqueeze';
  return b.fromChannelsLast(b.node(kind, [b.channelsLast(x), b.integers([op.axis])]), out);
}

/** Values kept between two limits. */
export function clip(b: Builder, x: string, { min, max }: OpOf<'Clip'>): string {
  const limits = [min === null ? '' : b.constant([min]), ...(max === null ? [] : [b.constant([max])])];
  return b.node('Clip', [x, ...limits]);
}

const FUNCTIONS: Readonly<Record<Exclude<Elementwise, 'square' | 'rsqrt'>, string>> = {
  abs: 'Abs',
  exp: 'Exp',
  log: 'Log',
  sqrt: 'Sqrt',
  reciprocal: 'Reciprocal',
  sin: 'Sin',
  cos: 'Cos',
};

export function elementwise(b: Builder, x: string, by: Elementwise): string {
  if (by === 'square') return b.node('Mul', [x, x]);
  return by === 'rsqrt' ? b.node('Reciprocal', [b.node('Sqrt', [x])]) : b.node(FUNCTIONS[by], [x]);
}
