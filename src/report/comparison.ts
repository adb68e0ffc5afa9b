import type { Paired } from '../metrics/paired.js';

/** Two heads on the same images. */
export interface ComparedPair extends Paired {
  readonly a: string;
  readonly b: string;
  /** What differs: the share of images that are right, of a regression the mean absolute error. */
  readonly of: 'accuracy' | 'mae';
  /** McNemar's, exact and two-sided; null of regressions. */
  readonly p: number | null;
}

export interface Comparison {
  /** Images that all heads were asked about. */
  readonly images: number;
  readonly pairs: readonly ComparedPair[];
}
