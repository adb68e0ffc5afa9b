import { byCodePoint } from '../canonical.js';
import { LabelError } from '../errors.js';
import type { Example } from './labels.js';
import { keysOf, unit } from './split.js';
import type { Task } from './targets.js';
import { strataOf } from './task.js';

/**
 * Deals examples into folds for cross-validation. Keys (contents, or groups in their place) are dealt in turn, class after class,
 * each class in the order of `u = SHA-256(seed ‖ 'folds' ‖ key)`: so folds are alike in size and in classes, identical images and
 * groups stay together, and the order in which the examples come means nothing. A key of several classes counts for the first.
 * @param folds at least 2
 * @returns the fold of each example, from 0
 * @throws LabelError when there are fewer keys than folds
 */
export function dealFolds(examples: readonly Example[], folds: number, seed: number, task: Task): Int32Array {
  const keyOf = keysOf(examples);
  const classOf = new Map<string, string>();
  for (const example of examples) {
    const key = keyOf(example);
    const name = strataOf(task, example.label)[0] ?? '';
    const before = classOf.get(key);
    if (before === undefined || byCodePoint(name, before) < 0) classOf.set(key, name);
  }
  if (classOf.size < folds) {
    throw new LabelError(`${folds} folds need as many different images or groups, found ${classOf.size}: use fewer`);
  }
  const inTurn = [...classOf]
    .map(([key, name]) => ({ key, name, u: unit(`${seed}folds`, key) }))
    .sort((a, b) => byCodePoint(a.name, b.name) || a.u - b.u || byCodePoint(a.key, b.key));
  const foldOf = new Map(inTurn.map(({ key }, i) => [key, i % folds]));
  return Int32Array.from(examples, (example) => foldOf.get(keyOf(example)) ?? 0);
}

/**
 * Takes a few examples of each class. A class's keys are ranked by `u = SHA-256(seed ‖ 'shots' ‖ key)` and the first `shots` are
 * taken with all their examples, so that 4 a class are among 8 a class. Of several labels an image needs to be taken by one only.
 * @param shots keys a class; a class that has fewer gives all
 * @returns in the order in which they came
 */
export function fewShots(examples: readonly Example[], shots: number, seed: number, task: Task): Example[] {
  const keyOf = keysOf(examples);
  const byClass = new Map<string, Set<string>>();
  for (const example of examples) {
    for (const name of strataOf(task, example.label)) {
      byClass.set(name, (byClass.get(name) ?? new Set()).add(keyOf(example)));
    }
  }
  const taken = new Set<string>();
  for (const keys of byClass.values()) {
    const ranked = [...keys]
      .map((key) => ({ key, u: unit(`${seed}shots`, key) }))
      .sort((a, b) => a.u - b.u || byCodePoint(a.key, b.key));
    for (const { key } of ranked.slice(0, shots)) taken.add(key);
  }
  return examples.filter((example) => taken.has(keyOf(example)));
}
