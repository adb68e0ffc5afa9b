import { byCodePoint, canonicalJson, sha256Hex } from '../canonical.js';
import { LabelError } from '../errors.js';
import { fewShots } from '../labels/folds.js';
import type { Example, LabelledData } from '../labels/labels.js';
import { keysOf, splitExamples } from '../labels/split.js';
import type { Targets, Task } from '../labels/targets.js';
import { strataOf, targetsOf } from '../labels/task.js';
import type { VectorTable } from './joined-sets.js';

/** Labelled images that have vectors, divided. */
export interface Problem {
  readonly task: Task;
  /** In the head's order; none of a regression. */
  readonly classes: readonly string[];
  readonly train: readonly Example[];
  readonly val: readonly Example[];
  readonly test: readonly Example[];
}

/** @returns a function that works out once what several heads want to know of one problem */
export function oncePerProblem<T>(make: (problem: Problem) => T): (problem: Problem) => T {
  const known = new WeakMap<Problem, T>();
  return (problem) => {
    const value = known.has(problem) ? (known.get(problem) as T) : make(problem);
    known.set(problem, value);
    return value;
  };
}

export interface DivideOptions {
  readonly seed: number;
  /** Share of validation where no split is given. */
  readonly val: number;
  /** Training images a class; null for all. */
  readonly shots: number | null;
}

/**
 * @param has whether a content has a vector; examples without are left out
 * @throws LabelError when a class is left without images, or when a few images a class are asked of a regression
 */
export function divideExamples(
  { task, classes, examples }: Pick<LabelledData, 'task' | 'classes' | 'examples'>,
  has: (sha256: string) => boolean,
  { seed, val, shots }: DivideOptions,
): Problem {
  const usable = examples.filter(({ sha256 }) => has(sha256));
  const there = new Set(usable.flatMap(({ label }) => strataOf(task, label)));
  const bare = classes.find((name) => !there.has(name));
  if (bare !== undefined) {
    throw new LabelError(`class ${bare} has no image that can be used: add some, or remove the class`);
  }
  if (shots !== null && task === 'regression') {
    throw new LabelError('a regression has no classes to take a few images of: leave --shots out');
  }
  const { train, ...sides } = splitExamples(usable, { seed, val, task });
  return { task, classes, train: shots === null ? train : fewShots(train, shots, seed, task), ...sides };
}

/** Tells where a share of validation has no effect, since the labels give the images that validate. */
export function noteGivenSplits(
  { examples }: Pick<LabelledData, 'examples'>,
  val: number | undefined,
  onWarning?: (message: string) => void,
): void {
  if (val === undefined || val === 0 || !examples.some(({ split }) => split === 'val')) return;
  onWarning?.(`the labels give the images that validate: a share of validation (val ${val}) has no effect`);
}

/** Examples as rows of a table and what a head should say of each. */
export interface LabelledRows {
  /** Rows of the table, ascending; a content that is labelled twice is there twice. */
  readonly rows: Uint32Array;
  /** Class numbers `[n]`, 0 or 1 `[n, classes]` (multilabel), or numbers `[n]` (regression), one for each of `rows`. */
  readonly y: Targets;
  /** What each is left out with, where some are: its group, or its content. */
  readonly keys: readonly string[];
}

/** @returns the examples in the order of the table */
export function labelledRows(
  { task, classes }: Pick<Problem, 'task' | 'classes'>,
  examples: readonly Example[],
  table: VectorTable,
): LabelledRows {
  const keyOf = keysOf(examples);
  const placed = examples
    .map((example) => ({ row: table.rows.get(example.sha256) ?? 0, label: example.label, key: keyOf(example) }))
    .sort((a, b) => a.row - b.row);
  const labels = placed.map(({ label }) => label);
  return {
    rows: Uint32Array.from(placed, ({ row }) => row),
    y: targetsOf(task, labels, classes),
    keys: placed.map(({ key }) => key),
  };
}

/** @returns both sides as one, in the order of the table */
export function joinRows(
  { task, classes }: Pick<Problem, 'task' | 'classes'>,
  a: LabelledRows,
  b: LabelledRows,
): LabelledRows {
  const width = task === 'multilabel' ? classes.length : 1;
  const all = [a, b].flatMap(({ rows, y, keys }) =>
    Array.from(rows, (row, i) => ({ row, y: y.subarray(i * width, (i + 1) * width), key: keys[i] as string })),
  );
  all.sort((one, other) => one.row - other.row);
  const y = task === 'regression' ? new Float32Array(all.length) : new Int32Array(all.length * width);
  for (const [i, one] of all.entries()) y.set(one.y, i * width);
  return { rows: Uint32Array.from(all, ({ row }) => row), y, keys: all.map(({ key }) => key) };
}

const identitiesOfSides = oncePerProblem(({ train, val, test }) =>
  [train, val, test].map((examples) =>
    sha256Hex(
      examples
        .map(({ sha256, label, group }) => JSON.stringify([sha256, label, group ?? null]))
        .sort(byCodePoint)
        .join('\n'),
    ),
  ),
);

/**
 * @returns 64 hex digits for what decides a head: its images, their labels and sides, the feature sets, and every option. A head of
 * the same identity need not be trained again.
 */
export function identityOf(problem: Problem, fingerprints: readonly string[], options: object): string {
  const { task, classes } = problem;
  const sides = identitiesOfSides(problem);
  return sha256Hex(canonicalJson({ task, classes, fingerprints, sides, options: JSON.parse(JSON.stringify(options)) }));
}
