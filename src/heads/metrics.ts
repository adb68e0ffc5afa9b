/** How well probabilities fit labels. */
export interface Metrics {
  /** Share of examples whose most probable class (the first of equals) is theirs. */
  readonly accuracy: number;
  /** Area under the ROC curve; with more than two classes the mean of one-vs-rest over the classes that can be measured. */
  readonly auc: number | null;
  /** Mean log loss in nats, probabilities clipped to [e, 1 - e] with float32's e = 2^-23, as scikit-learn does. */
  readonly loss: number;
  /** Examples by true class (row) and answer (column). */
  readonly confusion: readonly (readonly number[])[];
}

/** Labels as class numbers. */
export type Labels = Int32Array | Uint8Array;

const EPSILON = 2 ** -23;

/**
 * @param probabilities `[n, classes]`, two columns for a binary head too
 * @param y `[n]`, n at least 1
 */
export function measure(probabilities: Float32Array, y: Labels, classes: number): Metrics {
  const n = y.length;
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  let loss = 0;
  let hits = 0;
  for (let i = 0; i < n; i++) {
    const row = probabilities.subarray(i * classes, (i + 1) * classes);
    const label = y[i] as number;
    let answer = 0;
    for (let k = 1; k < classes; k++) if ((row[k] as number) > (row[answer] as number)) answer = k;
    const counts = confusion[label] as number[];
    counts[answer] = (counts[answer] as number) + 1;
    if (answer === label) hits += 1;
    loss -= Math.log(Math.min(Math.max(row[label] as number, EPSILON), 1 - EPSILON));
  }
  return { accuracy: hits / n, auc: macroAuc(probabilities, y, classes), loss: loss / n, confusion };
}

function macroAuc(probabilities: Float32Array, y: Labels, classes: number): number | null {
  const areas: number[] = [];
  const scores = new Float32Array(y.length);
  const isOfClass = new Uint8Array(y.length);
  for (let k = classes === 2 ? 1 : 0; k < classes; k++) {
    for (let i = 0; i < y.length; i++) {
      scores[i] = probabilities[i * classes + k] as number;
      isOfClass[i] = y[i] === k ? 1 : 0;
    }
    const area = auc(scores, isOfClass);
    if (area !== null) areas.push(area);
  }
  return areas.length === 0 ? null : areas.reduce((total, area) => total + area, 0) / areas.length;
}

/**
 * The probability that a positive scores above a negative, ties counting half (Mann and Whitney 1947).
 * @param y 1 for a positive, 0 for a negative
 * @returns null where one of the two is missing
 */
export function auc(scores: Float32Array, y: Labels): number | null {
  const positives = scores.filter((_, i) => y[i] === 1).sort();
  const count = positives.length;
  if (count === 0 || count === y.length) return null;
  let wins = 0;
  for (let i = 0; i < y.length; i++) {
    if (y[i] === 1) continue;
    const score = scores[i] as number;
    const from = position(positives, (positive) => positive < score);
    const to = positives[from] === score ? position(positives, (positive) => positive <= score) : from;
    wins += count - (from + to) / 2;
  }
  return wins / (count * (y.length - count));
}

/** @returns how many of the sorted values are below, by bisection */
function position(sorted: Float32Array, isBelow: (value: number) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBelow(sorted[middle] as number)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** @returns accuracy on the validation labels of always answering the commonest class (the first of equals) of training */
export function majorityBaseline(train: Labels, val: Labels, classes: number): number {
  const counts = new Array<number>(classes).fill(0);
  for (const label of train) counts[label] = (counts[label] as number) + 1;
  const commonest = counts.indexOf(Math.max(...counts));
  return val.filter((label) => label === commonest).length / val.length;
}
