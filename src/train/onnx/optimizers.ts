import type { Nodes } from '../../formats/onnx/nodes.js';
import { floats, type OnnxTensor } from '../../formats/onnx/write.js';

/** What an optimizer keeps of a variable beside its weights. */
export type Slot = 'momentum' | 'velocity';
type Kind = 'adam' | 'sgd' | 'rmsprop';

export const SLOTS: Readonly<Record<Kind, readonly Slot[]>> = {
  adam: ['momentum', 'velocity'],
  sgd: ['momentum'],
  rmsprop: ['velocity', 'momentum'],
};

/** Keras's defaults. */
export const ADAM = { beta1: 0.9, beta2: 0.999 } as const;
const RHO = 0.9;
const EPSILON = 1e-7;
/** Adam's, for moments that are kept without their factors. */
export const ADAM_EPSILON = EPSILON / Math.sqrt(1 - ADAM.beta2);

/** The constants of each optimizer's step. */
export const STEP_SIZES: Readonly<Record<Kind, readonly OnnxTensor[]>> = {
  adam: [floats('decay1', [], [ADAM.beta1]), floats('decay2', [], [ADAM.beta2]), floats('epsilon', [], [ADAM_EPSILON])],
  sgd: [],
  rmsprop: [floats('rho', [], [RHO]), floats('rest', [], [1 - RHO]), floats('epsilon', [], [EPSILON])],
};

interface Update {
  /** Of the variable. */
  readonly name: string;
  /** Its value after weight decay. */
  readonly weights: string;
  readonly gradient: string;
  /** The learning rate; for Adam with its correction for the first steps. */
  readonly rate: string;
  /** Asks for the share of the momentum that stays. */
  readonly momentum: () => string;
}

/** Adds one step of an optimizer of Keras 3 (keras/src/optimizers), giving `NAME_next` and its slots' next values. */
export function addUpdate(
  nodes: Nodes,
  { optimizer, momentum, nesterov }: { optimizer: Kind; momentum: boolean; nesterov: boolean },
  update: Update,
): void {
  const { name, weights, gradient, rate } = update;
  const square = (): string => nodes.add('Mul', [gradient, gradient]);
  switch (optimizer) {
    case 'adam': {
      // Both moments without their factors 1 - b, which the rate and epsilon make up for: two passes over the weights less.
      const move = (slot: Slot, by: string, keep: string): string => {
        const old = `${name}_${slot}`;
        return nodes.add('Add', [nodes.add('Mul', [old, keep]), by], {}, `${old}_next`);
      };
      const m = move('momentum', gradient, 'decay1');
      const v = move('velocity', square(), 'decay2');
      const size = nodes.add('Add', [nodes.add('Sqrt', [v]), 'epsilon']);
      const step = nodes.add('Div', [nodes.add('Mul', [m, rate]), size]);
      nodes.add('Sub', [weights, step], {}, `${name}_next`);
      return;
    }
    case 'sgd': {
      const step = nodes.add('Mul', [gradient, rate]);
      if (!momentum) {
        nodes.add('Sub', [weights, step], {}, `${name}_next`);
        return;
      }
      const kept = nodes.add('Mul', [`${name}_momentum`, update.momentum()]);
      const m = nodes.add('Sub', [kept, step], {}, `${name}_momentum_next`);
      const move = nesterov ? nodes.add('Sub', [nodes.add('Mul', [m, update.momentum()]), step]) : m;
      nodes.add('Add', [weights, move], {}, `${name}_next`);
      return;
    }
    case 'rmsprop': {
      const kept = nodes.add('Mul', [`${name}_velocity`, 'rho']);
      const v = nodes.add('Add', [kept, nodes.add('Mul', [square(), 'rest'])], {}, `${name}_velocity_next`);
      const root = nodes.add('Sqrt', [nodes.add('Add', [v, 'epsilon'])]);
      let step = nodes.add('Div', [nodes.add('Mul', [gradient, rate]), root]);
      if (momentum) {
        const old = nodes.add('Mul', [`${name}_momentum`, update.momentum()]);
        step = nodes.add('Add', [old, step], {}, `${name}_momentum_next`);
      }
      nodes.add('Sub', [weights, step], {}, `${name}_next`);
    }
  }
}

/** @returns what the learning rate of Adam's step `t`, from 1, is multiplied by: its correction for the first steps, and the factors that the moments are kept without */
export const adamRate = (t: number): number => {
  const [rest1, rest2] = [1 - ADAM.beta1, 1 - ADAM.beta2];
  return ((rest1 / Math.sqrt(rest2)) * Math.sqrt(1 - ADAM.beta2 ** t)) / (1 - ADAM.beta1 ** t);
};
