import { ModelError } from '../errors.js';
import { type Graph, lazily, type Node, type Op, type Tensor } from './graph.js';
import { inferShapes } from './infer.js';

const byName = (graph: Graph): Map<string, Node> => new Map(graph.nodes.map((node) => [node.name, node]));

/** The nodes that `output` depends on, in the graph's order, with `output` as the graph's output. */
export function cutAt(graph: Graph, output: string): Graph {
  const nodes = byName(graph);
  if (!nodes.has(output)) throw new ModelError(`there is no layer ${output}`);
  const needed = new Set([output]);
  for (const node of [...graph.nodes].reverse()) {
    if (needed.has(node.name)) for (const input of node.inputs) needed.add(input);
  }
  return { ...graph, nodes: graph.nodes.filter((node) => needed.has(node.name)), output };
}

/** The same graph without the nodes that do nothing at inference: Identity and linear activations. */
export function dropIdentities(graph: Graph): Graph {
  const alias = new Map<string, string>();
  const through = (name: string): string => alias.get(name) ?? name;
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    const idle = node.op.kind === 'Identity' || (node.op.kind === 'Activation' && node.op.activation === 'linear');
    const [input] = node.inputs;
    if (idle && input !== undefined) alias.set(node.name, through(input));
    else nodes.push({ ...node, inputs: node.inputs.map(through) });
  }
  return { nodes, input: graph.input, output: through(graph.output) };
}

/** The same graph with nodes put after its output, each fed by the one before; the last is the new output. */
export function append(graph: Graph, ops: readonly { readonly name: string; readonly op: Op }[]): Graph {
  const nodes = [...graph.nodes];
  let output = graph.output;
  for (const { name, op } of ops) {
    nodes.push({ name, op, inputs: [output], weights: [] });
    output = name;
  }
  return { ...graph, nodes, output };
}

/** The same graph with nodes between its input and whatever took the input: preprocessing. */
export function prepend(graph: Graph, ops: readonly { readonly name: string; readonly op: Op }[]): Graph {
  const last = ops.at(-1);
  if (!last) return graph;
  const added = ops.map(({ name, op }, i): Node => {
    return { name, op, inputs: [ops[i - 1]?.name ?? graph.input], weights: [] };
  });
  const nodes = graph.nodes.flatMap((node) => {
    if (node.name === graph.input) return [node, ...added];
    return [{ ...node, inputs: node.inputs.map((name) => (name === graph.input ? last.name : name)) }];
  });
  return { nodes, input: graph.input, output: graph.output === graph.input ? last.name : graph.output };
}

/**
 * The same graph for images of one size: sizes that the file left open, or that differ, are replaced.
 * @throws ModelError when a shape no longer infers
 */
export function resize(graph: Graph, height: number, width: number): Graph {
  const nodes = graph.nodes.map((node): Node => {
    if (node.name !== graph.input || node.op.kind !== 'InputLayer') return node;
    return { ...node, op: { ...node.op, shape: [height, width, node.op.shape[2] ?? null] } };
  });
  const resized = { ...graph, nodes };
  inferShapes(resized);
  return resized;
}

/**
 * Batch normalization folded into the convolution or dense layer that feeds nothing but it, in float64:
 * y = (x - mean) * gamma / sqrt(variance + epsilon) + beta. One that cannot be folded becomes a multiply and an add a channel
 * (a Rescaling).
 */
export function foldBatchNorm(graph: Graph): Graph {
  const users = new Map<string, number>([[graph.output, 1]]);
  for (const node of graph.nodes) for (const input of node.inputs) users.set(input, (users.get(input) ?? 0) + 1);
  const done = new Map<string, Node>();
  const alias = new Map<string, string>();
  for (const original of graph.nodes) {
    const node = { ...original, inputs: original.inputs.map((name) => alias.get(name) ?? name) };
    if (node.op.kind !== 'BatchNormalization') {
      done.set(node.name, node);
      continue;
    }
    const { scale, offset } = affine(node.op, node.weights);
    const [input = ''] = node.inputs;
    const before = done.get(input);
    const folded = before && users.get(input) === 1 ? foldInto(before, scale, offset) : undefined;
    if (folded) {
      done.set(input, folded);
      alias.set(node.name, input);
      users.set(input, users.get(node.name) ?? 0);
    } else {
      done.set(node.name, {
        ...node,
        op: { kind: 'Rescaling', scale: [...scale], offset: [...offset] },
        weights: [],
      });
    }
  }
  return { nodes: [...done.values()], input: graph.input, output: alias.get(graph.output) ?? graph.output };
}

function affine(op: Extract<Op, { kind: 'BatchNormalization' }>, weights: readonly Tensor[]) {
  const rest = [...weights];
  const gamma = op.scale ? rest.shift()?.data : undefined;
  const beta = op.center ? rest.shift()?.data : undefined;
  const [mean, variance] = rest;
  if (!mean || !variance) throw new ModelError('a batch normalization without its statistics');
  const scale = Float64Array.from(variance.data, (v, i) => (gamma?.[i] ?? 1) / Math.sqrt(v + op.epsilon));
  const offset = Float64Array.from(mean.data, (m, i) => (beta?.[i] ?? 0) - m * (scale[i] ?? 0));
  return { scale, offset };
}

/** The node with a multiply and an add a channel built into its weights; undefined where its operation cannot hold them. */
function foldInto(node: Node, scale: Float64Array, offset: Float64Array): Node | undefined {
  const { op } = node;
  if (op.kind !== 'Conv2D' && op.kind !== 'DepthwiseConv2D' && op.kind !== 'SeparableConv2D' && op.kind !== 'Dense') {
    return undefined;
  }
  if (op.activation !== 'linear') return undefined;
  const weights = [...node.weights];
  const bias = op.useBias ? weights.pop() : undefined;
  const kernel = weights.pop(); // its last axes are the output channels: filters, or channels x multiplier when depthwise
  if (!kernel) return undefined;
  const n = scale.length;
  const folded = lazily(kernel.shape, () => kernel.data.map((value, i) => value * (scale[i % n] ?? 0)));
  const added = bias?.data;
  const shifted = Float32Array.from(offset, (value, i) => value + (added?.[i] ?? 0) * (scale[i] ?? 0));
  return {
    ...node,
    op: { ...op, useBias: true },
    weights: [...weights, folded, { shape: [n], data: shifted }],
  };
}
