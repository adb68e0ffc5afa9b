import { ModelError } from '../errors.js';
import type { Graph, Node, Op, Shape, Tensor } from '../graph/graph.js';
import { inferShapes } from '../graph/infer.js';
import { dropIdentities } from '../graph/passes.js';

/** A 1x1 convolution that scales and shifts each channel. */
function eachChannel(node: Node, scale: readonly number[], offset: readonly number[] | null): Node {
  const n = scale.length;
  const kernel: Tensor = { shape: [1, 1, n, 1], data: Float32Array.from(scale) };
  const bias: Tensor[] = offset ? [{ shape: [n], data: Float32Array.from(offset) }] : [];
  const op: Op = { kind: 'DepthwiseConv2D', depthMultiplier: 1, ...ONE_BY_ONE, useBias: offset !== null };
  return { name: node.name, op, inputs: node.inputs, weights: [kernel, ...bias] };
}

const ONE_BY_ONE = {
  kernelSize: [1, 1],
  strides: [1, 1],
  dilation: [1, 1],
  padding: 'valid',
  useBias: false,
  activation: 'linear',
} as const;

/** Keras 3's hard sigmoid, relu6(x + 3) / 6, which TensorFlow.js does not have, and x times that. */
function hard(node: Node, times: boolean): Node[] {
  const { name, inputs } = node;
  const rescaling = (scale: number, offset: number): Op => ({ kind: 'Rescaling', scale: [scale], offset: [offset] });
  const [shifted, clipped] = [`${name}_shifted`, `${name}_clipped`];
  const gate = times ? `${name}_gate` : name;
  const relu6: Op = { kind: 'ReLU', maxValue: 6, negativeSlope: 0, threshold: 0 };
  return [
    { name: shifted, op: rescaling(1, 3), inputs, weights: [] },
    { name: clipped, op: relu6, inputs: [shifted], weights: [] },
    { name: gate, op: rescaling(1 / 6, 0), inputs: [clipped], weights: [] },
    ...(times ? [{ name, op: { kind: 'Multiply' }, inputs: [...inputs, gate], weights: [] } satisfies Node] : []),
  ];
}

/** Layers that the reader does not load by itself, said with those that it does. */
function rewrite(node: Node, input: Shape, reader: 'keras' | 'tfjs'): Node[] {
  const { name, op, inputs, weights } = node;
  const channels = input.at(-1) ?? 0;
  switch (op.kind) {
    case 'Conv2D': {
      // TensorFlow.js has no groups; one for each channel is a depthwise convolution, whose kernel lies the same in memory.
      if (reader !== 'tfjs' || op.groups === 1 || op.groups !== channels) return [node];
      const { filters, groups, ...window } = op;
      const [kernel, ...rest] = weights;
      const depthMultiplier = filters / groups;
      const turned = kernel && { ...kernel, shape: [...op.kernelSize, channels, depthMultiplier] };
      const depthwise: Op = { ...window, kind: 'DepthwiseConv2D', depthMultiplier };
      return [{ name, op: depthwise, inputs, weights: turned ? [turned, ...rest] : [] }];
    }
    case 'Activation': {
      const isHard = op.activation === 'hard_silu' || op.activation === 'hard_sigmoid';
      return reader === 'tfjs' && isHard ? hard(node, op.activation === 'hard_silu') : [node];
    }
    case 'ReverseChannels': {
      const data = Float32Array.from({ length: channels * channels }, (_, i) =>
        Math.floor(i / channels) + (i % channels) === channels - 1 ? 1 : 0,
      );
      const kernel = { shape: [1, 1, channels, channels], data };
      return [{ name, op: { kind: 'Conv2D', filters: channels, groups: 1, ...ONE_BY_ONE }, inputs, weights: [kernel] }];
    }
    case 'LayerScale':
      return input.length === 3 ? [eachChannel(node, Array.from(weights[0]?.data ?? []), null)] : [node];
    case 'CustomScaleLayer': {
      const [first = '', second = ''] = inputs;
      const scaled = `${name}_scaled`;
      const scaling: Op = { kind: 'Rescaling', scale: [op.scale], offset: [0] };
      return [
        { name: scaled, op: scaling, inputs: [second], weights: [] },
        { name, op: { kind: 'Add' }, inputs: [first, scaled], weights: [] },
      ];
    }
    case 'Rescaling': {
      const many = Math.max(op.scale.length, op.offset.length) > 1;
      if (!many || input.length !== 3) return [{ name, op, inputs, weights }];
      const spread = (values: readonly number[]): number[] =>
        Array.from({ length: channels }, (_, i) => values[i] ?? values[0] ?? 0);
      return [eachChannel(node, spread(op.scale), spread(op.offset))];
    }
    case 'Normalization': {
      const mean = op.mean ?? Array.from(weights[0]?.data ?? []);
      const variance = op.variance ?? Array.from(weights[1]?.data ?? []);
      const deviation = variance.map((value) => Math.max(Math.sqrt(value), 1e-7));
      const scale = op.invert ? deviation : deviation.map((value) => 1 / value);
      const offset = op.invert ? mean : mean.map((value, i) => -value * (scale[i] ?? scale[0] ?? 1));
      return rewrite({ name, op: { kind: 'Rescaling', scale, offset }, inputs, weights: [] }, input, reader);
    }
    default:
      return [node];
  }
}

/**
 * The same computation as Keras, or TensorFlow.js, can load it without foreign code: layers that do nothing at inference left out, preprocessing and
 * the layers of some architectures said with built-in ones (channels turned round by a 1x1 convolution), and names that Keras takes.
 * @throws ModelError when shapes do not fit
 */
export function toBuiltin(graph: Graph, reader: 'keras' | 'tfjs'): Graph {
  const slim = dropIdentities(graph);
  const shapes = inferShapes(slim);
  const nodes = slim.nodes.flatMap((node) => rewrite(node, shapes.get(node.inputs[0] ?? '') ?? [], reader));
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const { name } of nodes) {
    const stem = name.replace(/[^A-Za-z0-9_.-]+/g, '_').replace(/^[^A-Za-z0-9]+/, '') || 'layer';
    let free = stem;
    for (let i = 1; taken.has(free); i++) free = `${stem}_${i}`;
    taken.add(free);
    names.set(name, free);
  }
  const called = (name: string): string => {
    const found = names.get(name);
    if (found === undefined) throw new ModelError(`layer ${name} is not in the graph`);
    return found;
  };
  return {
    nodes: nodes.map((node) => ({ ...node, name: called(node.name), inputs: node.inputs.map(called) })),
    input: called(slim.input),
    output: called(slim.output),
  };
}
