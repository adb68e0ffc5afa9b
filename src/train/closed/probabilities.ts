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

/** The most steps to a sharpness, its range about one over the scores' own size, and the relative step that ends the way. */
const STEPS = 100;
const RANGE = 1e4;
const NEAR = 1e-12;
/** Below the largest of a row by this much, a weight is lost in float64 beside it. */
const LOST = -40;

/**
 * The factor of scores that makes probabilities of them with the lowest log loss: temperature scaling (Guo et al. 2017), the loss being
 * convex in the factor. Newton's steps where they halve what is left, else its middle.
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
  const { under, size } = underTheLargest(scores, n, classes);
  const wanted = new Float64Array(n);
  for (let at = 0; at < under.length; at++) {
    const i = Math.floor(at / classes);
    wanted[i] = (wanted[i] as number) + (targets[at] as number) * (under[at] as number);
  }
  const measure = (factor: number): { slope: number; curvature: number; loss: number; error: number } => {
    let [slope, curvature, loss, squares] = [0, 0, 0, 0];
    for (let i = 0, at = 0; i < n; i++) {
      let [total, first, second] = [0, 0, 0];
      for (let k = 0; k < classes; k++, at++) {
        const score = under[at] as number;
        if (factor * score < LOST) continue;
        const weight = Math.exp(factor * score);
        total += weight;
        first += weight * score;
        second += weight * score * score;
      }
      const mean = first / total;
      slope += mean - (wanted[i] as number);
      curvature += second / total - mean * mean;
      const own = Math.log(total) - factor * (wanted[i] as number);
      loss += own;
      squares += own * own;
    }
    const variance = Math.max(0, squares / n - (loss / n) ** 2);
    return { slope, curvature, loss: loss / n, error: Math.sqrt(variance / n) };
  };
  if (!(size > 0) || !Number.isFinite(size)) return { ...measure(1), factor: 1 };
  let [low, high] = [1 / (RANGE * size), RANGE / size];
  let factor = Math.sqrt(low * high);
  for (let step = 0, last = high; step < STEPS; step++) {
    const { slope, curvature } = measure(factor);
    if (slope < 0) low = factor;
    else high = factor;
    const newton = factor - slope / curvature;
    const isGood = newton > low && newton < high && Math.abs(newton - factor) < last / 2;
    const next = isGood ? newton : Math.sqrt(low * high);
    last = Math.abs(next - factor);
    factor = next;
    if (last <= NEAR * factor) break;
  }
  return { ...measure(factor), factor };
}

/** @returns scores `[n, classes]` less the largest of their row, and the largest distance of a score from its row's first */
function underTheLargest(scores: Float64Array, n: number, classes: number): { under: Float64Array; size: number } {
  const under = scores.length === n * classes ? scores.slice() : new Float64Array(n * classes);
  if (scores.length === n) for (const [i, score] of scores.entries()) under[2 * i + 1] = score;
  let size = 0;
  for (let from = 0; from < under.length; from += classes) {
    const row = under.subarray(from, from + classes);
    const first = row[0] as number;
    let most = first;
    for (const score of row) {
      most = Math.max(most, score);
      size = Math.max(size, Math.abs(score - first));
    }
    for (let k = 0; k < classes; k++) row[k] = (row[k] as number) - most;
  }
  return { under, size };
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
