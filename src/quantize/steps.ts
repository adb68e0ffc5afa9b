import type { OnnxProgram } from '../engine/engine.js';
import { ModelError } from '../errors.js';
import type { OnnxGraph, OnnxNode, OnnxTensor } from '../formats/onnx/write.js';
import { numberOf, wordOf } from './attributes.js';
import { folded, valuesOf } from './fold.js';

/**
 * A node as int8 takes it. `layer`: has weights, and is quantised or left in float; `mix`: computes anew from 8-bit values, and gives
 * them; `move`: gives 8-bit values of its input as they are; `float`: everything else.
 */
export type Step = LayerStep | MixStep | MoveStep | FloatStep;

interface Whole {
  readonly node: OnnxNode;
}
/** A node with the activation after it, which the range of the 8-bit value is. */
interface Folded extends Whole {
  readonly activation: OnnxNode | null;
  /** Its value, after the activation. */
  readonly output: string;
  /** The largest value that the activation lets through; null without a limit. */
  readonly top: number | null;
}
export interface LayerStep extends Folded {
  readonly type: 'layer';
  readonly weight: OnnxTensor;
  readonly bias: Float32Array | null;
  /** Axis of the weights on which the output's channels lie. */
  readonly axis: number;
}
export interface MixStep extends Folded {
  readonly type: 'mix';
}
export interface MoveStep extends Whole {
  readonly type: 'move';
}
export interface FloatStep extends Whole {
  readonly type: 'float';
}

/** A float program as the quantiser sees it. */
export interface Steps {
  readonly program: OnnxProgram;
  readonly constants: ReadonlyMap<string, OnnxTensor>;
  readonly steps: readonly Step[];
  readonly layers: readonly LayerStep[];
  /** Values whose ranges must be known, in order. */
  readonly points: readonly string[];
}

/** The first version of ONNX's operators whose Clip, MaxPool and Pad take 8 bits, and whose weights have a scale a channel. */
const LEAST_OPSET = 13;

const MIXES = ['Add', 'Mul', 'Concat', 'AveragePool', 'Sigmoid', 'LeakyRelu'];
const MOVES = ['MaxPool', 'Relu', 'Clip', 'Pad', 'Transpose', 'Reshape', 'Flatten', 'Slice', 'Squeeze', 'Unsqueeze'];

const isOwn = ({ domain = '' }: OnnxNode): boolean => domain === '' || domain === 'ai.onnx';

/** @returns the limits of a Clip from zero; null of any other */
export function clipTop(node: OnnxNode, constants: ReadonlyMap<string, OnnxTensor>): number | null {
  const [, min = '', max = ''] = node.inputs;
  const value = (name: string): number | undefined => {
    const tensor = constants.get(name);
    return tensor?.type === 'float' ? valuesOf(tensor)[0] : undefined;
  };
  return value(min) === 0 && (value(max) ?? 0) > 0 ? (value(max) as number) : null;
}

/** @returns whether a node is a Relu, or a Clip from zero on */
const isActivation = (node: OnnxNode, constants: ReadonlyMap<string, OnnxTensor>): boolean =>
  isOwn(node) && (node.op === 'Relu' || (node.op === 'Clip' && clipTop(node, constants) !== null));

function layerParts(node: OnnxNode, constants: ReadonlyMap<string, OnnxTensor>) {
  const [, w = '', b = ''] = node.inputs;
  const weight = constants.get(w);
  const bias = constants.get(b);
  if (!isOwn(node) || weight?.type !== 'float' || (b !== '' && bias?.type !== 'float')) return null;
  const { attributes = {} } = node;
  const parts = { weight, bias: bias ? valuesOf(bias) : null };
  if (node.op === 'Conv') return weight.dims.length === 4 ? { ...parts, axis: 0 } : null;
  if (node.op === 'MatMul') return weight.dims.length === 2 ? { ...parts, axis: 1 } : null;
  if (node.op !== 'Gemm' || weight.dims.length !== 2) return null;
  const plain = ['alpha', 'beta'].every((name) => (numberOf(attributes[name]) ?? 1) === 1);
  if (!plain || (numberOf(attributes.transA) ?? 0) !== 0) return null;
  const axis = numberOf(attributes.transB) === 1 ? 0 : 1;
  return bias && bias.dims.length !== 1 ? null : { ...parts, axis };
}

/**
 * Sorts the nodes of a float program.
 * @throws ModelError for a model of an older opset than int8 needs
 */
export function stepsOf(given: OnnxProgram): Steps {
  const opset = given.imports.opsets[''] ?? given.imports.opsets['ai.onnx'] ?? 0;
  if (opset < LEAST_OPSET) {
    throw new ModelError(
      `it is written for opset ${opset} of ONNX, and int8 needs ${LEAST_OPSET} or later: export it anew, or use --precision float32`,
    );
  }
  const program: OnnxProgram = { ...given, graph: folded(given.graph) };
  const { nodes, initializers, outputs } = program.graph;
  const constants = new Map(initializers.map((tensor) => [tensor.name, tensor]));
  const users = usersOf(program.graph);
  const steps: Step[] = [];
  const taken = new Set<OnnxNode>();
  for (const node of nodes) {
    if (taken.has(node)) continue;
    const value = node.outputs[0] ?? '';
    const after = users.get(value) ?? [];
    const [next] = after;
    const alone = after.length === 1 && next && !outputs.some(({ name }) => name === value);
    const activation = alone && isActivation(next, constants) ? next : null;
    const fold: Folded = {
      node,
      activation,
      output: activation?.outputs[0] ?? value,
      top: activation?.op === 'Clip' ? clipTop(activation, constants) : null,
    };
    const layer = layerParts(node, constants);
    // What a matrix product gives stays in float, with what follows it.
    if (layer !== null) {
      const matrix = { node, activation: null, output: value, top: null };
      steps.push({ type: 'layer', ...(node.op === 'Conv' ? fold : matrix), ...layer });
      if (node.op === 'Conv' && activation) taken.add(activation);
    } else if (isMix(node, constants)) {
      steps.push({ type: 'mix', ...fold });
      if (activation) taken.add(activation);
    } else {
      steps.push({ type: isMove(node, constants) ? 'move' : 'float', node });
    }
  }
  const points = new Set<string>();
  for (const step of steps) {
    if (step.type === 'move' || step.type === 'float') continue;
    for (const name of step.node.inputs) if (name !== '' && !constants.has(name)) points.add(name);
    points.add(step.output);
  }
  const layers = steps.filter((step) => step.type === 'layer');
  return { program, constants, steps, layers, points: [...points] };
}

function usersOf({ nodes }: OnnxGraph): Map<string, OnnxNode[]> {
  const users = new Map<string, OnnxNode[]>();
  for (const node of nodes) for (const input of node.inputs) users.set(input, [...(users.get(input) ?? []), node]);
  return users;
}

function isMix(node: OnnxNode, constants: ReadonlyMap<string, OnnxTensor>): boolean {
  return isOwn(node) && MIXES.includes(node.op) && node.inputs.every((name) => !constants.has(name));
}

/** All but the first input must be constants, of which a Pad's value must be zero. */
function isMove(node: OnnxNode, constants: ReadonlyMap<string, OnnxTensor>): boolean {
  if (!isOwn(node) || !MOVES.includes(node.op) || node.outputs.length !== 1) return false;
  const [, ...rest] = node.inputs;
  if (!rest.every((name) => name === '' || constants.has(name))) return false;
  if (node.op === 'Clip') return clipTop(node, constants) !== null;
  if (node.op !== 'Pad') return true;
  const [, value = '', axes = ''] = rest;
  const tensor = constants.get(value);
  const mode = wordOf(node.attributes?.mode);
  return (
    axes === '' && (mode === undefined || mode === 'constant') && (!tensor || valuesOf(tensor).every((v) => v === 0))
  );
}
