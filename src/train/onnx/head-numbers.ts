import { type PackSpec, targetWidth } from '../net-spec.js';
import type { PackedHead } from '../trainer.js';
import { headColumn, unitColumn } from './head-losses.js';

/** Numbers of an input. */
export interface Values {
  readonly values: Float32Array;
  readonly dims: readonly number[];
}

/** @returns each value once for each of `times` rows */
export const repeat = (values: readonly number[], times: number): Float32Array =>
  Float32Array.from({ length: values.length * times }, (_, i) => values[Math.floor(i / times)] as number);

/** @returns what the graphs of a pack ask for of each head that does not change from step to step, by name */
export function headNumbers(spec: PackSpec, heads: readonly PackedHead[]): Record<string, Values> {
  const count = heads.length;
  const dims = (column: readonly (number | string)[]): number[] =>
    column.map((dim) => (dim === 'H' ? count : (dim as number)));
  const numbers: Record<string, Values> = {};
  const first = spec.hidden[0] ?? spec.units;
  const rowsAndHeads = (name: string, of: (head: PackedHead) => number): void => {
    const values = heads.map(of);
    numbers[`${name}_rows`] = { values: repeat(values, first), dims: [count * first, 1] };
    numbers[`${name}_heads`] = { values: repeat(values, 1), dims: [count, 1, 1] };
  };
  const each = (name: string, column: readonly (number | string)[], of: (head: PackedHead) => number): void => {
    numbers[name] = { values: Float32Array.from(heads, of), dims: dims(column) };
  };
  const heads3 = ['H', 1, 1] as const;
  if (spec.l1) rowsAndHeads('l1', ({ l1 }) => l1);
  if (spec.l2) rowsAndHeads('l2', ({ l2 }) => 2 * l2);
  if (spec.momentum) rowsAndHeads('momentum', ({ momentum }) => momentum);
  if (spec.dropout) {
    each('dropout_rate', heads3, ({ dropout }) => dropout);
    each('dropout_scale', heads3, ({ dropout }) => 1 / (1 - dropout));
  }
  if (spec.labelSmoothing) {
    const classes = spec.ending === 'softmax' ? spec.units : 2;
    each('sharp', headColumn(spec), ({ labelSmoothing }) => 1 - labelSmoothing);
    each('spread', headColumn(spec), ({ labelSmoothing }) => labelSmoothing / classes);
  }
  if (spec.classWeight) {
    const { units } = spec;
    if (spec.ending === 'softmax') {
      const all = heads.flatMap(({ classWeights }) => Array.from(classWeights ?? new Float32Array(units).fill(1)));
      numbers.class_weights = { values: Float32Array.from(all), dims: [count, 1, units] };
    } else {
      const pairs = heads.flatMap(({ classWeights }) =>
        Array.from(classWeights ?? new Float32Array(2 * units).fill(1)),
      );
      const base = Float32Array.from({ length: count * units }, (_, i) => pairs[2 * i] as number);
      const slope = base.map((absent, i) => (pairs[2 * i + 1] as number) - absent);
      numbers.weight_base = { values: base, dims: dims(unitColumn(spec)) };
      numbers.weight_slope = { values: slope, dims: dims(unitColumn(spec)) };
    }
  }
  return numbers;
}

/** @returns `[steps, targets, width, rows of a step]`, those of the rows in the order of the steps */
export function targetsByStep(
  spec: PackSpec,
  targets: readonly ArrayLike<number>[],
  rows: Uint32Array,
  steps: number,
): Float32Array {
  const size = rows.length / steps;
  const width = targetWidth(spec);
  const wanted = new Float32Array(targets.length * rows.length * width);
  for (let step = 0, i = 0; step < steps; step++) {
    for (const all of targets) {
      for (let k = 0; k < width; k++) {
        for (let b = 0; b < size; b++) wanted[i++] = all[(rows[step * size + b] as number) * width + k] as number;
      }
    }
  }
  return wanted;
}
