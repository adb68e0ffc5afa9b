import type { LeftOut } from './spectrum.js';

/**
 * Targets that leave room for mistakes which were not seen: of `n` images one in `n + 2` is taken to be of another class, as Laplace's
 * rule has it where none of `n` was wrong, so that images which are all told apart give no certainty.
 */
export function smoothed(
  { y, classes }: { readonly y: ArrayLike<number>; readonly classes: number },
  { places }: LeftOut,
): Float64Array {
  const wrong = 1 / (places.length + 2);
  const targets = new Float64Array(places.length * classes).fill(wrong / (classes - 1));
  for (const [i, place] of places.entries()) targets[i * classes + (y[place] as number)] = 1 - wrong;
  return targets;
}

/** Steps of the bisection, and the range of a sharpness about one over the scores' own size. */
const STEPS = 60;
const RANGE = 1e4;

/**
 * The factor of scores that makes probabilities of them with the lowest log loss: temperature scaling (Guo et al. 2017), the loss being
 * convex in the factor.
 * @param scores `[n, classes]`, or one for two classes
 * @param targets `[n, classes]`, rows that sum to 1
 * @returns factor, mean log loss and its standard error; a factor of 1 without scores
 */
export function sharpness(
  { places, scores }: LeftOut,
  targets: Float64Array,
): { factor: number; loss: number; error: number } {
  const n = places.length;
  if (n === 0) return { factor: 1, loss: Number.POSITIVE_INFINITY, error: 0 };
  const classes = targets.length / n;
  const at = (i: number, k: number): number =>
    scores.length === n ? (k === 1 ? (scores[i] as number) : 0) : (scores[i * classes + k] as number);
  const measure = (factor: number): { slope: number; loss: number; error: number } => {
    let [slope, loss, squares] = [0, 0, 0];
    for (let i = 0; i < n; i++) {
      let most = Number.NEGATIVE_INFINITY;
      for (let k = 0; k < classes; k++) most = Math.max(most, factor * at(i, k));
      let [total, mean, wanted] = [0, 0, 0];
      for (let k = 0; k < classes; k++) {
        const score = at(i, k);
        const weight = Math.exp(factor * score - most);
        total += weight;
        mean += weight * score;
        wanted += (targets[i * classes + k] as number) * score;
      }
      slope += mean / total - wanted;
      const own = Math.log(total) + most - factor * wanted;
      loss += own;
      squares += own * own;
    }
    const variance = Math.max(0, squares / n - (loss / n) ** 2);
    return { slope, loss: loss / n, error: Math.sqrt(variance / n) };
  };
  let size = 0;
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < classes; k++) size = Math.max(size, Math.abs(at(i, k) - at(i, 0)));
  }
  if (!(size > 0) || !Number.isFinite(size)) return { ...measure(1), factor: 1 };
  let [low, high] = [1 / (RANGE * size), RANGE / size];
  for (let step = 0; step < STEPS; step++) {
    const middle = Math.sqrt(low * high);
    if (measure(middle).slope < 0) low = middle;
    else high = middle;
  }
  const factor = Math.sqrt(low * high);
  return { ...measure(factor), factor };
}

/** Newton's steps, and what keeps them finite. */
const NEWTON = 100;
const DAMPING = 1e-9;

/**
 * Platt's sigmoid of the scores of one yes or no: `1 / (1 + exp(-(slope score + offset)))` with the lowest log loss on his targets.
 * @param isYes of each of the scores
 */
export function platt(scores: Float64Array, isYes: readonly boolean[]): { slope: number; offset: number } {
  const yes = isYes.filter(Boolean).length;
  const no = isYes.length - yes;
  const [high, low] = [(yes + 1) / (yes + 2), 1 / (no + 2)];
  const lossOf = (slope: number, offset: number): number =>
    scores.reduce((sum, score, i) => {
      const z = slope * score + offset;
      return sum + Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - (isYes[i] ? high : low) * z;
    }, 0);
  let [slope, offset] = [0, Math.log((yes + 1) / (no + 1))];
  let loss = lossOf(slope, offset);
  for (let step = 0; step < NEWTON; step++) {
    let [g, h, gg, gh, hh] = [0, 0, DAMPING, 0, DAMPING];
    for (const [i, score] of scores.entries()) {
      const p = 1 / (1 + Math.exp(-(slope * score + offset)));
      const error = p - (isYes[i] ? high : low);
      const weight = p * (1 - p);
      g += error * score;
      h += error;
      gg += weight * score * score;
      gh += weight * score;
      hh += weight;
    }
    const determinant = gg * hh - gh * gh;
    const [down, along] = [(hh * g - gh * h) / determinant, (gg * h - gh * g) / determinant];
    let share = 1;
    let next = lossOf(slope - down, offset - along);
    while (!(next <= loss) && share > 1e-10) {
      share /= 2;
      next = lossOf(slope - share * down, offset - share * along);
    }
    if (!(next < loss)) break;
    [slope, offset] = [slope - share * down, offset - share * along];
    if (loss - next < 1e-12 * Math.abs(loss)) break;
    loss = next;
  }
  // Scores that say nothing, or the contrary, as few images left out one by one do, must not turn answers round.
  const size = scores.reduce((most, score) => Math.max(most, Math.abs(score)), 0);
  const least = 1 / (RANGE * Math.max(size, 1e-300));
  return slope > least ? { slope, offset } : { slope: least, offset: Math.log((yes + 1) / (no + 1)) };
}
