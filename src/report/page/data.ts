import type { HeadReport, Report } from '../model.js';
import { saidBy } from '../rows.js';
import { type Rates, ratesOf } from './confusion.js';
import type { Pictures } from './pictures.js';

/** Images whose names and scores a page carries, over all heads; of more, those that have a picture or are wrong. */
const MOST_LISTED = 8000;

/** Scores of a head of several labels an image that a page carries; of more, those of the first images, with a picture or without. */
const MOST_SCORES = 40_000;

/** What the script knows of a head. */
export interface ScriptHead {
  readonly task: string;
  readonly classes: readonly string[];
  /** Whether rows are left out. */
  readonly isCut: boolean;
  /** Of each row the place of its image. */
  readonly place: readonly number[];
  /** Of each row its class; of several labels an image 0 or 1 of each, row by row. */
  readonly is: readonly number[];
  /** Of each row what is said; of several labels an image nothing. */
  readonly said: readonly number[];
  /** Of each row the probability of what is said; of a binary head that of the second; of several labels that of each, row by row. */
  readonly score: readonly number[];
  readonly rates: readonly Rates[];
}

/** What the script of a page works on. */
export interface ScriptData {
  /** Of images that have rows, by place. */
  readonly paths: Readonly<Record<string, string>>;
  /** Pictures that stand nowhere in the markup: WebP in base64, by place. */
  readonly pictures: Readonly<Record<string, string>>;
  readonly heads: Readonly<Record<string, ScriptHead>>;
}

/** Nine digits give the same float32 again. */
const digits = (value: number): number => Number(value.toPrecision(9));

export function scriptData(report: Report, chapters: readonly HeadReport[], pictures: Pictures): ScriptData {
  const heads: Record<string, ScriptHead> = {};
  const paths: Record<string, string> = {};
  const budget = Math.floor(MOST_LISTED / Math.max(1, chapters.length));
  for (const [k, head] of chapters.entries()) {
    if (head.onData === null) continue;
    const { answers, places, map } = head.onData;
    const { task, classes, scores, y } = answers;
    const said = saidBy(answers, head.info.threshold).classes;
    const rates = ratesOf(head, head.onData);
    const isLabels = task === 'multilabel';
    const n = task === 'regression' || (isLabels && rates.length === 0) ? 0 : scores.length / classes;
    const all = Array.from({ length: n }, (_, row) => row);
    const isTold = (row: number): boolean =>
      said[row] !== y[row] || report.thumbnails.has(report.images[places[row] as number]?.sha256 ?? '');
    const most = isLabels ? Math.min(budget, Math.floor(MOST_SCORES / classes)) : budget;
    const rows = all.length <= most ? all : (isLabels ? all : all.filter(isTold)).slice(0, most);
    /** Of several labels an image each of a row, else the one. */
    const ofRows = (one: (row: number) => number, label: (at: number) => number): number[] =>
      isLabels
        ? rows.flatMap((row) => Array.from({ length: classes }, (_, k) => label(row * classes + k)))
        : rows.map(one);
    for (const row of [...rows, ...(map?.rows ?? [])]) {
      const place = places[row] as number;
      paths[place] = pictures.path(place);
    }
    heads[`h${k}`] = {
      task,
      classes: head.info.classes,
      isCut: rows.length < all.length,
      place: rows.map((row) => places[row] as number),
      is: ofRows(
        (row) => y[row] as number,
        (at) => y[at] as number,
      ),
      said: isLabels ? [] : rows.map((row) => said[row] as number),
      score: ofRows(
        (row) => digits(scores[row * classes + (task === 'binary' ? 1 : (said[row] as number))] as number),
        (at) => digits(scores[at] as number),
      ),
      rates,
    };
  }
  return { paths, pictures: pictures.rest(report.images.keys()), heads };
}
