import type { Graph, Node, Op } from './graph.js';
import { dropIdentities } from './passes.js';
import { fixedShapes } from './prepare.js';

/** What is computed value by value, so that an engine writes over what it reads. */
const IN_PLACE: readonly Op['kind'][] = [
  'BatchNormalization',
  'Activation',
  'ReLU',
  'LeakyReLU',
  'ELU',
  'PReLU',
  'Rescaling',
  'Normalization',
  'LayerScale',
  'Add',
  'Subtract',
  'Multiply',
];

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Values that a layer needs beside what it takes and gives: a separable convolution's, between its two. */
function between({ op }: Node, input: readonly number[], output: readonly number[]): number {
  if (op.kind !== 'SeparableConv2D') return 0;
  return (product(output) / (output.at(-1) ?? 1)) * (input.at(-1) ?? 1) * op.depthMultiplier;
}

/**
 * @returns the most values of one example that an engine must hold at once while it runs a graph in its order
 * @throws ModelError when a size is open
 */
export function mostLive(graph: Graph): number {
  const { nodes, output } = dropIdentities(graph);
  const shapes = fixedShapes(graph);
  const sizeOf = (name: string): number => product(shapes.get(name) ?? []);
  const lastUse = new Map<string, number>();
  for (const [i, { inputs }] of nodes.entries()) for (const name of inputs) lastUse.set(name, i);
  lastUse.set(output, nodes.length);
  let [live, most] = [0, 0];
  for (const [i, node] of nodes.entries()) {
    const [first = node.name] = node.inputs;
    const ending = [...new Set(node.inputs)].filter((name) => lastUse.get(name) === i);
    const freed = ending.reduce((sum, name) => sum + sizeOf(name), 0);
    const overwrites = IN_PLACE.includes(node.op.kind) && ending.some((name) => sizeOf(name) === sizeOf(node.name));
    live += overwrites ? 0 : sizeOf(node.name);
    most = Math.max(most, live + between(node, shapes.get(first) ?? [], shapes.get(node.name) ?? []));
    live -= overwrites ? freed - sizeOf(node.name) : freed;
  }
  return most;
}
