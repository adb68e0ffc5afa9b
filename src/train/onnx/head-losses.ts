import type { Nodes } from '../../formats/onnx/nodes.js';
import { int64s, type OnnxTensor } from '../../formats/onnx/write.js';
import type { NetSpec, PackSpec } from '../net-spec.js';
import { addLoss, addTargets } from './loss-nodes.js';

/** Where all heads have one unit and no hidden layer, logits stay `[H, B]`; else `[H, units, B]`. */
export const isFlatHead = (spec: NetSpec & { readonly dropout?: boolean }): boolean =>
  spec.hidden.length === 0 && spec.units === 1 && spec.dropout !== true;

/** @returns the dims of one number a head, beside logits */
export const headColumn = (spec: NetSpec & { readonly dropout?: boolean }): (1 | 'H')[] =>
  isFlatHead(spec) ? ['H', 1] : ['H', 1, 1];

/** @returns the dims of one number a head and unit, beside logits */
export const unitColumn = (spec: NetSpec & { readonly dropout?: boolean }): (number | 'H')[] =>
  isFlatHead(spec) ? ['H', 1] : ['H', spec.units, 1];

/** Asks for an input of the graph. @returns its name */
export type Ask = (name: string, dims: readonly (number | string)[]) => string;

/** Adds the loss of each example, `[…, H, 1 or units, B]`, and its derivative by the logits; weights and smoothing are in both. */
export function addLosses(
  nodes: Nodes,
  spec: PackSpec,
  ask: Ask,
  logits: string,
  targets: string,
): { losses: string; delta: string } {
  const { ending, units } = spec;
  const hard = addTargets(nodes, ending, targets);
  let target = hard;
  if (spec.labelSmoothing) {
    const sharp = nodes.add('Mul', [hard, ask('sharp', headColumn(spec))]);
    target = nodes.add('Add', [sharp, ask('spread', headColumn(spec))]);
  }
  const { losses, delta } = addLoss(nodes, ending, logits, target);
  if (!spec.classWeight) return { losses, delta };
  const weight =
    ending === 'softmax'
      ? nodes.add('MatMul', [ask('class_weights', ['H', 1, units]), hard]) // [H, 1, B]
      : nodes.add('Add', [
          nodes.add('Mul', [hard, ask('weight_slope', unitColumn(spec))]),
          ask('weight_base', unitColumn(spec)),
        ]);
  return { losses: nodes.add('Mul', [losses, weight]), delta: nodes.add('Mul', [delta, weight]) };
}

/** What `addSums` takes axes from, beside `constants`. */
export const AXES: readonly OnnxTensor[] = [int64s('both', [-1, -2])];

/** Adds the output `losses`, `[S, H]`: of the `logits` and `targets_all` of S minibatches, summed over rows and units. */
export function addSums(nodes: Nodes, spec: PackSpec, ask: Ask): void {
  const { losses } = addLosses(nodes, spec, ask, 'logits', 'targets_all');
  nodes.add('ReduceSum', [losses, isFlatHead(spec) ? 'last' : 'both'], { keepdims: { i: 0 } }, 'losses');
}
