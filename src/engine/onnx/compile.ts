import type { OnnxGraph, OnnxTensor } from '../../formats/onnx/write.js';
import type { Graph, Node } from '../../graph/graph.js';
import { fixedShapes, prepare } from '../../graph/prepare.js';
import { Builder, type Value } from './builder.js';
import { INPUT, lower, padsItself } from './lower.js';

export interface CompileOptions {
  /** Names of the nodes to return, each in Keras's order of axes; default: the graph's output. */
  readonly outputs?: readonly string[];
  /** Type of the pixels that come in; default `float32`. */
  readonly input?: 'float32' | 'uint8';
  /** What becomes of each constant; default: it is held in the graph. */
  readonly keep?: (tensor: OnnxTensor) => OnnxTensor;
}

export interface Compiled {
  readonly graph: OnnxGraph;
  /** Name of each asked output in the ONNX graph, and the shape of one example. */
  readonly outputs: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

/** Their own padding takes that of the layer: one by itself keeps onnxruntime from its fastest layout. */
function feedsOnlyConvolutions({ name }: Node, { nodes }: Graph): boolean {
  const users = nodes.filter(({ inputs }) => inputs.includes(name));
  return users.length > 0 && users.every(({ op }) => padsItself(op));
}

/**
 * Compiles a layer graph to ONNX: batch normalization folded, channels first inside, TensorFlow's `same` padding as explicit
 * pads, images in and feature maps out as `[n, height, width, channels]`.
 * @throws ModelError when a size is open or shapes do not fit
 */
export function compile(graph: Graph, options: CompileOptions = {}): Compiled {
  const { graph: folded, taps } = prepare(graph, options.outputs ?? [graph.output]);
  const shapes = fixedShapes(folded);
  const b = new Builder('', options.keep);
  const values = new Map<string, Value>();
  const inputShape = shapes.get(graph.input) ?? [];
  const channelsFirst = b.fromChannelsLast(INPUT, inputShape);
  const input = options.input === 'uint8' ? b.node('Cast', [channelsFirst], { to: { i: 1 } }) : channelsFirst;
  for (const node of folded.nodes) {
    const shape = shapes.get(node.name) ?? [];
    if (node.name === folded.input) {
      values.set(node.name, { name: input, shape });
      continue;
    }
    const inputs = node.inputs.map((name) => values.get(name) ?? { name, shape: [] });
    if (node.op.kind === 'ZeroPadding2D' && feedsOnlyConvolutions(node, folded)) {
      values.set(node.name, { name: inputs[0]?.name ?? '', shape, margins: node.op.margins });
      continue;
    }
    values.set(node.name, { name: lower(b, node.op, inputs, node.weights, shape), shape });
  }
  const outputs = taps.map((tap, i) => {
    const value = values.get(tap) ?? { name: tap, shape: [] };
    const output = `output:${i}`;
    b.nodes.push({ op: 'Identity', inputs: [b.channelsLast(value)], outputs: [output] });
    return { name: output, shape: value.shape };
  });
  return {
    graph: {
      name: 'base',
      nodes: b.nodes,
      initializers: b.initializers,
      inputs: [{ name: INPUT, type: options.input === 'uint8' ? 'uint8' : 'float', dims: ['n', ...inputShape] }],
      outputs: outputs.map(({ name, shape }) => ({ name, type: 'float', dims: ['n', ...shape] })),
    },
    outputs,
  };
}
