import path from 'node:path';
import { type StoreOptions, writeOutput } from '../files/index.js';
import { type Column, type RowFormat, type RowShape, rowChunks } from '../formats/rows.js';
import { usage } from '../options/check.js';
import type { PREDICTION_FORMATS } from '../options/choices.js';
import { plain } from '../plain.js';
import type { WrongAnswer } from './evaluate.js';
import type { LabelScore, Prediction } from './prediction.js';

/** `plain`: path, label and score between tabs; `json`: one list; `jsonl`: one object a line. */
export type PredictionFormat = (typeof PREDICTION_FORMATS)[number];

const ENDINGS: Readonly<Record<string, RowFormat>> = {
  '.csv': 'csv',
  '.json': 'json',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.arrow': 'arrow',
  '.feather': 'arrow',
  '.ipc': 'arrow',
  '.parquet': 'parquet',
};

/**
 * @param option that names the file, for messages
 * @returns the format that a file's ending asks for; undefined where it asks for none
 * @throws UsageError for one of a kind that is not written
 */
export function formatOfFile(out: string, option = 'out'): RowFormat | undefined {
  const ending = path.extname(out).toLowerCase();
  if (['.xlsx', '.xls', '.ods', '.npy', '.tsv'].includes(ending)) {
    throw usage(
      `a table is not written as %: give {${option}} a file that ends in .csv, .json, .jsonl, .arrow or .parquet`,
      ending,
    );
  }
  return ENDINGS[ending];
}

/** Columns that every table of predictions has: a class of such a name has another in CSV. */
const TAKEN = new Set(['path', 'is', 'label', 'score', 'set', 'error']);

/** Columns of the classes: of all in the head's order, or the likeliest with their names. */
function scoreColumns<Row>(
  classes: readonly string[],
  top: number | undefined,
  of: (row: Row) => readonly LabelScore[] | undefined,
): Column<Row>[] {
  if (top === undefined) {
    return classes.map((label, k) => ({
      name: `score_${label}`,
      csvName: TAKEN.has(label) ? `score_${label}` : label,
      type: 'number',
      of: (row) => of(row)?.[k]?.score ?? null,
    }));
  }
  return Array.from({ length: Math.min(top, classes.length) }).flatMap((_, k): Column<Row>[] => [
    { name: `label_${k + 1}`, type: 'text', of: (row) => of(row)?.[k]?.label ?? null },
    { name: `score_${k + 1}`, type: 'number', of: (row) => of(row)?.[k]?.score ?? null },
  ]);
}

/** @returns the columns `path`, `label`, `score`, `score_<class>` of each class (in CSV its name alone), `set`, and `error` */
function predictionShape({ classes, top, sets }: Pick<TableOptions, 'classes' | 'top' | 'sets'>): RowShape<Prediction> {
  return {
    columns: [
      { name: 'path', type: 'name', of: (one) => one.path },
      { name: 'label', type: 'text', of: ({ label = null }) => label },
      { name: 'score', type: 'number', of: ({ score = null }) => score },
      ...scoreColumns<Prediction>(classes, top, ({ scores }) => scores),
      ...(sets ? [{ name: 'set', type: 'text' as const, of: ({ set }: Prediction) => set?.join('|') ?? null }] : []),
      { name: 'error', type: 'text', of: ({ error = null }) => error },
    ],
    object: (one) => one,
  };
}

function plainLine(one: Prediction, top: number | undefined): string {
  if (one.error !== undefined) return [one.path, '', '', one.error].map(plain).join('\t');
  const more = top === undefined ? [] : one.scores.map(({ label, score }) => `${label} ${score.toFixed(4)}`);
  const set = one.set === undefined ? [] : [`{${one.set.join(', ')}}`];
  return [one.path, one.label, one.score.toFixed(4), ...more, ...set].map(plain).join('\t');
}

export interface TableOptions {
  /** Of the head, in its order. */
  readonly classes: readonly string[];
  /** As it was asked of `predict`. */
  readonly top?: number | undefined;
  /** Whether the head makes sets of classes, which have a column. Default false. */
  readonly sets?: boolean;
  readonly format: PredictionFormat;
}

/**
 * @returns predictions as the bytes of a file, a piece as soon as there is enough for one: a line of text each, one list of JSON, or
 *   batches of Arrow or Parquet with the columns `path`, `label`, `score`, `score_<class>` of each class, `set` where the head makes
 *   sets (classes with `|` between them) and `error`; with `top` the columns `label_1`, `score_1`, … in the place of those of the classes
 */
export async function* predictionChunks(
  predictions: AsyncIterable<Prediction>,
  table: TableOptions,
): AsyncGenerator<Uint8Array> {
  const { top, format } = table;
  if (format !== 'plain') yield* rowChunks(predictions, predictionShape(table), format);
  else for await (const one of predictions) yield Buffer.from(`${plainLine(one, top)}\n`);
}

/**
 * Writes predictions into a file as they are made; it appears when the last one is in, in the place of one that is there.
 * @throws FileError where it cannot be written, before the first image is read; whatever predicting throws: the old file stays then
 */
export async function writePredictions(
  out: string,
  predictions: AsyncIterable<Prediction>,
  table: TableOptions,
  options: StoreOptions = {},
): Promise<void> {
  await writeOutput(out, predictionChunks(predictions, table), options);
}

/**
 * Writes the wrong answers of `evaluate` as a table, by the file's ending, else as CSV: `path`, `is`, `label`, `score` and each class.
 * @throws UsageError for an ending of a kind that is not written; FileError where it cannot be written
 */
export async function writeErrors(
  out: string,
  wrong: readonly WrongAnswer[],
  classes: readonly string[],
  options: StoreOptions = {},
): Promise<void> {
  const shape: RowShape<WrongAnswer> = {
    columns: [
      { name: 'path', type: 'name', of: (one) => one.path },
      { name: 'is', type: 'text', of: (one) => one.is },
      { name: 'label', type: 'text', of: (one) => one.label },
      { name: 'score', type: 'number', of: (one) => one.score },
      ...scoreColumns<WrongAnswer>(classes, undefined, ({ scores }) => scores),
    ],
    object: (one) => one,
  };
  async function* rows(): AsyncGenerator<WrongAnswer> {
    yield* wrong;
  }
  await writeOutput(out, rowChunks(rows(), shape, formatOfFile(out, 'errors') ?? 'csv'), options);
}
