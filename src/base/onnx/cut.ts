import { ModelError } from '../../errors.js';
import type { FileNode, OnnxFile, StoredTensor } from '../../formats/onnx/read.js';
import type { Attribute, OnnxNode } from '../../formats/onnx/write.js';

/** The part of a file that one value depends on: nodes in order, inputs before users, and the tensors they use. */
export interface Cut {
  readonly nodes: readonly OnnxNode[];
  /** In the order of their first use. */
  readonly tensors: readonly StoredTensor[];
  /** Names of the file's inputs that it depends on. */
  readonly inputs: readonly string[];
  readonly output: string;
}

/** Operators that draw their values: the same image would not give the same vector. */
const RANDOM = ['RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike', 'Bernoulli', 'Multinomial'];

/** What a person may call a node. */
export const label = ({ name, op, outputs }: FileNode): string => `${name || (outputs[0] ?? '')} (${op})`;

/**
 * The node that gives each value.
 * @throws ModelError where two give the same
 */
export function producers({ nodes, initializers, inputs }: OnnxFile): Map<string, FileNode> {
  const found = new Map<string, FileNode>();
  const given = new Set([...initializers.keys(), ...inputs.map(({ name }) => name)]);
  for (const node of nodes) {
    for (const output of node.outputs) {
      if (output === '') continue;
      if (found.has(output) || given.has(output))
        throw new ModelError(`two nodes give the tensor ${output}: export the model again`);
      found.set(output, node);
    }
  }
  return found;
}

/** Gives its first input back at inference. */
const isIdle = ({ op, domain }: FileNode): boolean => domain === '' && (op === 'Identity' || op === 'Dropout');

/** A node as it computes at inference: batch normalization by its running statistics, whatever mode it was exported in. */
function atInference(node: FileNode): OnnxNode {
  const { op, domain, name, inputs, attributes } = node;
  if (node.subgraphs.length > 0) {
    throw new ModelError(`node ${label(node)} is control flow, which is not supported: export the model without it`);
  }
  if (domain === '' && RANDOM.includes(op)) {
    throw new ModelError(
      `node ${label(node)} draws random values, so that no image would keep its vector: export the model for inference`,
    );
  }
  if (domain !== '' || op !== 'BatchNormalization')
    return { op, domain, name, inputs, outputs: node.outputs, attributes };
  const kept = Object.entries(attributes).filter(([key]) => key !== 'training_mode' && key !== 'momentum');
  return { op, domain, name, inputs, outputs: node.outputs.slice(0, 1), attributes: Object.fromEntries(kept) };
}

/**
 * Cuts a file at a value: what it does not depend on is left out, and so is what does nothing at inference.
 * @throws ModelError for values that come from nowhere or from themselves, and for nodes that are not supported
 */
export function cutOnnx(file: OnnxFile, output: string): Cut {
  const made = producers(file);
  const given = new Set(file.inputs.map(({ name }) => name));
  const through = (name: string): string => {
    let value = name;
    for (let node = made.get(value), n = 0; node && isIdle(node); node = made.get(value), n++) {
      const { inputs, outputs } = node;
      if (n > made.size) throw new ModelError(`the tensor ${name} depends on itself: export the model again`);
      if (value !== outputs[0])
        throw new ModelError(
          `node ${label(node)}: its second output is used, which only training has: export the model for inference`,
        );
      value = inputs[0] ?? '';
    }
    return value;
  };
  const nodes: OnnxNode[] = [];
  const tensors = new Map<string, StoredTensor>();
  const inputs = new Set<string>();
  const state = new Map<FileNode, 'open' | 'done'>();
  const stack: { node: FileNode; next: number }[] = [];
  const visit = (name: string, user: string): void => {
    if (name === '') return;
    const tensor = file.initializers.get(name);
    const node = made.get(name);
    if (tensor) tensors.set(name, tensor);
    else if (given.has(name)) inputs.add(name);
    else if (!node)
      throw new ModelError(`${user} takes the tensor ${name}, which nothing gives: export the model again`);
    else if (state.get(node) === 'open')
      throw new ModelError(`node ${label(node)} depends on itself: export the model again`);
    else if (!state.has(node)) {
      state.set(node, 'open');
      stack.push({ node, next: 0 });
    }
  };
  const end = through(output);
  visit(end, 'the output');
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const { node } = top;
    if (top.next < node.inputs.length) {
      visit(through(node.inputs[top.next++] ?? ''), `node ${label(node)}`);
      continue;
    }
    const ready = atInference(node);
    nodes.push({ ...ready, inputs: ready.inputs.map(through) });
    state.set(node, 'done');
    stack.pop();
  }
  return { nodes, tensors: [...tensors.values()], inputs: [...inputs], output: end };
}

const permutation = (attribute: Attribute | undefined): string => (Array.isArray(attribute) ? attribute.join() : '');

/** Operators that take and give channels first, whatever the model's input looks like. */
const CHANNELS_FIRST = [
  'Conv',
  'ConvTranspose',
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
  'GlobalMaxPool',
  'BatchNormalization',
  'InstanceNormalization',
  'DepthToSpace',
  'SpaceToDepth',
];

export type Layout = 'nchw' | 'nhwc';

/** How a value with four axes lies, told from the last operator before it that knows. */
export function layoutOf(cut: Pick<Cut, 'nodes' | 'output'>, input: Layout): Layout {
  const made = new Map(cut.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  let turned = false;
  const seen = new Set<OnnxNode>();
  for (let node = made.get(cut.output); node && !seen.has(node); ) {
    seen.add(node);
    const { op, inputs, attributes } = node;
    if (CHANNELS_FIRST.includes(op)) return turned ? 'nhwc' : 'nchw';
    const perm = op === 'Transpose' ? permutation(attributes?.perm) : '';
    if (perm === '0,2,3,1' || perm === '0,3,1,2') turned = !turned;
    node = inputs.map((name) => made.get(name)).find((producer) => producer !== undefined);
  }
  return turned === (input === 'nchw') ? 'nhwc' : 'nchw';
}
