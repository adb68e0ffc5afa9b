import type { MeanAnswer } from './learned.js';

/** @returns the commonest class (the first of equals) by its number; null of none */
export function commonestOf(...sides: readonly ArrayLike<number>[]): number | null {
  const counts = new Map<number, number>();
  for (const y of sides)
    for (let i = 0; i < y.length; i++) counts.set(y[i] as number, (counts.get(y[i] as number) ?? 0) + 1);
  const [first] = [...counts].sort(([a, m], [b, n]) => n - m || a - b);
  return first?.[0] ?? null;
}

/** @returns accuracy on `val` of always answering the commonest class (the first of equals) of `train`; null without any */
export function majority(train: ArrayLike<number>, val: ArrayLike<number>): number | null {
  if (val.length === 0) return null;
  const commonest = commonestOf(train) ?? 0;
  let right = 0;
  for (let i = 0; i < val.length; i++) if (val[i] === commonest) right++;
  return right / val.length;
}

/** Training and validation targets of one head, or of one part of a cross-validation. */
export interface Part {
  readonly train: ArrayLike<number>;
  readonly val: ArrayLike<number>;
}

/** @returns the share that always answering the commonest class of a part's training gets right, over all parts; null without any */
export function majorityOf(parts: readonly Part[]): number | null {
  const all = parts.reduce((sum, { val }) => sum + val.length, 0);
  if (all === 0) return null;
  return parts.reduce((sum, { train, val }) => sum + (majority(train, val) ?? 0) * val.length, 0) / all;
}

/** @returns how far always answering the mean of a part's training is off, over all parts; null without any */
export function meanAnswer(parts: readonly Part[]): MeanAnswer | null {
  const meanOf = (values: ArrayLike<number>): number =>
    Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
  const misses = parts.flatMap(({ train, val }) => {
    const mean = meanOf(train);
    return Array.from(val, (value) => Math.abs(value - mean));
  });
  if (misses.length === 0) return null;
  return {
    mean: meanOf(parts.map(({ train }) => meanOf(train))),
    mae: meanOf(misses),
    rmse: Math.sqrt(meanOf(misses.map((miss) => miss * miss))),
  };
}
