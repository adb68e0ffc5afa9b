import { Float32, Table, Utf8, vectorFromArray } from 'apache-arrow';
import { arrowFile } from '../formats/arrow/file.js';
import type { Prediction } from './predict.js';

/** @returns a cell of a CSV file (RFC 4180) */
const cell = (value: string | number): string =>
  /[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value);

/** @returns the header of a CSV file of predictions: path, label, score, and a column a class */
export const csvHeader = (classes: readonly string[]): string =>
  ['path', 'label', 'score', ...classes].map(cell).join(',');

/** @returns one line of that file */
export const csvLine = ({ path, label, score, scores }: Prediction): string =>
  [path, label, score, ...Object.values(scores)].map(cell).join(',');

/** @returns predictions as an Arrow IPC file: `path`, `label`, `score`, and `score_<class>` of each class */
export function predictionFile(predictions: readonly Prediction[], classes: readonly string[]): Uint8Array {
  const texts = (of: (one: Prediction) => string) => vectorFromArray(predictions.map(of), new Utf8());
  const numbers = (of: (one: Prediction) => number) => vectorFromArray(predictions.map(of), new Float32());
  return arrowFile(
    new Table({
      path: texts(({ path }) => path),
      label: texts(({ label }) => label),
      score: numbers(({ score }) => score),
      ...Object.fromEntries(classes.map((name) => [`score_${name}`, numbers(({ scores }) => scores[name] ?? 0)])),
    }),
  );
}
