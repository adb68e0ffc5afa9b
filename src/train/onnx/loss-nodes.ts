import type { Nodes } from '../../formats/onnx/nodes.js';
import { floats, int64s, type OnnxTensor } from '../../formats/onnx/write.js';
import { SHORTEST } from '../head-model.js';
import type { Ending } from '../head-net.js';
import { type Algebra, lossOf } from '../loss.js';
import type { Variable } from '../net-spec.js';

/** @returns the dims of a variable of all heads */
export const dimsOf = ({ out, width, flat }: Variable): (number | string)[] =>
  flat ? [`R${out}`, width] : ['H', out, width];

/** What the graphs of heads take numbers and axes from. */
export const constants = (units: number): OnnxTensor[] => [
  int64s('axis1', [1]),
  int64s('last', [-1]),
  int64s('second', [-2]),
  floats('shortest', [], [SHORTEST]),
  floats(
    'classes',
    [units, 1],
    Array.from({ length: units }, (_, i) => i),
  ),
  floats('zero', [], [0]),
  floats('one', [], [1]),
  floats('two', [], [2]),
  floats('half', [], [0.5]),
  floats('root_half', [], [Math.SQRT1_2]),
  floats('gauss', [], [1 / Math.sqrt(2 * Math.PI)]),
  floats('per_unit', [], [1 / units]),
];

/** One-hot or given targets, `[…, units, B]`. */
export const addTargets = (nodes: Nodes, ending: Ending, targets = 'targets'): string =>
  ending === 'softmax' ? nodes.add('Cast', [nodes.add('Equal', [targets, 'classes'])], { to: { i: 1 } }) : targets;

/** The loss of each example in nodes of a graph: units lie in rows, `[H, units, B]`. */
function algebra(nodes: Nodes): Algebra<string> {
  return {
    add: (a, b) => nodes.add('Add', [a, b]),
    subtract: (a, b) => nodes.add('Sub', [a, b]),
    multiply: (a, b) => nodes.add('Mul', [a, b]),
    negative: (x) => nodes.add('Neg', [x]),
    exp: (x) => nodes.add('Exp', [x]),
    sigmoid: (x) => nodes.add('Sigmoid', [x]),
    // As exact as the engine's own Softplus, which takes four times as long.
    softplus: (x) =>
      nodes.add('Sub', [nodes.add('Relu', [x]), nodes.add('Log', [nodes.add('Sigmoid', [nodes.add('Abs', [x])])])]),
    logSoftmax: (x) => nodes.add('LogSoftmax', [x], { axis: { i: -2 } }),
  };
}

/**
 * Adds the loss of each example from logits, and its derivative by the logits.
 * @returns `losses` `[H, 1, B]` for softmax, else as the logits; `delta` as the logits
 */
export function addLoss(nodes: Nodes, ending: Ending, logits: string, target: string) {
  const { losses, delta } = lossOf(algebra(nodes), ending, logits, target);
  return { losses: ending === 'softmax' ? nodes.add('ReduceSum', [losses, 'second']) : losses, delta };
}
