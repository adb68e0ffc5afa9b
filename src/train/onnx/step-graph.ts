import { Nodes, value } from '../../formats/onnx/nodes.js';
import { int64s, type OnnxGraph, type ValueInfo } from '../../formats/onnx/write.js';
import { addNormalize } from '../head-model.js';
import { type PackSpec, targetWidth } from '../net-spec.js';
import { addLosses, isFlatHead } from './head-losses.js';
import { constants } from './loss-nodes.js';

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

/** Numbers of a line of the processor's caches. */
const LINE = 16;
/** Rows of a multiple of so many numbers begin in the same few places of the caches, and push each other out. */
const CLASH = 512;

/**
 * @returns numbers of a row of weights, or of vectors that they are multiplied by: the kernel, then the bias, where vectors have a 1,
 * then zeros
 */
export function rowOf(d: number): number {
  const row = Math.ceil((d + 1) / LINE) * LINE;
  return row % CLASH === 0 ? row + LINE : row;
}

/**
 * One minibatch through heads without hidden layers: from rows of vectors `x` and of `weights` to `logits` and the `gradient` of the
 * weights, summed over rows and units. The bias is a column of both products, which costs nothing; sums of the engine round by
 * where among the rows one stands.
 */
export function stepGraph(spec: PackSpec): OnnxGraph {
  const nodes = new Nodes();
  const flat = isFlatHead(spec);
  const row = rowOf(spec.d);
  const inputs = [
    value('x', ['B', row]),
    value('targets', targetDims(spec)),
    value('weights', ['R', row]),
    ...(flat ? [] : [value('apart', [3], 'int64'), value('joined', [2], 'int64')]),
  ];
  let x = 'x';
  if (spec.normalize) {
    const part = (from: string, to: string): string => nodes.add('Slice', [x, from, to, 'axis1']);
    x = nodes.add('Concat', [addNormalize(nodes, part('start', 'd')), part('d', 'row')], { axis: { i: 1 } });
  }
  if (spec.standardize) {
    inputs.push(value('mean', [row]), value('inverse', [row]));
    x = nodes.add('Mul', [nodes.add('Sub', [x, 'mean']), 'inverse']);
  }
  const dense = nodes.add('Gemm', ['weights', x], { transB: { i: 1 } }, flat ? 'logits' : undefined);
  if (!flat) nodes.add('Reshape', [dense, 'apart'], {}, 'logits');
  const { delta } = addLosses(nodes, spec, asking(inputs), 'logits', 'targets');
  nodes.add('Gemm', [flat ? delta : nodes.add('Reshape', [delta, 'joined']), x], {}, 'gradient');
  const outputs = [value('logits', logitDims(spec)), value('gradient', ['R', row])];
  return {
    name: 'step',
    nodes: nodes.for(outputs.map(({ name }) => name)),
    initializers: [...constants(spec.units), int64s('start', [0]), int64s('d', [spec.d]), int64s('row', [row])],
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
