import path from 'node:path';
import { Float32, Table, Utf8, vectorFromArray } from 'apache-arrow';
import { type StoreOptions, writeOutput } from '../files/index.js';
import { ArrowFileWriter, ArrowPieces } from '../formats/arrow/file.js';
import { csvField } from '../formats/csv.js';
import { usage } from '../options/check.js';
import type { PREDICTION_FORMATS } from '../options/choices.js';
import { plain } from '../plain.js';
import type { Prediction } from './predict.js';

/** `plain`: path, label and score between tabs; `json`: one object a line. */
export type PredictionFormat = (typeof PREDICTION_FORMATS)[number];

const ENDINGS: Readonly<Record<string, PredictionFormat>> = {
  '.csv': 'csv',
  '.json': 'json',
  '.jsonl': 'json',
  '.ndjson': 'json',
  '.arrow': 'arrow',
  '.feather': 'arrow',
};

/**
 * @returns the format that a file's ending asks for; `plain` where it asks for none
 * @throws UsageError for one of a kind that is not written
 */
export function formatOfFile(out: string): PredictionFormat {
  const ending = path.extname(out).toLowerCase();
  if (['.parquet', '.xlsx', '.xls', '.npy'].includes(ending)) {
    throw usage(
      'predictions are not written as %: give {out} a file that ends in .csv, .json, .jsonl or .arrow',
      ending,
    );
  }
  return ENDINGS[ending] ?? 'plain';
}

/** Predictions of a batch of an Arrow file. */
const BATCH = 1024;

const csvHeader = (classes: readonly string[]): string =>
  ['path', 'label', 'score', ...classes].map(csvField).join(',');

const LINES: Readonly<Record<Exclude<PredictionFormat, 'arrow'>, (prediction: Prediction) => string>> = {
  plain: ({ path, label, score }) => `${plain(path)}\t${plain(label)}\t${score.toFixed(4)}`,
  json: (prediction) => JSON.stringify(prediction),
  csv: ({ path, label, score, scores }) =>
    [plain(path), label, score, ...scores.map((one) => one.score)].map(csvField).join(','),
};

/** Columns `path`, `label`, `score`, and `score_<class>` of each class. */
function tableOf(predictions: readonly Prediction[], classes: readonly string[]): Table {
  const texts = (of: (one: Prediction) => string) => vectorFromArray(predictions.map(of), new Utf8());
  const numbers = (of: (one: Prediction) => number) => vectorFromArray(predictions.map(of), new Float32());
  return new Table({
    path: texts(({ path }) => path),
    label: texts(({ label }) => label),
    score: numbers(({ score }) => score),
    ...Object.fromEntries(classes.map((name, k) => [`score_${name}`, numbers(({ scores }) => scores[k]?.score ?? 0)])),
  });
}

async function* arrowChunks(
  predictions: AsyncIterable<Prediction>,
  classes: readonly string[],
): AsyncGenerator<Uint8Array> {
  const pieces = new ArrowPieces();
  const writer = new ArrowFileWriter();
  const { schema } = tableOf([], classes);
  writer.reset(pieces, schema);
  const write = (waiting: readonly Prediction[]): Uint8Array[] => {
    for (const batch of tableOf(waiting, classes).batches) writer.write(batch);
    return pieces.take();
  };
  let waiting: Prediction[] = [];
  for await (const prediction of predictions) {
    if (waiting.push(prediction) < BATCH) continue;
    yield* write(waiting);
    waiting = [];
  }
  yield* write(waiting);
  writer.finish();
  yield* pieces.take();
}

/**
 * @param classes of the head, in its order: columns of CSV and Arrow
 * @returns predictions as the bytes of a file, a piece as soon as there is enough for one: a line of text each, or batches of an Arrow
 *   IPC file with the columns `path`, `label`, `score`, and `score_<class>` of each class
 */
export async function* predictionChunks(
  predictions: AsyncIterable<Prediction>,
  classes: readonly string[],
  format: PredictionFormat,
): AsyncGenerator<Uint8Array> {
  if (format === 'arrow') {
    yield* arrowChunks(predictions, classes);
    return;
  }
  const line = LINES[format];
  if (format === 'csv') yield Buffer.from(`${csvHeader(classes)}\n`);
  for await (const prediction of predictions) yield Buffer.from(`${line(prediction)}\n`);
}

/**
 * Writes predictions into a file as they are made; it appears when the last one is in, in the place of one that is there.
 * @throws FileError where it cannot be written, before the first image is read; whatever predicting throws: the old file stays then
 */
export async function writePredictions(
  out: string,
  predictions: AsyncIterable<Prediction>,
  classes: readonly string[],
  format: PredictionFormat,
  options: StoreOptions = {},
): Promise<void> {
  await writeOutput(out, predictionChunks(predictions, classes, format), options);
}
