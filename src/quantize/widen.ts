import { bytesOf, type OnnxGraph, type OnnxNode, type OnnxTensor, WIDTH } from '../formats/onnx/write.js';
import { numberOf } from './attributes.js';

/** onnxruntime's integer kernel of depthwise convolutions takes channels by so many; others take three times as long. */
const LANES = 16;
/** Channels of the widest, over those that there are: more would cost the convolutions around them more than is won. */
const WIDEST = 1.25;

/** What gives of each channel something of that channel, in values of one scale. */
const CHANNELWISE = new Set([
  'QuantizeLinear',
  'DequantizeLinear',
  'Relu',
  'Clip',
  'Add',
  'Mul',
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
  'Sigmoid',
  'HardSigmoid',
  'HardSwish',
  'LeakyRelu',
  'Tanh',
]);

/** A convolution whose weights and bias are dequantized from constants of its own. */
interface Conv {
  readonly node: OnnxNode;
  readonly weight: OnnxTensor;
  readonly isDepthwise: boolean;
  /** What has one number an output channel: scales and zero points of the weights; bias, its scales and zero points. */
  readonly columns: readonly OnnxTensor[];
}

/** Values whose channels are the same, because they go through nothing but what is done to each channel alone. */
class Streams {
  private readonly parents = new Map<string, string>();
  private readonly fixed = new Set<string>();
  private readonly channels = new Map<string, number>();

  of(value: string): string {
    let stream = value;
    for (let parent = this.parents.get(stream); parent !== undefined; parent = this.parents.get(stream)) {
      stream = parent;
    }
    return stream;
  }

  join(value: string, other: string): void {
    const [from, to] = [this.of(value), this.of(other)];
    if (from === to) return;
    this.parents.set(from, to);
    if (this.fixed.has(from)) this.fixed.add(to);
    const channels = this.channels.get(from);
    if (channels !== undefined) this.has(to, channels);
  }

  /** Something sees all channels of the value: it stays as it is. */
  fix(value: string): void {
    this.fixed.add(this.of(value));
  }

  has(value: string, channels: number): void {
    const stream = this.of(value);
    if ((this.channels.get(stream) ?? channels) !== channels) this.fix(stream);
    this.channels.set(stream, channels);
  }

  /** @returns channels that the value is to have beside those that it has */
  missing(value: string): number {
    const stream = this.of(value);
    const channels = this.channels.get(stream) ?? 0;
    const wide = Math.ceil(channels / LANES) * LANES;
    return this.fixed.has(stream) || wide > WIDEST * channels ? 0 : wide - channels;
  }
}

/**
 * The same int8 graph, in which depthwise convolutions have channels in multiples of 16: those added are zero, and all that takes
 * them has zero weights for them, so that what it gives stays the same to the bit. In Xception, whose middle has 728 channels, such
 * convolutions take a third of the time then.
 */
export function widened(graph: OnnxGraph): OnnxGraph {
  const constants = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const convs = convsOf(graph, constants);
  const streams = streamsOf(graph, constants, convs);
  const wanted = new Set(
    [...convs.values()].flatMap(({ node, isDepthwise }) => (isDepthwise ? [streams.of(node.outputs[0] ?? '')] : [])),
  );
  const extra = (value = ''): number => (wanted.has(streams.of(value)) ? streams.missing(value) : 0);
  const replaced = new Map<string, OnnxTensor>();
  const nodes = graph.nodes.map((node) => {
    const conv = convs.get(node);
    if (conv === undefined) return node;
    const { weight, isDepthwise, columns } = conv;
    const [out = 0, into = 0, ...kernel] = weight.dims;
    const rows = extra(node.outputs[0]);
    const inner = kernel.reduce((a, b) => a * b, 1);
    const added = isDepthwise ? 0 : inner * extra(node.inputs[0]);
    if (rows === 0 && added === 0) return node;
    const wide = into + added / inner;
    replaced.set(weight.name, {
      ...weight,
      dims: [out + rows, wide, ...kernel],
      raw: padded(weight, out, into * inner, rows, added),
    });
    for (const column of columns) {
      replaced.set(column.name, { ...column, dims: [out + rows], raw: longer(column, rows) });
    }
    return isDepthwise ? { ...node, attributes: { ...node.attributes, group: { i: out + rows } } } : node;
  });
  return { ...graph, nodes, initializers: graph.initializers.map((tensor) => replaced.get(tensor.name) ?? tensor) };
}

function convsOf(graph: OnnxGraph, constants: ReadonlyMap<string, OnnxTensor>): Map<OnnxNode, Conv> {
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node])));
  const uses = new Map<string, number>();
  for (const { inputs } of graph.nodes) for (const name of inputs) uses.set(name, (uses.get(name) ?? 0) + 1);
  const dequantized = (value: string): OnnxTensor[] | null => {
    const maker = makers.get(value);
    if (maker?.op !== 'DequantizeLinear' || uses.get(value) !== 1) return null;
    const tensors = maker.inputs.map((name) => (uses.get(name) === 1 ? constants.get(name) : undefined));
    return tensors.length === 3 && tensors.every((tensor) => tensor !== undefined) ? tensors : null;
  };
  const convs = new Map<OnnxNode, Conv>();
  for (const node of graph.nodes) {
    if (node.op !== 'Conv' || node.inputs.length !== 3) continue;
    const [weights, bias] = node.inputs.slice(1).map(dequantized);
    if (!weights || !bias) continue;
    const [weight, ...scales] = weights as [OnnxTensor, OnnxTensor, OnnxTensor];
    const [out = 0, into = 0] = weight.dims;
    const groups = numberOf(node.attributes?.group) ?? 1;
    const isDepthwise = groups > 1 && groups === out && into === 1;
    const columns = [...scales, ...bias];
    if (!isDepthwise && groups !== 1) continue;
    if (columns.every(({ dims }) => dims.length === 1 && dims[0] === out)) {
      convs.set(node, { node, weight, isDepthwise, columns });
    }
  }
  return convs;
}

function streamsOf(
  graph: OnnxGraph,
  constants: ReadonlyMap<string, OnnxTensor>,
  convs: ReadonlyMap<OnnxNode, Conv>,
): Streams {
  const streams = new Streams();
  for (const { name } of [...graph.inputs, ...graph.outputs]) streams.fix(name);
  const ofWeights = new Set([...convs.keys()].flatMap(({ inputs }) => inputs.slice(1)));
  const isScalar = (name: string): boolean =>
    name === '' || constants.get(name)?.dims.every((size) => size === 1) === true;
  for (const node of graph.nodes) {
    const [output = ''] = node.outputs;
    if (ofWeights.has(output)) continue;
    const conv = convs.get(node);
    const [input = '', ...others] = node.inputs;
    if (conv) {
      const [out = 0, into = 0] = conv.weight.dims;
      streams.has(output, out);
      if (conv.isDepthwise) streams.join(output, input);
      else streams.has(input, into);
      continue;
    }
    const values = [input, ...others.filter((name) => !isScalar(name))];
    const isChannelwise =
      CHANNELWISE.has(node.op) && node.outputs.length === 1 && values.every((name) => !constants.has(name));
    for (const value of values) {
      if (isChannelwise) streams.join(output, value);
      else streams.fix(value);
    }
    if (!isChannelwise) for (const value of node.outputs) streams.fix(value);
  }
  return streams;
}

/** @returns rows of so many values, each with `added` zeros behind it, and `more` rows of zeros behind them */
function padded(tensor: OnnxTensor, rows: number, size: number, more: number, added: number): Uint8Array {
  const width = WIDTH[tensor.type];
  const { raw } = tensor;
  const result = new Uint8Array(width * (rows + more) * (size + added));
  for (let i = 0; i < rows; i++) {
    result.set(raw.subarray(width * i * size, width * (i + 1) * size), width * i * (size + added));
  }
  return result;
}

/** @returns the values and so many more: of scales the last again, as they are never zero, else zeros */
function longer(tensor: OnnxTensor, more: number): Uint8Array {
  const width = WIDTH[tensor.type];
  const size = bytesOf(tensor);
  const result = new Uint8Array(size + width * more);
  result.set(tensor.raw);
  if (tensor.type === 'float') {
    for (let at = size; at < result.length; at += width) result.copyWithin(at, size - width, size);
  }
  return result;
}
