import { hash } from 'node:crypto';
import { breathe, isBreath } from '../breathe.js';
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
 * @throws UsageError for a share or a seed out of range; the signal's reason
 */
export async function splitExamples(
  examples: readonly Example[],
  { seed, val, task = 'multiclass' }: { readonly seed: number; readonly val: number; readonly task?: Task },
  signal?: AbortSignal,
): Promise<Sides> {
  if (!(val >= 0 && val < 1)) throw new UsageError(`val must be a share from 0 to below 1, not ${val}`);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new UsageError(`seed must be a whole number from 0, not ${seed}`);
  const given = val === 0 || examples.some((example) => example.split === 'val');
  const open = given ? [] : examples.filter((example) => example.split !== 'test');
  const held = await divide(open, seed, val, task, signal);
  const sides: Sides = { train: [], val: [], test: [] };
  let place = 0;
  for (const [i, example] of examples.entries()) {
    if (isBreath(i)) await breathe(signal);
    if (example.split === 'test' || (given && example.split === 'val')) sides[example.split].push(example);
    else sides[!given && held[place++] === 1 ? 'val' : 'train'].push(example);
  }
  return sides;
}

/** @returns for each example 1 where it validates, else 0 */
async function divide(
  examples: readonly Example[],
  seed: number,
  val: number,
  task: Task,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const keyOf = keysOf(examples);
  const numbers = new Map<string, number>();
  const members = new Map<string, number[]>();
  const of = new Int32Array(examples.length);
  for (const [i, example] of examples.entries()) {
    if (isBreath(i)) await breathe(signal);
    const key = keyOf(example);
    const number = numbers.get(key) ?? numbers.size;
    if (number === numbers.size) numbers.set(key, number);
    for (const name of strataOf(task, example.label)) {
      const known = members.get(name);
      if (known === undefined) members.set(name, [number]);
      else known.push(number);
    }
    of[i] = number;
  }
  await breathe(signal);
  const keys = [...numbers.keys()];
  await breathe(signal);
  const places = new Float64Array(keys.length);
  for (const [number, key] of keys.entries()) {
    if (isBreath(number)) await breathe(signal);
    places[number] = unit(seed, key);
  }
  const held = Uint8Array.from(places, (u) => Number(u < val));
  const compare = (a: number, b: number): number =>
    (places[a] as number) - (places[b] as number) || byCodePoint(keys[a] as string, keys[b] as string);
  for (const [, all] of [...members].sort(([a], [b]) => byCodePoint(a, b))) {
    let [lowest, highest] = [all[0] as number, all[0] as number];
    for (const [i, key] of all.entries()) {
      if (isBreath(i)) await breathe(signal);
      if (compare(key, lowest) < 0) lowest = key;
      if (compare(key, highest) > 0) highest = key;
    }
    if (lowest === highest || all.every((key) => held[key] === 1)) held[highest] = 0;
    else if (!all.some((key) => held[key] === 1)) held[lowest] = 1;
  }
  return Uint8Array.from(of, (key) => held[key] as number);
}

/** The top 48 bits of the digest decide; as a share of 2^48 they are exact in a double. */
export function unit(seed: number | string, key: string): number {
  const bytes = key.startsWith('#') ? Buffer.from(key.slice(1)) : Buffer.from(key, 'hex');
  const digits = hash('sha256', Buffer.concat([Buffer.from(String(seed)), bytes]), 'hex'); // faster than bytes
  return Number.parseInt(digits.slice(0, 12), 16) / 2 ** 48;
}

/**
 * @returns what names the key of an example: its content's hash, or `#` and its group. Groups that share a content are one,
 * under the first name by code point.
 */
export function keysOf(examples: readonly Example[]): (example: Example) => string {
  if (examples.every(({ group }) => group === undefined)) return ({ sha256 }) => sha256;
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
