import type { Steps } from '../breathe.js';
import { once, type Statistics } from './bootstrap.js';
import { calibrationBins, calibrationOf } from './calibration.js';
import { type Ranking, rank } from './ranking.js';
import { type Areas, type ClassSums, Samples } from './samples.js';
import { logLoss, meanDefined, precisionRecallF1, ratio } from './shared.js';

/** What is measured for each class, one against the rest. */
export const CLASS_NAMES = ['precision', 'recall', 'f1', 'auc', 'averagePrecision'] as const;
/** What is measured for a classification as a whole. */
export const CLASSIFICATION_NAMES = [
  'accuracy',
  'balancedAccuracy',
  'precision',
  'recall',
  'f1',
  'auc',
  'averagePrecision',
  'loss',
  'calibrationError',
] as const;

/**
 * @param probabilities `[n, classes]`, two columns for a binary head too
 * @param threshold of a binary head: it says the second class where that one's probability is above it
 * @returns `[n]`, the classes that the head says: the likeliest (the first of equals), for a binary head by the threshold
 */
export function answersOf(probabilities: Float32Array, classes: number, threshold = 0.5): Int32Array {
  return Int32Array.from({ length: probabilities.length / classes }, (_, i) => {
    if (classes === 2) return (probabilities[2 * i + 1] as number) > threshold ? 1 : 0;
    let answer = 0;
    for (let k = 1; k < classes; k++) {
      if ((probabilities[i * classes + k] as number) > (probabilities[i * classes + answer] as number)) answer = k;
    }
    return answer;
  });
}

/** Examples by true class (row) and answer (column). @returns `[classes, classes]` flat */
export function confusionOf(answers: Int32Array, y: ArrayLike<number>, classes: number, counts: Uint32Array) {
  const confusion = new Float64Array(classes * classes);
  for (let i = 0; i < answers.length; i++) {
    const cell = (y[i] as number) * classes + (answers[i] as number);
    confusion[cell] = (confusion[cell] as number) + (counts[i] as number);
  }
  return confusion;
}

/** Column `k` of `[n, columns]`. */
export const column = (matrix: Float32Array, columns: number, k: number): Float32Array =>
  Float32Array.from({ length: matrix.length / columns }, (_, i) => matrix[i * columns + k] as number);

/**
 * One class an example. AUC and average precision of the whole are those of the second class for two classes, else the mean over
 * the classes that can be measured, one against the rest. The calibration error of two classes is that of the second one's
 * probability, of more that of the likeliest class's.
 * @param probabilities `[n, classes]`
 * @param y `[n]`, class numbers
 */
export function* classificationInSteps(
  probabilities: Float32Array,
  y: ArrayLike<number>,
  classes: number,
  threshold: number,
): Steps<Statistics> {
  const n = y.length;
  const answers = answersOf(probabilities, classes, threshold);
  const losses = Float64Array.from({ length: n }, (_, i) =>
    logLoss(probabilities[i * classes + (y[i] as number)] as number),
  );
  const rankings: Ranking[] = [];
  for (let k = 0; k < classes; k++) {
    yield;
    rankings.push(rank(column(probabilities, classes, k), (i) => y[i] === k));
  }
  yield;
  const likeliest = classes === 2 ? new Int32Array(n).fill(1) : answersOf(probabilities, classes);
  const confidence = Float32Array.from(likeliest, (k, i) => probabilities[i * classes + k] as number);
  const gaps = Float64Array.from(confidence, (p, i) => p - (y[i] === likeliest[i] ? 1 : 0));
  const samples = new Samples(n, rankings, {
    cell: Uint32Array.from(answers, (answer, i) => (y[i] as number) * classes + answer),
    cells: classes * classes,
    bin: calibrationBins(confidence),
    loss: losses,
    gap: gaps,
  });
  const all = confusionOf(answers, y, classes, once(n));
  const count = (rows: readonly number[], columns: readonly number[]): number =>
    rows.reduce((sum, row) => columns.reduce((total, col) => total + (all[row * classes + col] as number), sum), 0);
  const every = Array.from({ length: classes }, (_, k) => k);
  const shares = new Map<string, readonly [number, number]>([
    ['accuracy', [every.reduce((sum, k) => sum + count([k], [k]), 0), n]],
    ...every.flatMap((k) => eachShare(k, count([k], [k]), count(every, [k]), count([k], every))),
  ]);
  const smaller = every.map((k) => Math.min(count([k], every), n - count([k], every)));
  return {
    n,
    work: classes + 3,
    names: [...CLASSIFICATION_NAMES, ...eachClass(classes)],
    shares,
    sides: areaSides(smaller, classes === 2),
    counts: samples.counts,
    measure() {
      const found = rankings.map((_, k) => samples.areas(k));
      const [first, second] = samples.sums();
      return [
        valuesOf(
          found.map((one) => one[0]),
          first,
        ),
        valuesOf(
          found.map((one) => one[1]),
          second,
        ),
      ];
    },
  };
}

/** @returns the values of one sample, in the order of their names */
function valuesOf(areas: readonly Areas[], { confusion, gaps, loss, total }: ClassSums): Float64Array {
  const classes = areas.length;
  const at = (row: number, col: number): number => confusion[row * classes + col] as number;
  const each = areas.map(({ auc, averagePrecision }, k) => {
    let said = 0;
    let is = 0;
    for (let other = 0; other < classes; other++) {
      said += at(other, k);
      is += at(k, other);
    }
    const [precision, recall, f1] = precisionRecallF1(at(k, k), said - at(k, k), is - at(k, k));
    return { precision, recall, f1, auc, averagePrecision, is, hits: at(k, k) };
  });
  const sum = (of: (one: (typeof each)[number]) => number): number => each.reduce((all, one) => all + of(one), 0);
  const whole = (name: 'auc' | 'averagePrecision'): number =>
    classes === 2 ? (each[1]?.[name] ?? Number.NaN) : meanDefined(each.map((one) => one[name]));
  return Float64Array.of(
    ratio(
      sum((one) => one.hits),
      sum((one) => one.is),
    ),
    meanDefined(each.map((one) => one.hits / one.is)),
    sum((one) => one.precision) / classes,
    sum((one) => one.recall) / classes,
    sum((one) => one.f1) / classes,
    whole('auc'),
    whole('averagePrecision'),
    loss / total,
    calibrationOf(gaps, total),
    ...each.flatMap((one) => CLASS_NAMES.map((name) => one[name])),
  );
}

/** @returns precision and recall of a class as shares of examples */
export const eachShare = (k: number, hits: number, said: number, is: number): [string, readonly [number, number]][] => [
  [`${k}.precision`, [hits, said]],
  [`${k}.recall`, [hits, is]],
];

/** @returns for the areas of each class, and of two classes as a whole, the examples of the smaller side */
export const areaSides = (smaller: readonly number[], asWhole: boolean): Map<string, number> =>
  new Map(
    (['auc', 'averagePrecision'] as const).flatMap((area): [string, number][] => [
      ...smaller.map((count, k): [string, number] => [`${k}.${area}`, count]),
      ...(asWhole ? [[area, smaller[0] ?? 0] as [string, number]] : []),
    ]),
  );

/** @returns the names of what is measured for each class: `0.precision`, … */
export const eachClass = (classes: number): string[] =>
  Array.from({ length: classes }, (_, k) => CLASS_NAMES.map((name) => `${k}.${name}`)).flat();
