import { Nodes, value } from '../../formats/onnx/nodes.js';
import { int64s, type OnnxGraph, type ValueInfo } from '../../formats/onnx/write.js';
import { addNormalize } from '../head-model.js';
import { type PackSpec, targetWidth, variablesOf } from '../net-spec.js';
import { addLosses, isFlatHead } from './head-losses.js';
import { constants, dimsOf } from './loss-nodes.js';

/** Collects the inputs that a graph asks for. */
function asking(inputs: ValueInfo[]) {
  return (name: string, dims: readonly (number | string)[]): string => {
    if (!inputs.some((one) => one.name === name)) inputs.push(value(name, dims));
    return name;
  };
}

const logitDims = (spec: PackSpec): (number | string)[] => (isFlatHead(spec) ? ['H', 'B'] : ['H', spec.units, 'B']);
const targetDims = (spec: PackSpec): (number | string)[] =>
  isFlatHead(spec) ? ['T', 'B'] : ['T', targetWidth(spec), 'B'];

/**
 * One minibatch through heads without hidden layers: from rows of vectors `x` to `logits` and the gradient of each variable, summed
 * over rows and units.
 */
export function stepGraph(spec: PackSpec): OnnxGraph {
  const nodes = new Nodes();
  const flat = isFlatHead(spec);
  const variables = variablesOf(spec);
  const inputs = [
    value('x', ['B', spec.d]),
    value('targets', targetDims(spec)),
    value('ones', ['B', 2]),
    ...variables.map((variable) => value(variable.name, dimsOf(variable))),
    ...(flat ? [] : [value('apart', [3], 'int64'), value('joined', [2], 'int64')]),
  ];
  let x = 'x';
  if (spec.normalize) x = addNormalize(nodes, x);
  if (spec.standardize) {
    inputs.push(value('mean', [spec.d]), value('inverse', [spec.d]));
    x = nodes.add('Mul', [nodes.add('Sub', [x, 'mean']), 'inverse']);
  }
  const dense = nodes.add('Gemm', ['kernel0', x, 'bias0'], { transB: { i: 1 } }, flat ? 'logits' : undefined);
  if (!flat) nodes.add('Reshape', [dense, 'apart'], {}, 'logits');
  const { delta } = addLosses(nodes, spec, asking(inputs), 'logits', 'targets');
  const joined = flat ? delta : nodes.add('Reshape', [delta, 'joined']);
  nodes.add('Gemm', [joined, x], {}, 'kernel0_gradient');
  // Sums of the engine, and its products with one column, round by where among the rows one stands.
  const sums = nodes.add('Gemm', [joined, 'ones']);
  nodes.add('Slice', [sums, 'start', 'axis1', 'axis1'], {}, 'bias0_gradient');
  const outputs = [
    value('logits', logitDims(spec)),
    ...variables.map((variable) => value(`${variable.name}_gradient`, dimsOf(variable))),
  ];
  return {
    name: 'step',
    nodes: nodes.for(outputs.map(({ name }) => name)),
    initializers: [...constants(spec.units), int64s('start', [0])],
    inputs,
    outputs,
  };
}

/** The loss of each example of S minibatches from their `logits`: `losses` `[S, H, 1 or units, B]`, of flat heads `[S, H, B]`. */
export function lossGraph(spec: PackSpec): OnnxGraph {
  const nodes = new Nodes();
  const inputs = [value('logits', ['S', ...logitDims(spec)]), value('targets_all', ['S', ...targetDims(spec)])];
  const { losses } = addLosses(nodes, spec, asking(inputs), 'logits', 'targets_all');
  const units = spec.ending === 'softmax' ? 1 : spec.units;
  return {
    name: 'losses',
    nodes: nodes.for([losses]),
    initializers: constants(spec.units),
    inputs,
    outputs: [value(losses, ['S', 'H', ...(isFlatHead(spec) ? [] : [units]), 'B'])],
  };
}
