import { Bool, Float64, Int32, Schema, Table, Utf8, type Vector, vectorFromArray } from 'apache-arrow';
import { canonicalJson, type Json } from '../canonical.js';
import { arrowFile } from '../formats/arrow/file.js';
import { csvField } from '../formats/csv.js';
import type { HeadOptions } from '../train/options.js';
import type { SweepRow } from './sweep-row.js';

/** Metrics that have a column, as far as the task has them. */
const METRICS = [
  'accuracy',
  'balancedAccuracy',
  'f1',
  'microF1',
  'hammingLoss',
  'auc',
  'averagePrecision',
  'calibrationError',
  'r2',
  'mae',
  'rmse',
] as const;

/** One text for what is a list or a mapping. */
const plain = (value: unknown): number | boolean | string | null =>
  typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string' || value === null
    ? value
    : JSON.stringify(value);

function columnOf(values: readonly (number | boolean | string | null)[]): Vector {
  const given = values.filter((value) => value !== null);
  if (given.length > 0 && given.every((value) => typeof value === 'number'))
    return vectorFromArray(values, new Float64());
  if (given.length > 0 && given.every((value) => typeof value === 'boolean'))
    return vectorFromArray(values, new Bool());
  return vectorFromArray(
    values.map((value) => (value === null ? null : String(value))),
    new Utf8(),
  );
}

/** @returns a row a head by rank, with what was tried, how it ended and what was measured; `options` holds all options as JSON */
export function sweepTable(rows: readonly SweepRow[], tried: readonly (keyof HeadOptions)[]): Table {
  const whole = (of: (row: SweepRow) => number | null): Vector => vectorFromArray(rows.map(of), new Int32());
  const metric = (name: string) => (row: SweepRow) =>
    ((row.metrics as unknown as Record<string, number | null> | null)?.[name] ?? null) as number | null;
  const measured = METRICS.filter((name) => rows.some((row) => metric(name)(row) !== null));
  const columns: Record<string, Vector> = {
    rank: whole(({ rank }) => rank),
    status: columnOf(rows.map(({ status }) => status)),
    ...Object.fromEntries(tried.map((name) => [name, columnOf(rows.map(({ options }) => plain(options[name])))])),
    val_loss: vectorFromArray(
      rows.map(({ loss }) => loss),
      new Float64(),
    ),
    ...Object.fromEntries(
      measured.map((name) => [`val_${snake(name)}`, vectorFromArray(rows.map(metric(name)), new Float64())]),
    ),
    epochs: whole(({ epochs }) => epochs),
    best_epoch: whole(({ bestEpoch }) => bestEpoch),
    ...Object.fromEntries(
      Array.from({ length: Math.max(0, ...rows.map(({ folds }) => folds?.length ?? 0)) }, (_, fold) => [
        [
          `fold_${fold + 1}_val_loss`,
          vectorFromArray(
            rows.map(({ folds }) => folds?.[fold]?.loss ?? null),
            new Float64(),
          ),
        ],
        [`fold_${fold + 1}_best_epoch`, whole(({ folds }) => folds?.[fold]?.bestEpoch ?? null)],
      ]).flat(),
    ),
    options: columnOf(rows.map(({ options }) => canonicalJson(JSON.parse(JSON.stringify(options))))),
    message: columnOf(rows.map(({ message }) => message)),
  };
  return new Table(columns);
}

/**
 * @param facts about the sweep as a whole, for the schema's metadata
 * @returns the results as an Arrow file. The same results give the same bytes.
 */
export function sweepFile(results: Table, facts: Json): Uint8Array {
  const metadata = new Map([['permafrost.sweep', canonicalJson(facts)]]);
  return arrowFile(new Table(new Schema(results.schema.fields, metadata), results.batches));
}

/** @returns the results as CSV with a header; what is not there is empty */
export function sweepCsv(results: Table): string {
  const names = results.schema.fields.map(({ name }) => name);
  const columns = names.map((name) => results.getChild(name));
  const rows = Array.from({ length: results.numRows }, (_, i) => columns.map((column) => column?.get(i) ?? ''));
  return `${[names, ...rows].map((row) => row.map(csvField).join(',')).join('\n')}\n`;
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
