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

/** A step of a program: what it takes, what it gives, and whether it may write that over what it takes. */
export interface Step {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly inPlace: boolean;
  /** What it holds beside them while it runs. */
  readonly between?: number;
}

/** @returns the most that must be held at once while steps are run in their order; what has the size 0 is not counted */
export function mostHeld(steps: readonly Step[], output: string, sizeOf: (name: string) => number): number {
  const lastUse = new Map<string, number>();
  for (const [i, { inputs }] of steps.entries()) for (const name of inputs) lastUse.set(name, i);
  lastUse.set(output, steps.length);
  let [live, most] = [0, 0];
  for (const [i, { inputs, outputs, inPlace, between = 0 }] of steps.entries()) {
    const size = outputs.reduce((sum, name) => sum + sizeOf(name), 0);
    const ending = [...new Set(inputs)].filter((name) => lastUse.get(name) === i);
    const unused = outputs.filter((name) => !lastUse.has(name)).reduce((sum, name) => sum + sizeOf(name), 0);
    const freed = ending.reduce((sum, name) => sum + sizeOf(name), 0);
    const overwrites = inPlace && ending.some((name) => sizeOf(name) === size);
    live += overwrites ? 0 : size;
    most = Math.max(most, live + between);
    live -= (overwrites ? freed - size : freed) + unused;
  }
  return most;
}

/**
 * @returns the most values of one example that an engine must hold at once while it runs a graph in its order
 * @throws ModelError when a size is open
 */
export function mostLive(graph: Graph): number {
  const { nodes, output } = dropIdentities(graph);
  const shapes = fixedShapes(graph);
  const steps = nodes.map((node): Step => {
    const [first = node.name] = node.inputs;
    return {
      inputs: node.inputs,
      outputs: [node.name],
      inPlace: IN_PLACE.includes(node.op.kind),
      between: between(node, shapes.get(first) ?? [], shapes.get(node.name) ?? []),
    };
  });
  return mostHeld(steps, output, (name) => product(shapes.get(name) ?? []));
}
