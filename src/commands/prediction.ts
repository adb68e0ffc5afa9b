import type { HeadInfo } from '../heads/head-info.js';
import { setOf } from '../metrics/conformal.js';
import { usage } from '../options/check.js';

/** A class and its probability. */
export interface LabelScore {
  readonly label: string;
  readonly score: number;
}

/** What a head says of an image. */
export interface Answer {
  /**
   * The likeliest class, of a binary head the second where its probability is above the threshold; all labels above their thresholds,
   * joined by `|`, of a multilabel head; the number of a regression as text. Empty where none has the score that is asked for.
   */
  readonly label: string;
  /** The probability of that label, of several the lowest of theirs, of none the highest that was not enough; of a regression the number. */
  readonly score: number;
  /** The probability of each class, in the head's order, or the likeliest first where some are asked for; empty of a regression. */
  readonly scores: readonly LabelScore[];
  /** Classes that are likely enough, of a head that was trained with `coverage`: as many as it takes for that share of images, or none. */
  readonly set?: readonly string[];
}

/** An image and what a head says of it, or why it could not be used. */
export type Prediction =
  | (Answer & {
      /** As given; in a folder, below it. */
      readonly path: string;
      readonly error?: undefined;
    })
  | {
      readonly path: string;
      /** A sentence about the file, without its name: `it is empty`. */
      readonly error: string;
      readonly label?: undefined;
      readonly score?: undefined;
      readonly scores?: undefined;
      readonly set?: undefined;
    };

/** What is asked of a head. */
export interface Asked {
  /** The likeliest classes only, this many. */
  readonly top?: number | undefined;
  /** The least probability with which a label is said. */
  readonly minScore?: number | undefined;
}

/** @throws UsageError where a head that says numbers is asked about classes */
export function checkAsked(
  { task }: Pick<HeadInfo, 'task'>,
  asked: Asked & { readonly sortInto?: string | undefined },
): void {
  const idle = (['top', 'minScore', 'sortInto'] as const).find((name) => asked[name] !== undefined);
  if (task === 'regression' && idle !== undefined) {
    throw usage(`{${idle}} is about classes, and this head says numbers: leave it out`);
  }
}

/** @returns what the head says of one image, from its outputs */
export function said(
  { task, classes, threshold, coverage }: HeadInfo,
  outputs: readonly number[],
  asked: Asked = {},
): Answer {
  if (task === 'regression') {
    const value = outputs[0] ?? 0;
    return { label: String(value), score: value, scores: [] };
  }
  const { top, minScore = 0 } = asked;
  const all = classes.map((label, k) => ({ label, score: outputs[k] ?? 0 }));
  const scores = top === undefined ? all : [...all].sort((a, b) => b.score - a.score).slice(0, top);
  const limits = threshold?.values ?? [];
  if (task === 'multilabel') {
    const sure = all.filter(({ score }, k) => score > (limits[k] ?? 0.5) && score >= minScore);
    const label = sure.map((one) => one.label).join('|');
    const score = sure.length > 0 ? Math.min(...sure.map((one) => one.score)) : Math.max(...outputs);
    return { label, score, scores };
  }
  const likeliest = outputs.indexOf(Math.max(...outputs));
  const answer = task === 'binary' ? Number((outputs[1] ?? 0) > (limits[0] ?? 0.5)) : likeliest;
  const score = outputs[answer] ?? 0;
  const set = coverage === null ? null : setOf(outputs, coverage).map((k) => classes[k] as string);
  return { label: score >= minScore ? (classes[answer] ?? '') : '', score, scores, ...(set === null ? {} : { set }) };
}
