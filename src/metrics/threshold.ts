import type { THRESHOLD_CRITERIA } from '../options/choices.js';
import { rank } from './ranking.js';

export type ThresholdCriterion = (typeof THRESHOLD_CRITERIA)[number];

const MIDDLE = 0.5;

/**
 * Chooses the threshold above which a probability says yes. Every threshold between two neighbouring scores says the same, so
 * of the best stretch 0.5 is taken where it lies inside, else its middle; of several best stretches the one nearest to 0.5.
 * @returns 0.5 where positives or negatives are missing
 */
export function chooseThreshold(
  scores: Float32Array,
  isPositive: (example: number) => boolean,
  criterion: ThresholdCriterion,
): number {
  const { order, tied, positive } = rank(scores, isPositive);
  const positives = positive.reduce((sum, one) => sum + one, 0);
  const negatives = order.length - positives;
  if (positives === 0 || negatives === 0) return MIDDLE;
  const value = (hits: number, wrong: number): number => {
    if (criterion === 'youden') return hits / positives - wrong / negatives;
    if (criterion === 'f1') return (2 * hits) / (hits + wrong + positives);
    return (hits + negatives - wrong) / order.length;
  };
  let best = { value: Number.NEGATIVE_INFINITY, threshold: MIDDLE };
  let hits = 0;
  let wrong = 0;
  for (let at = -1; at < order.length; at++) {
    if (at >= 0) {
      if (positive[at] === 1) hits += 1;
      else wrong += 1;
      if (tied[at] === 1) continue;
    }
    const upper = at < 0 ? 1 : (scores[order[at] as number] as number);
    const lower = at + 1 < order.length ? (scores[order[at + 1] as number] as number) : 0;
    const threshold = lower <= MIDDLE && MIDDLE < upper ? MIDDLE : (lower + upper) / 2;
    const found = value(hits, wrong);
    const nearer = Math.abs(threshold - MIDDLE) < Math.abs(best.threshold - MIDDLE);
    if (found > best.value || (found === best.value && nearer)) best = { value: found, threshold };
  }
  return best.threshold;
}
