import { answersOf } from './classification.js';

/** An example of which the head says another class. */
export interface Mistake {
  /** Its place among the examples. */
  readonly at: number;
  /** Class numbers. */
  readonly is: number;
  readonly said: number;
  /** The probability of the class that it says. */
  readonly score: number;
}

/**
 * @param probabilities `[n, classes]`
 * @param threshold of a binary head
 * @returns the mistakes of which the head is surest, the surest first; equal ones in order
 */
export function surestMistakes(
  probabilities: Float32Array,
  y: ArrayLike<number>,
  classes: number,
  threshold: number,
  count: number,
): Mistake[] {
  const mistakes: Mistake[] = [];
  for (const [at, said] of answersOf(probabilities, classes, threshold).entries()) {
    const is = y[at] as number;
    if (said !== is) mistakes.push({ at, is, said, score: probabilities[at * classes + said] as number });
  }
  return mistakes.sort((a, b) => b.score - a.score || a.at - b.at).slice(0, count);
}
