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
  for (let k = classes === 2 ? 1 : 0; k < classes; k++) {
    const scores = Float32Array.from(y, (_, i) => probabilities[i * classes + k] as number);
    const area = auc(
      scores,
      y.map((label) => Number(label === k)),
    );
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
  const negatives = scores.filter((_, i) => y[i] !== 1).sort();
  if (positives.length === 0 || negatives.length === 0) return null;
  let below = 0;
  let upTo = 0;
  let wins = 0;
  for (const score of positives) {
    while (below < negatives.length && (negatives[below] as number) < score) below += 1;
    while (upTo < negatives.length && (negatives[upTo] as number) <= score) upTo += 1;
    wins += (below + upTo) / 2;
  }
  return wins / (positives.length * negatives.length);
}

/** @returns accuracy on the validation labels of always answering the commonest class (the first of equals) of training */
export function majorityBaseline(train: Labels, val: Labels, classes: number): number {
  const counts = new Array<number>(classes).fill(0);
  for (const label of train) counts[label] = (counts[label] as number) + 1;
  const commonest = counts.indexOf(Math.max(...counts));
  return val.filter((label) => label === commonest).length / val.length;
}
