import { type Algebra, lossOf } from '../loss.js';
import { type PackSpec, targetWidth } from '../net-spec.js';
import type { PackedHead } from '../trainer.js';

const SCALAR: Omit<Algebra<number>, 'logSoftmax'> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  negative: (x) => -x,
  exp: Math.exp,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
};
/** A value alone. */
const single: Algebra<number> = { ...SCALAR, logSoftmax: () => 0 };

type Values = readonly number[];
const both = (of: (a: number, b: number) => number) => (a: Values, b: Values) =>
  a.map((value, i) => of(value, b[i] as number));
const each = (of: (x: number) => number) => (x: Values) => x.map(of);
/** The values of all units. */
const units: Algebra<Values> = {
  add: both(SCALAR.add),
  subtract: both(SCALAR.subtract),
  multiply: both(SCALAR.multiply),
  negative: each(SCALAR.negative),
  exp: each(SCALAR.exp),
  sigmoid: each(SCALAR.sigmoid),
  softplus: each(SCALAR.softplus),
  logSoftmax: (x) => {
    const most = Math.max(...x);
    const rest = most + Math.log(x.reduce((sum, value) => sum + Math.exp(value - most), 0));
    return x.map((value) => value - rest);
  },
};

/**
 * The losses of a minibatch and their derivative, class weights and smoothing in both.
 * @param logits `[units, rows]`; the derivative of the mean loss by each takes its place
 * @param targets by row of the source, as trainers take them
 * @param rows of the source
 * @returns the losses summed over units and rows
 */
export function lossOfBatch(
  spec: PackSpec,
  { labelSmoothing, classWeights }: Pick<PackedHead, 'labelSmoothing' | 'classWeights'>,
  logits: Float64Array,
  targets: ArrayLike<number>,
  rows: readonly number[],
): number {
  const { ending } = spec;
  const size = rows.length;
  const width = targetWidth(spec);
  const isSoftmax = ending === 'softmax';
  const share = 1 / (size * (isSoftmax ? 1 : spec.units));
  const smooth = (hard: number): number =>
    labelSmoothing > 0 ? hard * (1 - labelSmoothing) + labelSmoothing / (isSoftmax ? spec.units : 2) : hard;
  let sum = 0;
  for (let row = 0; row < size; row++) {
    const at = (rows[row] as number) * width;
    if (isSoftmax) {
      const is = targets[at] as number;
      const own = Array.from({ length: spec.units }, (_, unit) => logits[unit * size + row] as number);
      const { losses, delta } = lossOf(
        units,
        ending,
        own,
        own.map((_, unit) => smooth(unit === is ? 1 : 0)),
      );
      const weight = classWeights ? (classWeights[is] as number) : 1;
      for (const loss of losses) sum += loss * weight;
      for (const [unit, one] of delta.entries()) logits[unit * size + row] = one * weight * share;
      continue;
    }
    for (let unit = 0; unit < spec.units; unit++) {
      const hard = targets[at + unit] as number;
      const place = unit * size + row;
      const { losses, delta } = lossOf(single, ending, logits[place] as number, smooth(hard));
      const weight = classWeights
        ? (classWeights[2 * unit] as number) * (1 - hard) + (classWeights[2 * unit + 1] as number) * hard
        : 1;
      sum += losses * weight;
      logits[place] = delta * weight * share;
    }
  }
  return sum;
}
