import { breathe, isBreath } from '../breathe.js';
import { byCodePoint } from '../canonical.js';
import { KeySet } from '../store/index.js';

/** @returns the places of numbers below 2^27, ascending by number; those of one number in the order of places */
export function placesInOrder(numbers: Uint32Array): Uint32Array {
  const scale = 2 ** 26; // more than an array of objects can have
  const sorted = Float64Array.from(numbers, (number, place) => number * scale + place).sort();
  return Uint32Array.from(sorted, (one) => one % scale);
}

/**
 * Goes through items by their texts, in the order of code points. They are sorted by content first, for which no text need be
 * compared, so that a million is sorted in a moment.
 * @param textOf an item and its place; begins alike for all, with the content behind
 * @param each is given the text and the place of each item
 * @throws the signal's reason
 */
export async function inOrderOfTexts<T extends { readonly sha256: string }>(
  items: readonly T[],
  textOf: (item: T, place: number) => string,
  each: (text: string, place: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const contents = new KeySet();
  const of = Uint32Array.from(items, ({ sha256 }) => contents.add(sha256));
  await breathe(signal);
  const rank = new Uint32Array(contents.size);
  for (const [place, content] of contents.order().entries()) rank[content] = place;
  const order = placesInOrder(of.map((content) => rank[content] as number));
  let same: [text: string, place: number][] = [];
  for (let k = 0; k < order.length; k++) {
    if (isBreath(k)) await breathe(signal);
    const place = order[k] as number;
    same.push([textOf(items[place] as T, place), place]);
    if (k + 1 < order.length && of[order[k + 1] as number] === of[place]) continue;
    if (same.length > 1) same.sort(([a], [b]) => byCodePoint(a, b));
    for (const [text, at] of same) each(text, at);
    same = [];
  }
}
