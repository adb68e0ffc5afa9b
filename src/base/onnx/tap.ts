import { ModelError } from '../../errors.js';
import type { FileNode, OnnxFile } from '../../formats/onnx/read.js';
import { label, producers } from './cut.js';

/** Turn scores into probabilities. */
const PROBABILITIES = ['Softmax', 'LogSoftmax', 'Sigmoid', 'HardSigmoid'];
/** Keep the values, but for rounding, and change at most their shape. */
const SHAPES = [
  ...['Identity', 'Dropout', 'Flatten', 'Reshape', 'Squeeze', 'Unsqueeze', 'Cast', 'Transpose'],
  ...['QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear'],
];
/** What stands between the vector that a classifier takes and its product, and is no step of the base. */
const BEFORE = ['Identity', 'Dropout', 'Cast', 'QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear'];
/** Products with the weights of a classifier, each with the place of its weights among its inputs. */
const PRODUCTS: Readonly<Record<string, number>> = {
  Gemm: 1,
  MatMul: 1,
  FusedGemm: 1,
  FusedMatMul: 1,
  MatMulInteger: 1,
  MatMulNBits: 1,
  QGemm: 3,
  QLinearMatMul: 3,
};
const ACTIVATIONS = ['Relu', 'Clip', 'LeakyRelu', 'HardSwish', 'PRelu'];
/** Classes of ImageNet, and with one for the background. */
const IMAGENET = [1000, 1001];
const POOLS = ['GlobalAveragePool', 'ReduceMean', 'GlobalMaxPool', 'ReduceMax'];

/** Walks from a value towards the input while nodes are of some kinds. */
function back(file: OnnxFile, made: ReadonlyMap<string, FileNode>, from: string, kinds: readonly string[]) {
  let value = from;
  const passed: FileNode[] = [];
  for (let node = made.get(value); node && kinds.includes(node.op); node = made.get(value)) {
    if (passed.length > made.size)
      throw new ModelError(`node ${label(node)} depends on itself: export the model again`);
    passed.push(node);
    value = node.inputs.find((name) => name !== '' && !file.initializers.has(name)) ?? '';
  }
  return { value, passed };
}

/** Names to choose from, where the choice is not made here: the model's outputs, what its pools give, then the last maps. */
export function candidates(file: OnnxFile): string[] {
  const of = (kinds: readonly string[]): string[] =>
    file.nodes.filter(({ op }) => kinds.includes(op)).map(({ outputs }) => outputs[0] ?? '');
  const last = of(['Flatten', 'Conv', 'Relu', 'Add', 'Concat', 'LayerNormalization']).reverse();
  return [...new Set([...of(POOLS).reverse(), ...last, ...file.outputs])].slice(0, 6);
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
  const advice = close.length > 0 ? `did you mean ${close.join(', ')}?` : `for example ${candidates(file).join(', ')}`;
  throw new ModelError(`it has no tensor or node ${JSON.stringify(named)}: ${advice}`);
}

function lastFeatures(file: OnnxFile, made: ReadonlyMap<string, FileNode>): string {
  const [output, ...others] = file.outputs;
  if (output === undefined) throw new ModelError('it has no output: export the model again');
  const choose = `give --layer the tensor or node to tap, for example one of ${candidates(file).join(', ')}`;
  if (others.length > 0) {
    throw new ModelError(
      `it has ${others.length + 1} outputs (${[output, ...others].slice(0, 4).join(', ')}): ${choose}`,
    );
  }
  const scores = back(file, made, output, [...PROBABILITIES, ...SHAPES]);
  const hasProbabilities = scores.passed.some(({ op }) => PROBABILITIES.includes(op));
  const product = productBefore(file, made, scores.value);
  if (product) {
    const weights = product.inputs[PRODUCTS[product.op] ?? 1] ?? '';
    if (isConstant(file, made, weights)) {
      // Of a pooled vector the pool's own output is tapped: [n, c] or [n, c, 1, 1] give the same features.
      return back(file, made, product.inputs[0] ?? '', BEFORE).value;
    }
    throw new ModelError(`its output is a product of two tensors (${label(product)}), not of features: ${choose}`);
  }
  const pooled = back(file, made, output, [...PROBABILITIES, ...SHAPES, ...POOLS]);
  const isPooled = pooled.passed.some(({ op }) => POOLS.includes(op));
  const node = made.get(back(file, made, pooled.value, ACTIVATIONS).value);
  const [classes = 0, channels = 0, ...kernel] = file.initializers.get(node?.inputs[1] ?? '')?.dims ?? [];
  const isOneByOne = node?.op === 'Conv' && kernel.length > 0 && kernel.every((size) => size === 1);
  // A classifier that is a 1 x 1 convolution, as those of MobileNet and SqueezeNet. No base ends in one that takes fewer channels.
  const isClassifier =
    isOneByOne && (hasProbabilities || (isPooled && (classes < channels || IMAGENET.includes(classes))));
  if (node && isClassifier) return node.inputs[0] ?? '';
  if (!hasProbabilities) return back(file, made, output, ['Identity']).value;
  throw new ModelError(
    `its last feature tensor cannot be told from its end (${node ? label(node) : pooled.value}): ${choose}`,
  );
}

/** Whether a tensor is a constant, or made of constants alone. */
function isConstant(file: OnnxFile, made: ReadonlyMap<string, FileNode>, name: string, depth = 0): boolean {
  if (file.initializers.has(name)) return true;
  const node = made.get(name);
  if (!node || depth > 4) return false;
  return node.inputs.every((input) => input === '' || isConstant(file, made, input, depth + 1));
}

/**
 * The product that gives a tensor, at once or with a bias added (as Keras and tf2onnx write a Dense) and with the scales of its
 * numbers multiplied in (as onnxruntime's quantization writes it).
 */
function productBefore(file: OnnxFile, made: ReadonlyMap<string, FileNode>, value: string): FileNode | null {
  let name = value;
  for (const step of ['Add', 'Mul', 'Cast']) {
    const node = made.get(name);
    if (node?.op !== step) continue;
    const [rest, ...more] = step === 'Cast' ? node.inputs : node.inputs.filter((one) => !isScale(file, made, one));
    if (rest !== undefined && more.length === 0) name = rest;
  }
  const node = made.get(name);
  return node && Object.hasOwn(PRODUCTS, node.op) ? node : null;
}

/** A bias, or a scale: constants, and what a dynamic quantization gives beside its values. */
function isScale(file: OnnxFile, made: ReadonlyMap<string, FileNode>, name: string): boolean {
  if (isConstant(file, made, name)) return true;
  const node = made.get(name);
  if (node?.op === 'DynamicQuantizeLinear') return node.outputs[0] !== name;
  return node?.op === 'Mul' && node.inputs.every((input) => isScale(file, made, input));
}
