import {
  type Code,
  compile,
  constant,
  countDown,
  F32,
  float,
  get,
  I32,
  loop,
  set,
  step,
  V_LOAD,
  V_STORE,
  V128,
  vector,
  type WasmFunction,
  when,
} from '../../formats/wasm.js';
import { ADAM, ADAM_EPSILON } from './optimizers.js';

/** Functions over a memory of weights. */
export interface AdamStep {
  /**
   * One step of Adam, as the graph takes it (`addUpdate`) with the same roundings, but in one pass over the weights instead of twelve.
   * @param weights address of the weights, as those of the moments and the gradient; all are changed but the gradient
   * @param count of weights
   * @param rate the learning rate with the correction for the first steps
   * @param l2 what the weights are multiplied by and added to the gradient
   * @param keep share of the weights that weight decay leaves
   * @param by what the gradient is multiplied by first
   */
  step(
    weights: number,
    momentum: number,
    velocity: number,
    gradient: number,
    count: number,
    rate: number,
    l2: number,
    keep: number,
    by: number,
  ): void;
}

const [weights, momentum, velocity, gradient, count, rate, l2, keep, by, left] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
] as const;

/** Instructions for four numbers at once, or for one. */
interface Lanes {
  readonly bytes: number;
  readonly load: Code;
  readonly store: Code;
  readonly add: Code;
  readonly subtract: Code;
  readonly multiply: Code;
  readonly divide: Code;
  readonly root: Code;
}
const FOUR: Lanes = {
  ...{ bytes: 16, load: V_LOAD, store: V_STORE, add: vector(0xe4), subtract: vector(0xe5), multiply: vector(0xe6) },
  ...{ divide: vector(0xe7), root: vector(0xe3) },
};
const ONE: Lanes = {
  ...{ bytes: 4, load: [0x2a, 2, 0], store: [0x38, 2, 0], add: [0x92], subtract: [0x93], multiply: [0x94] },
  ...{ divide: [0x95], root: [0x91] },
};
const SAME_FOUR = vector(0x13);
const SHIFT_RIGHT = [0x76];
const AND = [0x71];

/** @param from the first of ten locals of these lanes */
function pass(of: Lanes, from: number): Code {
  const locals = Array.from({ length: 10 }, (_, i) => from + i);
  const [beta1, beta2, epsilon, pace, penalty, share, scale, w, g, v] = locals as [
    ...[number, number, number, number, number, number, number, number, number, number],
  ];
  const same = of === FOUR ? SAME_FOUR : [];
  const times = (a: Code, b: Code): Code => [...a, ...b, ...of.multiply];
  const at = (address: number): Code => [...get(address), ...of.load];
  /** Keeps a moment, and what is new. */
  const move = (address: number, decay: number, added: Code): Code => [
    ...get(address),
    ...times(at(address), get(decay)),
    ...added,
    ...of.add,
    ...set(v),
    ...get(v),
    ...of.store,
  ];
  return [
    ...[...float(ADAM.beta1), ...same, ...set(beta1), ...float(ADAM.beta2), ...same, ...set(beta2)],
    ...[...float(ADAM_EPSILON), ...same, ...set(epsilon), ...get(rate), ...same, ...set(pace)],
    ...[...get(l2), ...same, ...set(penalty), ...get(keep), ...same, ...set(share)],
    ...[...get(by), ...same, ...set(scale)],
    ...loop(
      [
        ...at(weights),
        ...set(w),
        ...times(at(gradient), get(scale)),
        ...times(get(w), get(penalty)),
        ...of.add,
        ...set(g),
      ],
      [...get(weights), ...times(get(w), get(share))],
      [...move(momentum, beta1, get(g)), ...times(get(v), get(pace))],
      [...move(velocity, beta2, times(get(g), get(g))), ...get(v), ...of.root, ...get(epsilon), ...of.add],
      [...of.divide, ...of.subtract, ...of.store],
      ...[weights, momentum, velocity, gradient].map((address) => step(address, constant(of.bytes))),
      countDown(left),
    ),
  ];
}

export const ADAM_STEP: WasmFunction = {
  name: 'step',
  takes: [I32, I32, I32, I32, I32, F32, F32, F32, F32],
  locals: [
    [1, I32],
    [10, V128],
    [10, F32],
  ],
  code: [
    ...when([...get(count), ...constant(2), ...SHIFT_RIGHT, ...set(left), ...get(left)], pass(FOUR, left + 1)),
    ...when([...get(count), ...constant(3), ...AND, ...set(left), ...get(left)], pass(ONE, left + 11)),
  ],
};

/** @returns a memory of at least so many bytes, and the step over it */
export const adamSteps = compile<AdamStep>([ADAM_STEP]);
