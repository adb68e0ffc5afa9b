import { Bool, Float64, Int32, Schema, Table, Utf8, type Vector, vectorFromArray } from 'apache-arrow';
import { canonicalJson, type Json } from '../canonical.js';
import { arrowFile } from '../formats/arrow/file.js';
import { csvField } from '../formats/csv.js';
import { RANKINGS } from '../options/choices.js';
import { type HeadOptions, resolveOptions } from '../train/options.js';
import { validationColumn } from './sweep-ranking.js';
import type { SweepRow } from './sweep-row.js';

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

/**
 * @returns a row a head by rank, with what was tried, how it ended and what was measured; `options` and `metrics` hold all options and
 *   all that was measured as JSON
 */
export function sweepTable(rows: readonly SweepRow[], tried: readonly (keyof HeadOptions)[]): Table {
  const whole = (of: (row: SweepRow) => number | null): Vector => vectorFromArray(rows.map(of), new Int32());
  const metric = (name: string) => (row: SweepRow) =>
    ((row.metrics as unknown as Record<string, number | null> | null)?.[name] ?? null) as number | null;
  // The loss has a column of its own, which a head that was measured nowhere else has, too.
  const measured = RANKINGS.filter((name) => name !== 'loss' && rows.some((row) => metric(name)(row) !== null));
  const columns: Record<string, Vector> = {
    rank: whole(({ rank }) => rank),
    status: columnOf(rows.map(({ status }) => status)),
    ...Object.fromEntries(tried.map((name) => [name, columnOf(rows.map(({ options }) => plain(options[name])))])),
    val_loss: vectorFromArray(
      rows.map(({ loss }) => loss),
      new Float64(),
    ),
    ...Object.fromEntries(
      measured.map((name) => [validationColumn(name), vectorFromArray(rows.map(metric(name)), new Float64())]),
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
    metrics: columnOf(rows.map(({ metrics }) => (metrics === null ? null : JSON.stringify(metrics)))),
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

/** @returns the results as CSV with a header, but for the JSON of all metrics; what is not there is empty */
export function sweepCsv(results: Table): string {
  const names = results.schema.fields.map(({ name }) => name).filter((name) => name !== 'metrics');
  const columns = names.map((name) => results.getChild(name));
  const rows = Array.from({ length: results.numRows }, (_, i) => columns.map((column) => column?.get(i) ?? ''));
  return `${[names, ...rows].map((row) => row.map(csvField).join(',')).join('\n')}\n`;
}

/**
 * @returns the heads of a table that `sweepTable` made
 * @throws Error for what is no such table
 */
export function sweepRows(results: Table): SweepRow[] {
  const cell = (name: string, i: number): unknown => results.getChild(name)?.get(i) ?? null;
  const number = (name: string, i: number) => cell(name, i) as number | null;
  const folds = results.schema.fields.filter(({ name }) => /^fold_\d+_best_epoch$/.test(name)).length;
  return Array.from({ length: results.numRows }, (_, i): SweepRow => {
    const metrics = cell('metrics', i);
    const foldsOfRow = Array.from({ length: folds }, (_, fold) => ({
      loss: number(`fold_${fold + 1}_val_loss`, i),
      bestEpoch: number(`fold_${fold + 1}_best_epoch`, i),
    })).filter((one): one is { loss: number | null; bestEpoch: number } => one.bestEpoch !== null);
    return {
      rank: number('rank', i),
      status: cell('status', i) as SweepRow['status'],
      options: resolveOptions(JSON.parse(String(cell('options', i)))),
      loss: number('val_loss', i),
      metrics: metrics === null ? null : JSON.parse(String(metrics)),
      epochs: number('epochs', i) ?? 0,
      bestEpoch: number('best_epoch', i),
      folds: foldsOfRow.length === 0 ? null : foldsOfRow,
      message: cell('message', i) as string | null,
    };
  });
}
