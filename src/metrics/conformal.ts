import { wilson } from './wilson.js';

/** Which classes go into the set of an image: those that are not too unlikely. */
export interface CoverageRule {
  /** Share of new images whose set is to hold their class. */
  readonly level: number;
  /** A class is in the set where one less its probability is no more than this. */
  readonly threshold: number;
  /** Images that the threshold is from. */
  readonly images: number;
}

/**
 * Split conformal prediction (Vovk et al. 2005; Sadinle, Lei and Wasserman 2019): the `⌈(n + 1) level⌉`-th smallest of one less the
 * probability of the true class, on images that training did not see. Sets of images drawn as those hold the class with a chance
 * of `level` at least, whatever the head.
 * @param scores `[n, classes]`
 * @param y class numbers
 * @returns the rule, whose threshold is 1, so that every set holds every class, where the images are too few for the level
 */
export function fitCoverage(
  scores: ArrayLike<number>,
  y: ArrayLike<number>,
  classes: number,
  level: number,
): CoverageRule {
  const images = y.length;
  const missed = Float64Array.from(
    { length: images },
    (_, i) => 1 - (scores[i * classes + (y[i] as number)] as number),
  ).sort();
  // 0.7 of 9 images and one is 7: what floating point adds must not make it 8.
  const place = Math.ceil((images + 1) * level - 1e-9);
  return { level, threshold: place > images ? 1 : (missed[place - 1] as number), images };
}

/** @returns the classes of an image's set, in order: all, one, or none where nothing is likely enough */
export function setOf(probabilities: ArrayLike<number>, { threshold }: CoverageRule): number[] {
  return Array.from(probabilities as ArrayLike<number>, (p, k) => (1 - p <= threshold ? k : -1)).filter((k) => k >= 0);
}

/** How sets do on labelled images. */
export interface Coverage {
  /** Share that was asked for. */
  readonly level: number;
  /** Share of images whose set holds their class, and its interval at 95 % (Wilson). */
  readonly found: number;
  readonly interval: readonly [number, number] | null;
  /** Classes of a set, on average. */
  readonly meanSize: number;
  /** Share of images whose set is empty: nothing is likely enough. */
  readonly empty: number;
}

/** @returns how the sets of a rule do on images */
export function measureCoverage(
  scores: ArrayLike<number>,
  y: ArrayLike<number>,
  classes: number,
  rule: CoverageRule,
): Coverage {
  const n = y.length;
  let [held, size, empty] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const own = Array.from({ length: classes }, (_, k) => scores[i * classes + k] as number);
    const set = setOf(own, rule);
    if (set.includes(y[i] as number)) held += 1;
    size += set.length;
    if (set.length === 0) empty += 1;
  }
  return { level: rule.level, found: held / n, interval: wilson(held, n), meanSize: size / n, empty: empty / n };
}
