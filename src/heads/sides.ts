import { breathe } from '../breathe.js';
import { LabelError } from '../errors.js';
import { dealFolds } from '../labels/folds.js';
import type { Example } from '../labels/labels.js';
import { keysOf } from '../labels/split.js';
import { constantFeatures, type VectorTable } from './joined-sets.js';
import { type LabelledRows, labelledRows, oncePerProblem, type Problem, rowsWhere } from './problem.js';
import type { RowTask } from './row-trainer.js';

/** Rows of a problem, in the order of the table. */
export interface Sides extends RowTask {
  readonly train: LabelledRows;
  readonly val: LabelledRows;
  readonly test: LabelledRows;
}

export interface SidesHooks {
  readonly onWarning?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * @returns the rows of a problem; features that are the same in all training images are told
 * @throws the signal's reason, LabelError without training images, CacheError when all training vectors are the same
 */
export async function sidesOf(
  problem: Problem,
  table: VectorTable,
  { onWarning, signal }: SidesHooks = {},
): Promise<Sides> {
  const rows = rowsOf(problem);
  const found = rows.get(table) ?? findSides(problem, table, signal);
  rows.set(table, found);
  const { sides, warnings } = await found;
  for (const warning of warnings) onWarning?.(warning);
  return sides;
}

const rowsOf = oncePerProblem(() => new WeakMap<VectorTable, ReturnType<typeof findSides>>());

async function findSides(
  problem: Problem,
  table: VectorTable,
  signal?: AbortSignal,
): Promise<{ sides: Sides; warnings: string[] }> {
  const { task, classes } = problem;
  const rowsOfSide = async (side: readonly Example[]): Promise<LabelledRows> => {
    await breathe(signal);
    return labelledRows(problem, side, table, signal);
  };
  const train = await rowsOfSide(problem.train);
  const val = await rowsOfSide(problem.val);
  const test = await rowsOfSide(problem.test);
  if (train.rows.length === 0) {
    throw new LabelError('no images to train on: label some, or give fewer to validation and test');
  }
  const warnings: string[] = [];
  const constant = await constantFeatures(table, train.rows);
  if (constant > 0) {
    warnings.push(
      `${constant} of ${table.vectors.d} features are the same in all training images: nothing is learned from them`,
    );
  }
  if (task === 'regression' && train.y.every((value) => value === train.y[0])) {
    warnings.push(`all training labels are ${train.y[0]}: nothing is learned but that number`);
  }
  return { sides: { task, classes, table, train, val, test }, warnings };
}

/** One part of a cross-validation: rows that train, and rows that are predicted. */
export interface FoldRows {
  readonly train: LabelledRows;
  readonly val: LabelledRows;
}

/**
 * @returns the parts of a cross-validation of training and validation images together, and those as one side to train on
 * @throws LabelError when there are fewer images than parts; else as `sidesOf`
 */
export async function foldsOf(
  problem: Problem,
  table: VectorTable,
  { folds, seed }: { readonly folds: number; readonly seed: number },
  hooks: SidesHooks = {},
): Promise<{ sides: Sides; parts: readonly FoldRows[] }> {
  const pool = [...problem.train, ...problem.val];
  const foldOf = dealFolds(pool, folds, seed, problem.task);
  const sides = await sidesOf({ ...problem, train: pool, val: [] }, table, hooks);
  // What has one key is in one fold, as is what its group is joined with: so keys are the same in all parts.
  const keyOf = keysOf(pool);
  const foldOfKey = new Map(pool.map((example, i) => [keyOf(example), foldOf[i]]));
  const foldOfRow = Int32Array.from(sides.train.keys, (key) => foldOfKey.get(key) as number);
  const parts = Array.from({ length: folds }, (_, fold) => ({
    train: rowsWhere(problem, sides.train, (i) => foldOfRow[i] !== fold),
    val: rowsWhere(problem, sides.train, (i) => foldOfRow[i] === fold),
  }));
  return { sides, parts };
}
