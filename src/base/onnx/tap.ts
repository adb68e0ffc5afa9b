import { ModelError } from '../../errors.js';
import type { FileNode, OnnxFile } from '../../formats/onnx/read.js';
import { label, producers } from './cut.js';

/** Turn scores into probabilities. */
const PROBABILITIES = ['Softmax', 'LogSoftmax', 'Sigmoid', 'HardSigmoid'];
/** Keep the values and change at most their shape. */
const SHAPES = ['Identity', 'Dropout', 'Flatten', 'Reshape', 'Squeeze', 'Unsqueeze', 'Cast', 'Transpose'];
const POOLS = ['GlobalAveragePool', 'ReduceMean', 'GlobalMaxPool', 'ReduceMax'];

/** Walks from a value towards the input while nodes are of some kinds. */
function back(file: OnnxFile, made: ReadonlyMap<string, FileNode>, from: string, kinds: readonly string[]) {
  let value = from;
  const passed: FileNode[] = [];
  for (let node = made.get(value); node && kinds.includes(node.op); node = made.get(value)) {
    if (passed.length > made.size) throw new ModelError(`node ${label(node)} depends on itself`);
    passed.push(node);
    value = node.inputs.find((name) => name !== '' && !file.initializers.has(name)) ?? '';
  }
  return { value, passed };
}

/** Names to choose from, where the choice is not made here: what the last convolutions, pools and products take. */
function candidates(file: OnnxFile): string {
  const ends = ['Gemm', 'MatMul', ...POOLS, 'Flatten', 'Conv', 'Relu', 'Add', 'Concat'];
  const names = file.nodes.filter(({ op }) => ends.includes(op)).map(({ outputs }) => outputs[0] ?? '');
  return names.slice(-6).join(', ');
}

/**
 * The tensor to tap: the one that is named, by its own name or that of the node that gives it first, or the last feature
 * tensor, which is what the final classifier takes.
 * @throws ModelError where the name is not there, where several tensors may be meant, or where it holds probabilities
 */
export function findTap(file: OnnxFile, named: string | undefined): string {
  const made = producers(file);
  const tap = named === undefined ? lastFeatures(file, made) : byName(file, made, named);
  const { value } = back(file, made, tap, SHAPES);
  const node = made.get(value);
  if (node && PROBABILITIES.includes(node.op)) {
    throw new ModelError(
      `tensor ${tap} holds probabilities (${node.op}), which make poor features: tap the one before it, --layer ${node.inputs[0]}`,
    );
  }
  if (!node) throw new ModelError(`tensor ${tap} is the input or a constant: tap one after it`);
  return tap;
}

function byName(file: OnnxFile, made: ReadonlyMap<string, FileNode>, named: string): string {
  if (made.has(named)) return named;
  const found = file.nodes.filter(({ name }) => name === named);
  const [output] = found[0]?.outputs ?? [];
  if (found.length > 1) throw new ModelError(`several nodes are called ${named}: give --layer the name of a tensor`);
  if (output) return output;
  const names = [...made.keys(), ...file.nodes.map(({ name }) => name)];
  const close = names.filter((name) => name !== '' && (name.includes(named) || named.includes(name))).slice(0, 5);
  const advice = close.length > 0 ? `did you mean ${close.join(', ')}?` : `the last ones are ${candidates(file)}`;
  throw new ModelError(`it has no tensor or node ${JSON.stringify(named)}: ${advice}`);
}

function lastFeatures(file: OnnxFile, made: ReadonlyMap<string, FileNode>): string {
  const [output, ...others] = file.outputs;
  if (output === undefined) throw new ModelError('it has no output');
  const choose = `give --layer the tensor or node to tap, for example one of ${candidates(file)}`;
  if (others.length > 0) {
    throw new ModelError(
      `it has ${others.length + 1} outputs (${[output, ...others].slice(0, 4).join(', ')}): ${choose}`,
    );
  }
  const isConstant = (name: string): boolean => file.initializers.has(name);
  const scores = back(file, made, output, [...PROBABILITIES, ...SHAPES]);
  const hasProbabilities = scores.passed.some(({ op }) => PROBABILITIES.includes(op));
  let last = made.get(scores.value);
  // A bias that is added on its own, as Keras and tf2onnx write a Dense.
  if (last?.op === 'Add' && last.inputs.some(isConstant)) {
    const product = made.get(last.inputs.find((name) => !isConstant(name)) ?? '');
    if (product && ['MatMul', 'Gemm'].includes(product.op)) last = product;
  }
  if (last && ['MatMul', 'Gemm'].includes(last.op) && last.inputs.slice(1).some(isConstant)) {
    // Of a pooled vector the pool's own output is tapped: [n, c] or [n, c, 1, 1] give the same features.
    return back(file, made, last.inputs[0] ?? '', ['Identity', 'Dropout', 'Cast']).value;
  }
  const pooled = back(file, made, output, [...PROBABILITIES, ...SHAPES, ...POOLS]);
  const node = made.get(pooled.value);
  const kernel = node?.op === 'Conv' ? file.initializers.get(node.inputs[1] ?? '')?.dims : undefined;
  if (!hasProbabilities) return back(file, made, output, ['Identity']).value;
  // A classifier that is a 1 x 1 convolution, as MobileNet's.
  if (node && kernel?.slice(2).every((size) => size === 1)) return node.inputs[0] ?? '';
  throw new ModelError(
    `its last feature tensor cannot be told from its end (${node ? label(node) : pooled.value}): ${choose}`,
  );
}
