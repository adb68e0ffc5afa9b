import { createHash } from 'node:crypto';
import { byCodePoint } from '../canonical.js';
import { UsageError } from '../errors.js';
import type { Example } from './labels.js';
import type { Task } from './targets.js';
import { strataOf } from './task.js';

/** The three sides, each in the order in which the examples came. */
export interface Sides {
  readonly train: Example[];
  readonly val: Example[];
  readonly test: Example[];
}

/**
 * Divides examples between training, validation and test.
 *
 * Given splits are kept. Where none is given as `val`, those of training and those without a split are divided:
 * `u = SHA-256(seed ‖ key) / 2^256`, validation if `u < val`, with the seed in decimal ASCII and as key the 32 bytes of the
 * content's hash, or the UTF-8 bytes of the group in its place. A class of two or more keys with an empty side moves its
 * nearest key over; the only key of a class trains. So adding images moves no others, and neither identical images nor a
 * group ever lie on both sides.
 * @param options `val`: share of validation, from 0 (none at all) to below 1; `task`: of a multilabel one each label counts as a
 * class, of a regression all are one class. Default multiclass
 * @throws UsageError for a share or a seed out of range
 */
export function splitExamples(
  examples: readonly Example[],
  { seed, val, task = 'multiclass' }: { readonly seed: number; readonly val: number; readonly task?: Task },
): Sides {
  if (!(val >= 0 && val < 1)) throw new UsageError(`val must be a share from 0 to below 1, not ${val}`);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new UsageError(`seed must be a whole number from 0, not ${seed}`);
  const given = val === 0 || examples.some((example) => example.split === 'val');
  const open = given ? [] : examples.filter((example) => example.split !== 'test');
  const held = divide(open, seed, val, task);
  const sides: Sides = { train: [], val: [], test: [] };
  for (const example of examples) {
    const side = example.split === 'test' || example.split === 'val' ? example.split : 'train';
    sides[held.has(example) ? 'val' : side].push(example);
  }
  return sides;
}

/** @returns the examples that validate */
function divide(examples: readonly Example[], seed: number, val: number, task: Task): Set<Example> {
  const keyOf = keysOf(examples);
  const place = new Map<string, number>();
  const byClass = new Map<string, Set<string>>();
  for (const example of examples) {
    const key = keyOf(example);
    if (!place.has(key)) place.set(key, unit(seed, key));
    for (const name of strataOf(task, example.label)) byClass.set(name, (byClass.get(name) ?? new Set()).add(key));
  }
  const held = new Set([...place].filter(([, u]) => u < val).map(([key]) => key));
  for (const [, members] of [...byClass].sort(([a], [b]) => byCodePoint(a, b))) {
    const inOrder = [...members].sort((a, b) => (place.get(a) ?? 0) - (place.get(b) ?? 0) || byCodePoint(a, b));
    const lowest = inOrder[0] ?? '';
    const highest = inOrder.at(-1) ?? '';
    if (members.size === 1 || inOrder.every((key) => held.has(key))) held.delete(highest);
    else if (!inOrder.some((key) => held.has(key))) held.add(lowest);
  }
  return new Set(examples.filter((example) => held.has(keyOf(example))));
}

/** The top 48 bits of the digest decide; as a share of 2^48 they are exact in a double. */
export function unit(seed: number | string, key: string): number {
  const bytes = key.startsWith('#') ? Buffer.from(key.slice(1)) : Buffer.from(key, 'hex');
  return createHash('sha256').update(String(seed)).update(bytes).digest().readUIntBE(0, 6) / 2 ** 48;
}

/**
 * @returns what names the key of an example: its content's hash, or `#` and its group. Groups that share a content are one,
 * under the first name by code point.
 */
export function keysOf(examples: readonly Example[]): (example: Example) => string {
  const parents = new Map<string, string>();
  const root = (key: string): string => {
    let at = key;
    for (let up = parents.get(at); up !== undefined; up = parents.get(at)) at = up;
    return at;
  };
  for (const { sha256, group } of examples) {
    if (group === undefined) continue;
    const [a, b] = [root(`#${group}`), root(sha256)];
    if (a === b) continue;
    // A group stands above a content, and of two groups the first by name.
    const above = !b.startsWith('#') || byCodePoint(a, b) < 0 ? a : b;
    parents.set(above === a ? b : a, above);
  }
  return (example) => root(example.sha256);
}
