import { byCodePoint } from '../canonical.js';
import { LabelError } from '../errors.js';
import { isNumber } from './cell.js';
import type { RowLabel } from './row-labels.js';
import type { Task } from './targets.js';

/** A label, and where it stands, for messages. */
export interface PlacedLabel {
  readonly label: RowLabel;
  /** `labels.csv line 3` */
  readonly where: string;
}

/** More different whole numbers than this are measurements more often than names of classes. */
const MANY_NUMBERS = 20;

const isText = (label: RowLabel): label is string => typeof label === 'string' && label !== '';
const isWhole = (text: string): boolean => isNumber(text) && Number.isInteger(Number(text));

/**
 * @param labels missing ones are passed over
 * @param asked a task that the labels must fit
 * @returns multilabel or regression, or `asked`; undefined where the number of classes will decide
 * @throws LabelError that names the first label which does not fit
 */
export function taskOf(labels: readonly PlacedLabel[], several: boolean, asked: Task | undefined): Task | undefined {
  const texts = labels.filter((one): one is PlacedLabel & { label: string } => isText(one.label));
  const fraction = texts.find(({ label }) => isNumber(label) && !isWhole(label));
  const word = texts.find(({ label }) => !isNumber(label));
  if (asked === 'regression') {
    const list = labels.find(({ label }) => Array.isArray(label));
    const wrong = word ?? list;
    if (wrong === undefined) return asked;
    throw new LabelError(`${wrong.where}: a regression needs numbers, found ${JSON.stringify(wrong.label)}`);
  }
  if (asked === 'multilabel' || (asked === undefined && several)) return 'multilabel';
  const list = labels.find(({ label }) => Array.isArray(label));
  if (list !== undefined) {
    const names = (list.label as readonly string[]).join('|');
    throw new LabelError(`${list.where}: ${names} holds several labels: use --task multilabel, or give one an image`);
  }
  if (asked !== undefined || fraction === undefined) return asked;
  if (word === undefined) return 'regression';
  throw new LabelError(
    `${word.where}: ${JSON.stringify(word.label)} is no number, while others are (${fraction.label}, ${fraction.where}): ` +
      'put it right, or use --task multiclass if they are names',
  );
}

/** @returns a label as one text: two that say the same become the same. Of several all, sorted, joined by `|` */
export function canonicalLabel(label: RowLabel, task: Task | undefined, numbers: boolean): string {
  if (task === 'multilabel') {
    const names = typeof label === 'string' ? (label === '' ? [] : [label]) : (label ?? []);
    return [...new Set(names)].sort(byCodePoint).join('|');
  }
  const text = typeof label === 'string' ? label : '';
  if (task === 'regression') return String(Number(text));
  // 1.0 is what becomes of 1 in a column of floating-point numbers.
  return numbers ? text.replace(/\.0*$/, '') : text;
}

/** @returns whether all labels are whole numbers, so that `1` and `1.0` are one class */
export const areWhole = (labels: readonly PlacedLabel[]): boolean =>
  labels.every(({ label }) => !isText(label) || isWhole(label)) && labels.some(({ label }) => isText(label));

/** @returns a sentence about whole numbers that are taken for names of classes; nothing where there is no doubt */
export function numbersAsNames(labels: readonly PlacedLabel[], task: Task | undefined): string[] {
  if (task !== undefined) return [];
  const texts = labels.filter((one): one is PlacedLabel & { label: string } => isText(one.label));
  const different = new Set(texts.filter(({ label }) => isWhole(label)).map(({ label }) => Number(label)));
  const word = texts.find(({ label }) => !isNumber(label));
  if (different.size > MANY_NUMBERS) {
    const beside = word === undefined ? '' : `, beside ${JSON.stringify(word.label)} (${word.where})`;
    return [
      `${different.size} whole numbers are taken for names of classes${beside}: use --task regression for measurements`,
    ];
  }
  if (word !== undefined || different.size < 3) return [];
  const [least, most] = [Math.min(...different), Math.max(...different)];
  return [
    `the whole numbers ${least} to ${most} are taken for names of ${different.size} classes: use --task regression if they are a scale`,
  ];
}
