import type { OnnxProgram } from '../../engine/engine.js';
import { compile } from '../../engine/onnx/compile.js';
import { INPUT } from '../../engine/onnx/lower.js';
import { type OnnxGraph, type OnnxNode, type OnnxTensor, renamed } from '../../formats/onnx/write.js';
import type { Graph, Op, Shape } from '../../graph/graph.js';
import { append } from '../../graph/passes.js';
import type { OnnxModel } from './model.js';

const CHANNELS_FIRST = [0, 3, 1, 2];
const CHANNELS_LAST = [0, 2, 3, 1];

/** A chain of layers as ONNX; images and feature maps lie channels last at both ends. */
function chain(shape: Shape, ops: readonly { readonly name: string; readonly op: Op }[], input: 'uint8' | 'float32') {
  const start: Graph = {
    nodes: [{ name: 'in', op: { kind: 'InputLayer', shape }, inputs: [], weights: [] }],
    input: 'in',
    output: 'in',
  };
  return compile(append(start, ops), { input });
}

/** Collects the parts of a model; the names of each are kept apart by a prefix. */
class Splicer {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];

  constructor(private readonly reserved: string) {}

  /** @returns what a name of a part is called in the whole */
  add(
    part: string,
    { nodes, initializers }: OnnxGraph,
    known: Readonly<Record<string, string>>,
  ): (name: string) => string {
    const rename = (name: string): string => known[name] ?? (name === '' ? '' : `${this.reserved}${part}/${name}`);
    for (const node of nodes) {
      const { name: _, ...rest } = node;
      this.nodes.push({ ...rest, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) });
    }
    for (const tensor of initializers) this.initializers.push(renamed(tensor, rename(tensor.name)));
    return rename;
  }

  node(op: string, input: string, output: string, attributes: OnnxNode['attributes'] = {}): string {
    this.nodes.push({ op, inputs: [input], outputs: [this.reserved + output], attributes });
    return this.reserved + output;
  }
}

/**
 * The model between layers: preprocessing before it, pooling after it. The operators that these compile to mean the same in every
 * opset that onnxruntime runs, so the model keeps its own.
 * @param input type of the pixels that come in
 */
export function splice(
  { graph, imports, layout, tap, tapLayout, batched }: OnnxModel,
  before: readonly { readonly name: string; readonly op: Op }[],
  after: readonly { readonly name: string; readonly op: Op }[],
  input: 'uint8' | 'float32',
): OnnxProgram {
  const taken = [...graph.nodes.flatMap(({ outputs }) => outputs), ...graph.initializers.map(({ name }) => name)];
  let reserved = 'permafrost/';
  while ([...taken, graph.inputs[0]?.name ?? ''].some((name) => name.startsWith(reserved))) reserved = `_${reserved}`;
  const splicer = new Splicer(reserved);
  const [batch = 'n', ...sizes] = graph.inputs[0]?.dims ?? [];
  const axes = (lies: string, shape: readonly (number | string)[]): number[] =>
    lies === 'nchw' && shape.length === 3 ? [shape[1], shape[2], shape[0]].map(Number) : shape.map(Number);
  const image = axes(layout, sizes);

  const first = chain(image, before, input);
  const images = splicer.add('before', first.graph, { [INPUT]: INPUT });
  let value = images(first.outputs[0]?.name ?? '');
  if (layout === 'nchw') value = splicer.node('Transpose', value, 'channels-first', { perm: CHANNELS_FIRST });
  const wanted = graph.inputs[0]?.type;
  if (wanted === 'float16') value = splicer.node('Cast', value, 'half', { to: { i: 10 } });
  if (wanted === 'uint8') value = splicer.node('Cast', value, 'bytes', { to: { i: 2 } });

  const inner = graph.inputs[0]?.name ?? '';
  const own = (name: string): string => (name === inner ? value : name === INPUT ? `${reserved}own` : name);
  const middle = graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(own), outputs: node.outputs.map(own) }));
  const output = own(graph.outputs[0]?.name ?? '');
  splicer.nodes.push(...middle);
  splicer.initializers.push(...graph.initializers.map((tensor) => renamed(tensor, own(tensor.name))));

  value = splicer.node('Cast', output, 'tap', { to: { i: 1 } });
  if (tap.length === 3 && tapLayout === 'nchw') {
    value = splicer.node('Transpose', value, 'channels-last', { perm: CHANNELS_LAST });
  }
  const last = chain(axes(tapLayout, tap), after, 'float32');
  const vectors = splicer.add('after', last.graph, { [INPUT]: value });
  const result = last.graph.outputs[0];
  return {
    imports,
    batched,
    graph: {
      name: 'base',
      nodes: splicer.nodes,
      initializers: splicer.initializers,
      inputs: [{ name: INPUT, type: input === 'uint8' ? 'uint8' : 'float', dims: [batch, ...image] }],
      outputs: [{ name: vectors(result?.name ?? ''), type: 'float', dims: [batch, ...(result?.dims.slice(1) ?? [])] }],
    },
  };
}
