import type { HeadError } from '../errors.js';
import type { Metrics } from '../metrics/metrics.js';
import type { RANKINGS } from '../options/choices.js';
import { HEAD_RULES, type HeadOptions, resolveOptions } from '../train/options.js';
import type { TrainedHead } from '../train/train.js';
import type { TrainedFold } from './fit.js';
import type { SweepRow } from './sweep-row.js';

export type Ranking = (typeof RANKINGS)[number];
const LOWEST_FIRST: readonly string[] = [
  'loss',
  'hammingLoss',
  'calibrationError',
  'mae',
  'rmse',
] satisfies readonly Ranking[];

/** @returns whether the lowest value of a metric is the best */
export const isLowBest = (metric: string): boolean => LOWEST_FIRST.includes(metric);

/** @returns the column of a metric on validation in the results of a sweep: `val_balanced_accuracy` of `balancedAccuracy` */
export const validationColumn = (metric: string): string =>
  `val_${metric.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;

/** A head of a sweep, and what became of it. */
export interface Tried {
  readonly options: HeadOptions;
  /** Of a cross-validation the head of the first part. */
  readonly outcome: TrainedHead | HeadError;
  readonly metrics: Metrics | null;
  /** Of a cross-validation. */
  readonly parts?: readonly TrainedFold[];
}

/** @returns what heads are ranked by, the lower the better; infinite where it is not measured */
export function rankValue({ metrics }: Pick<Tried, 'metrics'>, by: Ranking): number {
  const value = (metrics as unknown as Partial<Record<Ranking, number | null>> | null)?.[by] ?? null;
  if (value === null || !Number.isFinite(value)) return Number.POSITIVE_INFINITY;
  return isLowBest(by) ? value : -value;
}

export interface Best {
  readonly outcome: TrainedHead;
  readonly options: HeadOptions;
  readonly parts?: readonly TrainedFold[];
}

/** Trained heads by value, then by loss, then in the order in which they were asked for; the rest after them. */
export function ranked(tried: readonly Tried[], by: Ranking): { rows: SweepRow[]; best: Best | null } {
  const lossOf = ({ metrics }: Tried): number => metrics?.loss ?? Number.POSITIVE_INFINITY;
  const order = { trained: 0, dropped: 1, diverged: 2 };
  const entries = tried.map((one) => {
    const { outcome } = one;
    const status = outcome instanceof Error ? 'diverged' : outcome.end === 'dropped' ? 'dropped' : 'trained';
    return { one, status, epochs: outcome instanceof Error ? 0 : (outcome.history.at(-1)?.epoch ?? 0) } as const;
  });
  entries.sort(
    (a, b) =>
      order[a.status] - order[b.status] ||
      (a.status === 'dropped' ? b.epochs - a.epochs : 0) ||
      compare(rankValue(a.one, by), rankValue(b.one, by)) ||
      compare(lossOf(a.one), lossOf(b.one)),
  );
  const rows = entries.map(({ one, status, epochs }, i): SweepRow => {
    const { outcome, metrics } = one;
    const failed = outcome instanceof Error;
    return {
      rank: status === 'trained' ? i + 1 : null,
      status,
      options: failed ? resolveOptions(one.options) : outcome.options,
      loss: metrics?.loss ?? null,
      metrics,
      epochs,
      bestEpoch: failed ? null : outcome.bestEpoch,
      folds: one.parts?.map(({ trained }) => foldOf(trained)) ?? null,
      message: failed ? outcome.message : null,
    };
  });
  const [first] = entries;
  if (first === undefined || first.one.outcome instanceof Error) return { rows, best: null };
  const { outcome, options, parts } = first.one;
  return { rows, best: { outcome, options, ...(parts === undefined ? {} : { parts }) } };
}

function foldOf({ history, bestEpoch }: TrainedHead): { loss: number | null; bestEpoch: number } {
  return { loss: history.find(({ epoch }) => epoch === bestEpoch)?.valLoss ?? null, bestEpoch };
}

const compare = (a: number, b: number): number => (a === b ? 0 : a < b ? -1 : 1);

/** @returns the options in which the heads differ, in the order of the table of options */
export function differing(rows: readonly SweepRow[]): (keyof HeadOptions)[] {
  return (Object.keys(HEAD_RULES) as (keyof HeadOptions)[]).filter(
    (name) => new Set(rows.map(({ options }) => JSON.stringify(options[name]))).size > 1,
  );
}
