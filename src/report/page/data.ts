import type { HeadReport, Report } from '../model.js';
import { saidBy } from '../rows.js';
import { type Rates, ratesOf } from './confusion.js';
import type { Pictures } from './pictures.js';

/** Images whose names and scores a page carries, over all heads; of more, those that have a picture or are wrong. */
const MOST_LISTED = 8000;

/** What the script knows of a head. */
export interface ScriptHead {
  readonly task: string;
  readonly classes: readonly string[];
  /** Whether rows are left out. */
  readonly isCut: boolean;
  /** Of each row: the place of its image, its class, what is said, and the probability of that; of a binary head that of the second. */
  readonly place: readonly number[];
  readonly is: readonly number[];
  readonly said: readonly number[];
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
    const hasCells = task === 'binary' || task === 'multiclass';
    const all = hasCells ? Array.from({ length: y.length }, (_, row) => row) : [];
    const isTold = (row: number): boolean =>
      said[row] !== y[row] || report.thumbnails.has(report.images[places[row] as number]?.sha256 ?? '');
    const rows = all.length <= budget ? all : all.filter(isTold).slice(0, budget);
    for (const row of [...rows, ...(map?.rows ?? [])]) {
      const place = places[row] as number;
      paths[place] = pictures.path(place);
    }
    heads[`h${k}`] = {
      task,
      classes: head.info.classes,
      isCut: rows.length < all.length,
      place: rows.map((row) => places[row] as number),
      is: rows.map((row) => y[row] as number),
      said: rows.map((row) => said[row] as number),
      score: rows.map((row) =>
        digits(scores[row * classes + (task === 'binary' ? 1 : (said[row] as number))] as number),
      ),
      rates: ratesOf(head, head.onData),
    };
  }
  return { paths, pictures: pictures.rest(report.images.keys()), heads };
}
