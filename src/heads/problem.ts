import { createHash } from 'node:crypto';
import { breathe, isBreath } from '../breathe.js';
import { canonicalJson, sha256Hex } from '../canonical.js';
import { LabelError } from '../errors.js';
import { fewShots } from '../labels/folds.js';
import type { Example, LabelledData } from '../labels/labels.js';
import { keysOf, splitExamples } from '../labels/split.js';
import { type Targets, type Task, widthOf } from '../labels/targets.js';
import { strataOf, targetsOf } from '../labels/task.js';
import { placesInOrder } from '../places.js';
import { inOrderOfTexts } from './by-content.js';
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
export function oncePerProblem<T>(
  make: (problem: Problem, signal?: AbortSignal) => T,
): (problem: Problem, signal?: AbortSignal) => T {
  const known = new WeakMap<Problem, T>();
  return (problem, signal) => {
    const value = known.has(problem) ? (known.get(problem) as T) : make(problem, signal);
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
export async function divideExamples(
  { task, classes, examples }: Pick<LabelledData, 'task' | 'classes' | 'examples'>,
  has: (sha256: string) => boolean,
  { seed, val, shots }: DivideOptions,
  signal?: AbortSignal,
): Promise<Problem> {
  const usable: Example[] = [];
  const there = new Set<string>();
  for (const [i, example] of examples.entries()) {
    if (isBreath(i)) await breathe(signal);
    if (!has(example.sha256)) continue;
    usable.push(example);
    for (const name of strataOf(task, example.label)) there.add(name);
  }
  const bare = classes.find((name) => !there.has(name));
  if (bare !== undefined) {
    throw new LabelError(`class ${bare} has no image that can be used: add some, or remove the class`);
  }
  if (shots !== null && task === 'regression') {
    throw new LabelError('a regression has no classes to take a few images of: leave --shots out');
  }
  await breathe(signal);
  const { train, ...sides } = await splitExamples(usable, { seed, val, task }, signal);
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
export async function labelledRows(
  { task, classes }: Pick<Problem, 'task' | 'classes'>,
  examples: readonly Example[],
  table: VectorTable,
  signal?: AbortSignal,
): Promise<LabelledRows> {
  const keyOf = keysOf(examples);
  const rowOf = new Uint32Array(examples.length);
  for (const [i, { sha256 }] of examples.entries()) {
    if (isBreath(i)) await breathe(signal);
    rowOf[i] = Math.max(table.rows.indexOf(sha256), 0);
  }
  const order = placesInOrder(rowOf);
  await breathe(signal);
  const rows = new Uint32Array(order.length);
  const labels: string[] = [];
  const keys: string[] = [];
  for (const [place, i] of order.entries()) {
    if (isBreath(place)) await breathe(signal);
    const example = examples[i] as Example;
    rows[place] = rowOf[i] as number;
    labels.push(example.label);
    keys.push(keyOf(example));
  }
  await breathe(signal);
  return { rows, y: targetsOf(task, labels, classes), keys };
}

/** @returns those of the rows whose place is chosen */
export function rowsWhere(
  { task, classes }: Pick<Problem, 'task' | 'classes'>,
  { rows, y, keys }: LabelledRows,
  isChosen: (place: number) => boolean,
): LabelledRows {
  const width = widthOf(task, classes.length);
  return {
    rows: rows.filter((_, place) => isChosen(place)),
    y: y.filter((_, i) => isChosen(Math.floor(i / width))),
    keys: keys.filter((_, place) => isChosen(place)),
  };
}

/** @returns both sides as one, in the order of the table */
export function joinRows(
  { task, classes }: Pick<Problem, 'task' | 'classes'>,
  a: LabelledRows,
  b: LabelledRows,
): LabelledRows {
  const width = widthOf(task, classes.length);
  const rows = new Uint32Array([...a.rows, ...b.rows]);
  const order = placesInOrder(rows);
  const y = task === 'regression' ? new Float32Array(rows.length) : new Int32Array(rows.length * width);
  for (const [i, place] of order.entries()) {
    const [side, at] = place < a.rows.length ? [a, place] : [b, place - a.rows.length];
    y.set(side.y.subarray(at * width, (at + 1) * width), i * width);
  }
  const keys = [...a.keys, ...b.keys];
  return { rows: order.map((place) => rows[place] as number), y, keys: Array.from(order, (i) => keys[i] as string) };
}

const identitiesOfSides = oncePerProblem(async ({ train, val, test }, signal) => {
  const identities: string[] = [];
  const textOf = ({ sha256, label, group }: Example): string => JSON.stringify([sha256, label, group ?? null]);
  for (const side of [train, val, test]) {
    const digest = createHash('sha256');
    let gap = '';
    const add = (line: string): void => {
      digest.update(gap + line);
      gap = '\n';
    };
    await inOrderOfTexts(side, textOf, add, signal);
    identities.push(digest.digest('hex'));
  }
  return identities;
});

/**
 * @returns 64 hex digits for what decides a head: its images, their labels and sides, the feature sets, and every option. A head of
 * the same identity need not be trained again.
 */
export async function identityOf(
  problem: Problem,
  fingerprints: readonly string[],
  options: object,
  signal?: AbortSignal,
): Promise<string> {
  const { task, classes } = problem;
  const sides = await identitiesOfSides(problem, signal);
  return sha256Hex(canonicalJson({ task, classes, fingerprints, sides, options: JSON.parse(JSON.stringify(options)) }));
}
