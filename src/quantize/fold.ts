import { type Attribute, floats, type OnnxGraph, type OnnxNode, type OnnxTensor } from '../formats/onnx/write.js';
import { numberOf } from './attributes.js';

/** @returns the values of a float tensor; a copy, aligned */
export function valuesOf({ raw }: OnnxTensor): Float32Array {
  return new Float32Array(new Uint8Array(raw).buffer);
}

const isTensor = (value: Attribute | undefined): value is OnnxTensor => typeof value === 'object' && 'raw' in value;

/**
 * The same graph with the tensors of its Constant nodes among the initializers, and batch normalization built into the convolution
 * that feeds nothing but it, in float64: y = (x - mean) * gamma / sqrt(variance + epsilon) + beta.
 */
export function folded(graph: OnnxGraph): OnnxGraph {
  const initializers = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const nodes: OnnxNode[] = [];
  for (const node of graph.nodes) {
    const value = node.op === 'Constant' ? node.attributes?.value : undefined;
    if (isTensor(value)) initializers.set(node.outputs[0] ?? '', { ...value, name: node.outputs[0] ?? '' });
    else nodes.push(node);
  }
  const count = new Map<string, number>(graph.outputs.map(({ name }) => [name, 1]));
  for (const { inputs } of nodes) for (const name of inputs) count.set(name, (count.get(name) ?? 0) + 1);
  const made = new Map<string, number>();
  const left: (OnnxNode | null)[] = [...nodes];
  for (const [i, node] of nodes.entries()) {
    const at = made.get(node.inputs[0] ?? '');
    const before = at === undefined ? undefined : left[at];
    const merged =
      node.op === 'BatchNormalization' && before?.op === 'Conv' && count.get(before.outputs[0] ?? '') === 1
        ? merge(before, node, initializers)
        : null;
    if (merged !== null && at !== undefined) {
      left[at] = null;
      left[i] = merged;
    }
    for (const output of node.outputs) made.set(output, i);
  }
  return {
    ...graph,
    nodes: left.filter((node) => node !== null),
    initializers: [...initializers.values()],
  };
}

/** @returns the convolution with the normalization in it, its tensors added; null where either's are not constant floats */
function merge(conv: OnnxNode, norm: OnnxNode, initializers: Map<string, OnnxTensor>): OnnxNode | null {
  const constant = (name = ''): Float32Array | null => {
    const tensor = initializers.get(name);
    return tensor?.type === 'float' ? valuesOf(tensor) : null;
  };
  const [, w = '', b = ''] = conv.inputs;
  const weight = initializers.get(w);
  const values = constant(w);
  const [gamma, beta, mean, variance] = norm.inputs.slice(1).map(constant);
  const bias = b === '' ? null : constant(b);
  if (!weight || !values || !gamma || !beta || !mean || !variance || (b !== '' && !bias)) return null;
  const epsilon = numberOf(norm.attributes?.epsilon) ?? 1e-5;
  const channels = weight.dims[0] ?? 0;
  const each = values.length / channels;
  const scale = Float64Array.from(gamma, (g, i) => g / Math.sqrt((variance[i] ?? 0) + epsilon));
  const output = norm.outputs[0] ?? '';
  const scaled = values.map((value, i) => value * (scale[Math.floor(i / each)] ?? 0));
  const shift = Float32Array.from(scale, (s, i) => ((bias?.[i] ?? 0) - (mean[i] ?? 0)) * s + (beta[i] ?? 0));
  const names = [`${output}:weight`, `${output}:bias`] as const;
  initializers.set(names[0], floats(names[0], weight.dims, scaled));
  initializers.set(names[1], floats(names[1], [channels], shift));
  return { ...conv, inputs: [conv.inputs[0] ?? '', ...names], outputs: [output] };
}
