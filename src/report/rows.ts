import type { Answers } from '../heads/judge.js';
import type { Threshold } from '../heads/learned.js';
import { answersOf } from '../metrics/classification.js';
import { labelsSaid } from '../metrics/multilabel.js';

/** Rows that are shown as the worst, and as the least certain. */
const WORST = 24;
const LEAST_CERTAIN = 12;

/** What a head says of each row. */
export interface Said {
  /** Class numbers of one class an image; empty of other tasks. */
  readonly classes: Int32Array;
  /** `[n, K]`, 1 for a label that is said; empty of other tasks. */
  readonly labels: Uint8Array;
}

export const thresholdsOf = (threshold: Threshold | null, classes: number): readonly number[] =>
  threshold?.values ?? Array.from({ length: classes }, () => 0.5);

export function saidBy({ task, classes, scores }: Answers, threshold: Threshold | null): Said {
  const limits = thresholdsOf(threshold, classes);
  return {
    classes: task === 'binary' || task === 'multiclass' ? answersOf(scores, classes, limits[0]) : new Int32Array(0),
    labels: task === 'multilabel' ? labelsSaid(scores, limits) : new Uint8Array(0),
  };
}

/** @returns the rows, by a falling value; of equal ones the first; only those whose value is a number */
function byFalling(n: number, value: (row: number) => number, most: number): number[] {
  const values = Array.from({ length: n }, (_, row) => value(row));
  const rows = values.flatMap((one, row) => (Number.isNaN(one) ? [] : [row]));
  return rows.sort((a, b) => (values[b] as number) - (values[a] as number) || a - b).slice(0, most);
}

/** @returns rows that are wrong: the surest first; of several labels those with most wrong ones; of a regression the farthest off */
export function mistakesOf(answers: Answers, threshold: Threshold | null, most = WORST): number[] {
  const { task, classes, scores, y } = answers;
  const said = saidBy(answers, threshold);
  if (task === 'regression') {
    return byFalling(y.length, (row) => Math.abs((scores[row] as number) - (y[row] as number)), most);
  }
  if (task === 'multilabel') {
    const wrong = (row: number): number => {
      let [count, sure] = [0, 0];
      for (let at = row * classes; at < (row + 1) * classes; at++) {
        if (said.labels[at] === y[at]) continue;
        count += 1;
        sure = Math.max(sure, Math.abs((scores[at] as number) - (y[at] as number)));
      }
      return count === 0 ? Number.NaN : count + sure / 2;
    };
    return byFalling(scores.length / classes, wrong, most);
  }
  const wrong = (row: number): number => {
    const answer = said.classes[row] as number;
    return answer === y[row] ? Number.NaN : (scores[row * classes + answer] as number);
  };
  return byFalling(y.length, wrong, most);
}

/** @returns rows whose answer hangs by least: nearest to the threshold, or with the two likeliest classes nearest to each other */
export function uncertainOf(
  { task, classes, scores }: Answers,
  threshold: Threshold | null,
  most = LEAST_CERTAIN,
): number[] {
  if (task === 'regression') return [];
  const limits = thresholdsOf(threshold, classes);
  const margin = (row: number): number => {
    const some = scores.subarray(row * classes, (row + 1) * classes);
    if (task === 'binary') return Math.abs((some[1] as number) - (limits[0] as number));
    if (task === 'multilabel') return Math.min(...Array.from(some, (p, k) => Math.abs(p - (limits[k] as number))));
    const [first = 0, second = 0] = Array.from(some).sort((a, b) => b - a);
    return first - second;
  };
  return byFalling(scores.length / classes, (row) => -margin(row), most);
}

/** @returns the rows of each cell of the confusion matrix that has any, `is * K + said`; the surest first */
export function cellsOf(answers: Answers, threshold: Threshold | null): Map<number, number[]> {
  const { classes, scores, y } = answers;
  const said = saidBy(answers, threshold).classes;
  const cells = new Map<number, number[]>();
  for (const [row, answer] of said.entries()) {
    const cell = (y[row] as number) * classes + answer;
    const rows = cells.get(cell);
    if (rows === undefined) cells.set(cell, [row]);
    else rows.push(row);
  }
  const sure = (row: number): number => scores[row * classes + (said[row] as number)] as number;
  for (const rows of cells.values()) rows.sort((a, b) => sure(b) - sure(a) || a - b);
  return cells;
}
