import type { Metrics } from '../metrics/metrics.js';
import type { ResolvedOptions } from '../train/options.js';

/** One head of a sweep. */
export interface SweepRow {
  /** From 1; null of a head that was not trained to its end. */
  readonly rank: number | null;
  /** `dropped` by halving, or `diverged` before its first epoch was over. */
  readonly status: 'trained' | 'dropped' | 'diverged';
  readonly options: ResolvedOptions;
  /** On validation, of the best epoch; of a cross-validation over all parts. Null where it diverged. */
  readonly loss: number | null;
  /** On validation, without intervals. */
  readonly metrics: Metrics | null;
  readonly epochs: number;
  readonly bestEpoch: number | null;
  /** Of each part of a cross-validation; null without. */
  readonly folds: readonly { readonly loss: number | null; readonly bestEpoch: number }[] | null;
  /** Why it was not trained. */
  readonly message: string | null;
}
