import { breathe, isBreath } from '../breathe.js';
import { byCodePoint } from '../canonical.js';
import { placesInOrder } from '../places.js';
import { KeySet } from '../store/index.js';

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
  const of = new Uint32Array(items.length);
  for (const [place, { sha256 }] of items.entries()) {
    if (isBreath(place)) await breathe(signal);
    of[place] = contents.add(sha256);
  }
  await breathe(signal);
  const rank = new Uint32Array(contents.size);
  for (const [place, content] of contents.order().entries()) rank[content] = place;
  await breathe(signal);
  const order = placesInOrder(of.map((content) => rank[content] as number));
  let same: [text: string, place: number][] = [];
  for (let k = 0; k < order.length; k++) {
    if (isBreath(k, 2 ** 13)) await breathe(signal);
    const place = order[k] as number;
    same.push([textOf(items[place] as T, place), place]);
    if (k + 1 < order.length && of[order[k + 1] as number] === of[place]) continue;
    if (same.length > 1) same.sort(([a], [b]) => byCodePoint(a, b));
    for (const [text, at] of same) each(text, at);
    same = [];
  }
}
