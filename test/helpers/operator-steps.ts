import type { Attribute, OnnxTensor } from '../../src/formats/onnx/write.js';
import { type Maker, product, type Value } from './operator-maker.js';

type Maybe = Value | null;
export type Step = (m: Maker, x: Value) => Maybe;

const same = (name: string, { dims }: Value): Value => ({ name, dims });
const i = (value: number): Attribute => ({ i: value });
const f = (value: number): Attribute => ({ f: value });

/** Sizes behind a window; null where it does not fit. */
function windowed(
  [n, c, h, w]: Value['dims'],
  { kernel, strides, pads, dilations, ceil = false }: Window,
  channels = c,
): Value['dims'] | null {
  const axis = (k: 0 | 1, size: number): number => {
    const room = size + pads[k] + (pads[k + 2] ?? 0) - ((dilations?.[k] ?? 1) * (kernel[k] - 1) + 1);
    const count = (ceil ? Math.ceil(room / strides[k]) : Math.floor(room / strides[k])) + 1;
    return room < 0 || (count - 1) * strides[k] >= size + pads[k] ? 0 : count;
  };
  const [rows, columns] = [axis(0, h), axis(1, w)];
  return rows > 0 && columns > 0 ? [n, channels, rows, columns] : null;
}

interface Window {
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  /** Top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
  readonly dilations?: readonly [number, number];
  readonly ceil?: boolean;
}

const SIDES = [
  [0, 0, 0, 0],
  [0, 0, 0, 0],
  [1, 1, 1, 1],
  [0, 0, 1, 1],
  [1, 0, 0, 1],
] as const;
const STRIDES = [
  [1, 1],
  [2, 2],
  [2, 1],
] as const;

function pool(m: Maker, x: Value, op: 'MaxPool' | 'AveragePool'): Maybe {
  const kernel = [m.pick([2, 3]), m.pick([2, 3])] as const;
  const window = { kernel, strides: m.pick(STRIDES), pads: m.pick(SIDES), ceil: m.pick([false, false, true]) };
  const dims = windowed(x.dims, window);
  if (dims === null) return null;
  const more: Record<string, Attribute> = op === 'AveragePool' ? { count_include_pad: i(m.pick([0, 1])) } : {};
  const attributes = { kernel_shape: [...kernel], strides: [...window.strides], pads: [...window.pads] };
  return { name: m.node(op, [x.name], { ...attributes, ceil_mode: i(Number(window.ceil)), ...more }), dims };
}

function conv(m: Maker, x: Value, groups: number): Maybe {
  const [, c] = x.dims;
  const filters = groups === c ? c * m.pick([1, 2]) : m.pick([4, 6, 8].map((each) => each * groups));
  const kernel = [m.pick([1, 2, 3]), m.pick([1, 3])] as const;
  const window = {
    kernel,
    strides: m.pick(STRIDES),
    pads: m.pick(SIDES),
    dilations: m.pick([
      [1, 1],
      [1, 1],
      [2, 2],
    ] as const),
  };
  const dims = windowed(x.dims, window, filters);
  if (dims === null || filters > 48) return null;
  const inputs = [x.name, m.floats([filters, c / groups, ...kernel])];
  if (m.pick([true, false])) inputs.push(m.floats([filters]));
  const { strides, pads, dilations } = window;
  const attributes = { kernel_shape: [...kernel], strides: [...strides], pads: [...pads], dilations: [...dilations] };
  return { name: m.node('Conv', inputs, { ...attributes, group: i(groups) }), dims };
}

const norm = (m: Maker, x: string, c: number): string =>
  m.node('BatchNormalization', [
    x,
    m.floats([c]),
    m.floats([c]),
    m.floats([c]),
    m.floats([c], () => m.random.uniform(0.3, 1.3)),
  ]);

/** Steps with the channels last between two transposes. */
function channelsLast(m: Maker, x: Value, inner: (name: string) => string, dims: Value['dims'] = x.dims): Value {
  const turned = m.node('Transpose', [x.name], { perm: [0, 2, 3, 1] });
  return { name: m.node('Transpose', [inner(turned)], { perm: [0, 3, 1, 2] }), dims };
}

/** Layer normalization written out, over the last axis. */
function layerNorm(m: Maker, x: string, c: number, axis = -1, shape = [c]): string {
  const centred = m.node('Sub', [x, m.reduce('ReduceMean', x, [axis])]);
  const square = m.pick([() => m.node('Pow', [centred, m.scalar(2)]), () => m.node('Mul', [centred, centred])])();
  const deviation = m.node('Sqrt', [m.node('Add', [m.reduce('ReduceMean', square, [axis]), m.scalar(1e-5)])]);
  return m.node('Add', [m.node('Mul', [m.node('Div', [centred, deviation]), m.floats(shape)]), m.floats(shape)]);
}

const unary =
  (op: string, attributes: Record<string, Attribute> = {}): Step =>
  (m, x) =>
    same(m.node(op, [x.name], attributes), x);

const binary =
  (op: string, value?: (m: Maker) => number): Step =>
  (m, x) => {
    const [, c, h, w] = x.dims;
    const shape = m.pick([[], [1], [c, 1, 1], [1, c, 1, 1], [w], [1, c, h, w]]);
    const constant = m.floats(shape, value ? () => value(m) : undefined);
    return same(m.node(op, op !== 'Div' && m.pick([true, false]) ? [constant, x.name] : [x.name, constant]), x);
  };

/** One step on an image, as this project and exporters write it: what PyTorch, tf2onnx and keras2onnx make of a layer. */
export const STEPS: Readonly<Record<string, Step>> = {
  conv: (m, x) => conv(m, x, 1),
  depthwise: (m, x) => conv(m, x, x.dims[1]),
  'conv in groups': (m, x) => (x.dims[1] % 2 === 0 ? conv(m, x, 2) : null),
  'max pool': (m, x) => pool(m, x, 'MaxPool'),
  'average pool': (m, x) => pool(m, x, 'AveragePool'),
  'global average pool': (m, x) => ({
    name: m.node('GlobalAveragePool', [x.name]),
    dims: [x.dims[0], x.dims[1], 1, 1],
  }),
  'mean of all': (m, x) => ({ name: m.reduce('ReduceMean', x.name, [2, 3]), dims: [x.dims[0], x.dims[1], 1, 1] }),
  pad(m, x) {
    const [n, c, h, w] = x.dims;
    const [top, left, bottom, right] = m.pick([
      [1, 1, 1, 1],
      [0, 0, 1, 1],
      [2, 1, 0, 2],
      [0, 3, 0, 0],
      [-1, 0, 1, 0],
    ] as const);
    const mode = m.pick(['constant', 'constant', 'constant', 'reflect', 'edge']);
    if (Math.min(h, w) < 5) return null;
    const inputs = [x.name, m.integers([0, 0, top, left, 0, 0, bottom, right])];
    if (mode === 'constant' && m.pick([true, false])) inputs.push(m.scalar(m.pick([0, 0, 1, -2])));
    return { name: m.node('Pad', inputs, { mode }), dims: [n, c, h + top + bottom, w + left + right] };
  },
  'pad, channels last': (m, x) =>
    channelsLast(m, x, (y) => m.node('Pad', [y, m.integers([0, 1, 0, 0, 0, 0, 1, 0])]), [
      x.dims[0],
      x.dims[1],
      x.dims[2] + 1,
      x.dims[3] + 1,
    ]),
  'batch norm': (m, x) => same(norm(m, x.name, x.dims[1]), x),
  'instance norm': (m, x) =>
    x.dims[2] * x.dims[3] < 4
      ? null
      : same(m.node('InstanceNormalization', [x.name, m.floats([x.dims[1]]), m.floats([x.dims[1]])]), x),
  'layer norm': (m, x) => channelsLast(m, x, (y) => layerNorm(m, y, x.dims[1])),
  'layer norm of channels': (m, x) => same(layerNorm(m, x.name, x.dims[1], 1, [x.dims[1], 1, 1]), x),
  relu: unary('Relu'),
  sigmoid: unary('Sigmoid'),
  tanh: unary('Tanh'),
  'leaky relu': unary('LeakyRelu', { alpha: f(0.3) }),
  elu: unary('Elu'),
  'hard sigmoid': unary('HardSigmoid', { alpha: f(1 / 6), beta: f(0.5) }),
  abs: unary('Abs'),
  neg: unary('Neg'),
  identity: unary('Identity'),
  dropout: unary('Dropout'),
  prelu: (m, x) => same(m.node('PRelu', [x.name, m.floats(m.pick([[x.dims[1], 1, 1], [1]]))]), x),
  clip: (m, x) => same(m.node('Clip', [x.name, m.scalar(m.pick([0, -1, 0.2])), m.scalar(m.pick([6, 1, 3]))]), x),
  'clip below': (m, x) => same(m.node('Clip', [x.name, m.scalar(-0.5)]), x),
  'clip above': (m, x) => same(m.node('Clip', [x.name, '', m.scalar(0.7)]), x),
  softmax: (m, x) => same(m.node('Softmax', [x.name], { axis: i(m.pick([-1, 1, 2])) }), x),
  add: binary('Add'),
  sub: binary('Sub'),
  mul: binary('Mul', (m) => m.pick([0, 1, -0.5, 1.5])),
  div: binary('Div', (m) => m.random.uniform(0.5, 2)),
  max: binary('Max'),
  min: binary('Min'),
  power: (m, x) => same(m.node('Pow', [m.node('Abs', [x.name]), m.scalar(m.pick([1, 2, 0.5, 3]))]), x),
  'add an earlier value'(m, x) {
    const others = m.values.filter(({ dims }) => `${dims}` === `${x.dims}`);
    return same(m.node(m.pick(['Add', 'Sum', 'Mul']), [x.name, m.pick(others).name]), x);
  },
  'over an earlier value'(m, x) {
    const other = m.values.find(({ dims }) => `${dims}` === `${x.dims}`)?.name ?? x.name;
    const one = m.floats([1], () => m.pick([1, 2]));
    const over = m.node('Div', [one, m.node('Add', [m.node('Abs', [other]), m.floats([1], () => 1)])]);
    return same(m.node('Mul', m.pick([true, false]) ? [over, x.name] : [x.name, over]), x);
  },
  residual(m, x) {
    const [, c] = x.dims;
    const inputs = [x.name, m.floats([c, c, 3, 3], () => 0.3 * m.random.normal()), m.floats([c])];
    let y = m.node('Conv', inputs, { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
    if (m.pick([true, false])) y = norm(m, y, c);
    return same(
      m.node(m.pick(['Relu', 'Tanh']), [
        m.node(
          'Add',
          m.pick([
            [y, x.name],
            [x.name, y],
          ]),
        ),
      ]),
      x,
    );
  },
  'squeeze and excite'(m, x) {
    const [, c] = x.dims;
    const pooled = m.node('GlobalAveragePool', [x.name]);
    const gate = m.node('Conv', [pooled, m.floats([c, c, 1, 1]), m.floats([c])], { kernel_shape: [1, 1] });
    return same(m.node('Mul', [x.name, m.node(m.pick(['Sigmoid', 'HardSigmoid']), [gate])]), x);
  },
  swish: (m, x) => same(m.node('Mul', [x.name, m.node('Sigmoid', [x.name])]), x),
  'quick gelu': (m, x) =>
    same(m.node('Mul', [x.name, m.node('Sigmoid', [m.node('Mul', [x.name, m.scalar(1.702)])])]), x),
  'hard swish'(m, x) {
    const gate = m.node('Clip', [m.node('Add', [x.name, m.scalar(3)]), m.scalar(0), m.scalar(6)]);
    return same(m.node('Div', [m.node('Mul', [x.name, gate]), m.scalar(6)]), x);
  },
  gelu(m, x) {
    const erf = m.node('Add', [m.node('Erf', [m.node('Div', [x.name, m.scalar(Math.SQRT2)])]), m.scalar(1)]);
    return same(m.node('Mul', [m.node('Mul', [x.name, erf]), m.scalar(0.5)]), x);
  },
  'gelu of tanh'(m, x) {
    const cube = m.node('Mul', [m.node('Pow', [x.name, m.scalar(3)]), m.scalar(0.044715)]);
    const tanh = m.node('Tanh', [m.node('Mul', [m.node('Add', [x.name, cube]), m.scalar(Math.sqrt(2 / Math.PI))])]);
    return same(m.node('Mul', [m.node('Mul', [x.name, m.node('Add', [tanh, m.scalar(1)])]), m.scalar(0.5)]), x);
  },
  concatenate(m, x) {
    const [n, c, h, w] = x.dims;
    const others = m.values.filter(({ dims }) => dims[2] === h && dims[3] === w && dims[1] + c <= 40);
    if (others.length === 0) return null;
    const other = m.pick(others);
    return { name: m.node('Concat', [x.name, other.name], { axis: i(1) }), dims: [n, c + other.dims[1], h, w] };
  },
  slice(m, x) {
    const [n, c, h, w] = x.dims;
    if (h < 5) return null;
    const sliced = m.node('Slice', [x.name, m.integers([1]), m.integers([h - 1]), m.integers([2]), m.integers([2])]);
    return { name: sliced, dims: [n, c, Math.ceil((h - 2) / 2), w] };
  },
  'space to depth by slices'(m, x) {
    const [n, c, h, w] = x.dims;
    if (h % 2 !== 0 || w % 2 !== 0 || c > 10) return null;
    const every = (from: string, axis: number, start: number): string =>
      m.node('Slice', [from, m.integers([start]), m.integers([10_000]), m.integers([axis]), m.integers([2])]);
    const parts = [0, 1].flatMap((column) => [0, 1].map((row) => every(every(x.name, 2, row), 3, column)));
    return { name: m.node('Concat', parts, { axis: i(1) }), dims: [n, 4 * c, h / 2, w / 2] };
  },
  'depth to space': (m, x) =>
    x.dims[1] % 4 === 0
      ? {
          name: m.node('DepthToSpace', [x.name], { blocksize: i(2) }),
          dims: [x.dims[0], x.dims[1] / 4, 2 * x.dims[2], 2 * x.dims[3]],
        }
      : null,
  enlarge(m, x) {
    const [n, c, h, w] = x.dims;
    if (h * w > 150 || m.opset < 13) return null;
    const scales = m.floats([4], () => 1);
    const tensor = m.initializers.at(-1) as OnnxTensor;
    new Float32Array(tensor.raw.buffer).set([1, 1, 2, 3]);
    const [mode, how] = m.pick([
      ['nearest', 'asymmetric'],
      ['linear', 'half_pixel'],
    ]) as [string, string];
    const attributes: Record<string, Attribute> = { mode, coordinate_transformation_mode: how };
    if (mode === 'nearest') attributes.nearest_mode = 'floor';
    return { name: m.node('Resize', [x.name, '', scales], attributes), dims: [n, c, 2 * h, 3 * w] };
  },
  'transposed conv': (m, x) =>
    x.dims[2] * x.dims[3] > 150
      ? null
      : {
          name: m.node('ConvTranspose', [x.name, m.floats([x.dims[1], 4, 2, 2]), m.floats([4])], {
            kernel_shape: [2, 2],
            strides: [2, 2],
          }),
          dims: [x.dims[0], 4, 2 * x.dims[2], 2 * x.dims[3]],
        },
  'shuffle of channels'(m, x) {
    const [, c, h, w] = x.dims;
    if (c % 2 !== 0) return null;
    const split = m.node('Reshape', [x.name, m.integers([0, 2, c / 2, h, w])]);
    return same(
      m.node('Reshape', [m.node('Transpose', [split], { perm: [0, 2, 1, 3, 4] }), m.integers([0, c, h, w])]),
      x,
    );
  },
  'first and last channel': (m, x) => ({
    name: m.node('Gather', [x.name, m.integers([x.dims[1] - 1, 0])], { axis: i(1) }),
    dims: [x.dims[0], 2, x.dims[2], x.dims[3]],
  }),
  'flat and back': (m, x) =>
    same(m.node('Reshape', [m.node('Relu', [m.node('Flatten', [x.name])]), m.node('Shape', [x.name])]), x),
  'threshold by a mask': (m, x) =>
    same(m.node('Where', [m.node('Not', [m.node('Greater', [x.name, m.scalar(9)])]), x.name, m.scalar(-0.3)]), x),
  'double and back': (m, x) => same(m.node('Cast', [m.node('Cast', [x.name], { to: i(11) })], { to: i(1) }), x),
  dense(m, x) {
    const [n, c, h, w] = x.dims;
    const layer = (y: string): string => m.node('Add', [m.node('MatMul', [y, m.floats([c, 5])]), m.floats([5])]);
    return channelsLast(m, x, layer, [n, 5, h, w]);
  },
  'dense on a row'(m, x) {
    const k = product(x.dims.slice(1));
    if (k > 900) return null;
    const transB = m.pick([0, 1]);
    const kernel = m.floats(transB ? [6, k] : [k, 6], () => 0.2 * m.random.normal());
    let y = m.node('Gemm', [m.node('Flatten', [x.name]), kernel, m.floats([6])], { transB: i(transB) });
    if (m.pick([true, false])) y = norm(m, y, 6);
    return {
      name: m.node('Reshape', [m.node(m.pick(['Relu', 'Sigmoid']), [y]), m.integers([0, 6, 1, 1])]),
      dims: [x.dims[0], 6, 1, 1],
    };
  },
  attention(m, x) {
    const [, c, h, w] = x.dims;
    if (c % 4 !== 0 || h * w > 200) return null;
    const tokens = m.node('Transpose', [m.node('Reshape', [x.name, m.integers([0, c, h * w])])], { perm: [0, 2, 1] });
    const dense = (from: string): string =>
      m.node('Add', [m.node('MatMul', [from, m.floats([c, c], () => 0.3 * m.random.normal())]), m.floats([c])]);
    const heads = (perm: number[]): string =>
      m.node('Transpose', [m.node('Reshape', [dense(tokens), m.integers([0, h * w, 2, c / 2])])], { perm });
    const [query, key, value] = [heads([0, 2, 1, 3]), heads([0, 2, 3, 1]), heads([0, 2, 1, 3])];
    const scores = m.node('Div', [m.node('MatMul', [query, key]), m.scalar(Math.sqrt(c))]);
    const mixed = m.node('MatMul', [m.node('Softmax', [scores], { axis: i(-1) }), value]);
    const joined = m.node('Reshape', [m.node('Transpose', [mixed], { perm: [0, 2, 1, 3] }), m.integers([0, h * w, c])]);
    const y = m.node('Transpose', [layerNorm(m, m.node('Add', [dense(joined), tokens]), c)], { perm: [0, 2, 1] });
    return same(m.node('Reshape', [y, m.integers([0, c, h, w])]), x);
  },
  'quantized and back'(m, x) {
    const scale = m.scalar(0.05);
    const zero = `zero${m.nodes.length}`;
    m.initializers.push({ name: zero, type: 'uint8', dims: [], raw: Uint8Array.of(128) });
    return same(m.node('DequantizeLinear', [m.node('QuantizeLinear', [x.name, scale, zero]), scale, zero]), x);
  },
};
