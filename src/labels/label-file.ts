import { basename, dirname, extname, resolve } from 'node:path';
import { byCodePoint } from '../canonical.js';
import { DataError, LabelError } from '../errors.js';
import { readNamed, whyUnreadable } from '../files/index.js';
import { parseCsv } from '../formats/csv.js';
import { checkLabels, type DataFile, type Example, type LabelledData, splitNamed } from './labels.js';
import type { Task } from './targets.js';
import { splitLabels } from './task.js';

/** Bytes of the largest label file that is read. */
const LARGEST = 2 ** 28;
const SHA256 = /^[0-9a-f]{64}$/i;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** More different whole numbers than this are measurements more often than names of classes. */
const MANY_NUMBERS = 20;

/** One row of a label file as text. */
export interface Row {
  readonly line: number;
  readonly path?: string;
  readonly sha256?: string;
  readonly label: string;
  readonly split?: string;
  readonly group?: string;
}

const COLUMNS = ['path', 'sha256', 'label', 'split', 'group'] as const;

/**
 * Takes labels from a CSV file (with a header) or a JSONL file: `path` or `sha256`, `label`, and where wanted `split` (train,
 * val, valid, validation, test) and `group`; other columns are ignored. Paths are relative to the label file, then to the data
 * folder. The task follows from the labels where it is not given: a `|` in any of them (or a list, in JSONL) makes all multilabel,
 * with an empty one for an image that has none; numbers that are not all whole are a regression; else they are names of classes.
 * @param files the images of the data folder; those without a row are counted, not used
 * @param options `missing`: what to do with rows whose path is not among the files, `error` by default; `task`: what to train
 * @throws DataError when the file cannot be read, LabelError with the line for what it holds
 */
export async function labelsFromFile(
  file: string,
  dataDir: string,
  files: readonly DataFile[],
  options: { readonly missing?: 'error' | 'skip'; readonly task?: Task } = {},
): Promise<LabelledData> {
  const name = basename(file);
  const rows = await labelRows(file);
  const task = taskOf(rows, name, options.task);

  const byPath = new Map(files.map((one) => [resolve(dataDir, one.path), one]));
  const bySha = new Map(files.map((one) => [one.sha256.toLowerCase(), one]));
  const find = (row: Row): DataFile | undefined => {
    if (row.sha256 !== undefined) {
      const sha256 = row.sha256.toLowerCase();
      return { sha256, path: row.path ?? bySha.get(sha256)?.path ?? '' };
    }
    const path = row.path ?? '';
    return byPath.get(resolve(dirname(file), path)) ?? byPath.get(resolve(dataDir, path));
  };

  const warnings: string[] = [];
  const different = new Set(rows.map(({ label }) => label)).size;
  if (options.task === undefined && task === undefined && different > MANY_NUMBERS && rows.every(isNumber)) {
    warnings.push(
      `${name}: ${different} whole numbers are taken for names of classes: use --task regression for measurements`,
    );
  }
  const examples = new Map<string, Example>();
  const missing: Row[] = [];
  for (const row of rows) {
    const found = find(row);
    if (found === undefined) {
      missing.push(row);
      continue;
    }
    const split = row.split === undefined ? undefined : splitNamed(row.split);
    if (row.split !== undefined && split === undefined) {
      throw new LabelError(
        `${name} line ${row.line}: split ${row.split} is none of train, val, valid, validation, test`,
      );
    }
    const label = canonicalLabel(row.label, task);
    const example: Example = {
      ...found,
      label,
      ...(split === undefined ? {} : { split }),
      ...(row.group === undefined ? {} : { group: row.group }),
    };
    examples.set(JSON.stringify([found.path, found.sha256, label, split]), example);
  }
  const first = missing[0];
  if (first !== undefined) {
    const found = `${missing.length} of its ${rows.length} images not found, the first ${first.path} on line ${first.line}`;
    if (options.missing !== 'skip') {
      throw new LabelError(
        `${name}: ${found}: paths are relative to the label file, then to ${dataDir}; put them right, or use --missing skip`,
      );
    }
    warnings.push(`${name}: ${found}: skipped`);
  }
  const labelled = new Set([...examples.values()].map((example) => example.sha256));
  const unlabelled = files.filter((one) => !labelled.has(one.sha256.toLowerCase())).length;
  if (unlabelled > 0)
    warnings.push(`${unlabelled} image${unlabelled === 1 ? '' : 's'} without a label in ${name}: ignored`);
  return checkLabels(task, [...examples.values()], [], warnings, unlabelled);
}

/**
 * @returns the rows of a label file as they stand
 * @throws DataError when the file cannot be read, LabelError with the line for what it holds
 */
export async function labelRows(file: string): Promise<Row[]> {
  const text = await readText(file);
  return isJsonLines(file, text) ? jsonRows(text, basename(file)) : csvRows(text, basename(file));
}

async function readText(file: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await readNamed(file, LARGEST));
  } catch (error) {
    const isText = (error as NodeJS.ErrnoException).code !== 'ERR_ENCODING_INVALID_ENCODED_DATA';
    const found = isText ? whyUnreadable(error) : 'is not UTF-8 text';
    throw new DataError(`label file ${file} ${found}: give a CSV or JSONL file`, { cause: error });
  }
}

const isJsonLines = (file: string, text: string): boolean =>
  ['.jsonl', '.ndjson', '.json'].includes(extname(file).toLowerCase()) || /^\uFEFF?\s*\{/.test(text);

function csvRows(text: string, name: string): Row[] {
  const [header, ...records] = parseCsv(text, name);
  if (header === undefined) throw new LabelError(`${name} is empty: expected a header with path or sha256, and label`);
  const columns = header.fields.map((field) => field.trim().toLowerCase());
  const twice = COLUMNS.find((column) => columns.indexOf(column) !== columns.lastIndexOf(column));
  if (twice !== undefined) throw new LabelError(`${name} line ${header.line}: two columns are called ${twice}`);
  if (!columns.includes('label') || !(columns.includes('path') || columns.includes('sha256'))) {
    throw new LabelError(
      `${name} line ${header.line}: expected a header with path or sha256, and label; found ${columns.join(', ')}`,
    );
  }
  return records.map(({ line, fields }) => {
    if (fields.length !== columns.length) {
      throw new LabelError(`${name} line ${line}: ${fields.length} fields where the header has ${columns.length}`);
    }
    return checkRow(Object.fromEntries(columns.map((column, i) => [column, fields[i]])), line, name);
  });
}

function jsonRows(text: string, name: string): Row[] {
  return text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .flatMap((source, i) => {
      if (source.trim() === '') return [];
      let parsed: unknown;
      try {
        parsed = JSON.parse(source);
      } catch (error) {
        throw new LabelError(`${name} line ${i + 1} is not JSON: expected one object a line`, { cause: error });
      }
      if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
        throw new LabelError(`${name} line ${i + 1} is not an object: expected path or sha256, and label`);
      }
      return [checkRow(parsed as Record<string, unknown>, i + 1, name)];
    });
}

function checkRow(cells: Readonly<Record<string, unknown>>, line: number, name: string): Row {
  const cell = (column: (typeof COLUMNS)[number]): string | undefined => {
    const value = Object.hasOwn(cells, column) ? cells[column] : undefined;
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value === 'string') return value;
    if ((column === 'label' || column === 'group') && typeof value === 'number') return String(value);
    throw new LabelError(`${name} line ${line}: ${column} must be text, not ${JSON.stringify(value)}`);
  };
  const path = cell('path');
  const sha256 = cell('sha256');
  const label = labelOf(cells.label, line, name) ?? cell('label');
  const split = cell('split');
  const group = cell('group');
  if (label === undefined) throw new LabelError(`${name} line ${line}: no label`);
  if (path === undefined && sha256 === undefined) throw new LabelError(`${name} line ${line}: no path and no sha256`);
  if (sha256 !== undefined && !SHA256.test(sha256)) {
    throw new LabelError(`${name} line ${line}: sha256 must be 64 hex digits, not ${sha256}`);
  }
  return {
    line,
    label,
    ...(path === undefined ? {} : { path }),
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(split === undefined ? {} : { split }),
    ...(group === undefined ? {} : { group }),
  };
}

/** @returns an empty label of a CSV file, or a list of labels of a JSONL file, as one text; undefined for what is neither */
function labelOf(value: unknown, line: number, name: string): string | undefined {
  if (value === '') return '';
  if (!Array.isArray(value)) return undefined;
  const wrong = value.find((one) => typeof one !== 'string' || one === '' || one.includes('|'));
  if (wrong === undefined) return value.length === 1 ? `${value[0]}|${value[0]}` : value.join('|');
  throw new LabelError(`${name} line ${line}: a label must be text without |, not ${JSON.stringify(wrong)}`);
}

const isNumber = ({ label }: Row): boolean => NUMBER.test(label.trim());

/**
 * @param asked a task that the labels must fit
 * @returns multilabel or regression, or `asked`; undefined where the number of classes will decide
 */
function taskOf(rows: readonly Row[], name: string, asked: Task | undefined): Task | undefined {
  const fault = (row: Row | undefined, what: string): void => {
    if (row !== undefined) throw new LabelError(`${name} line ${row.line}: ${what}`);
  };
  const several = rows.find((row) => row.label.includes('|'));
  const fraction = rows.find((row) => !Number.isInteger(Number(row.label)));
  const numbers = fraction !== undefined && rows.every(isNumber);
  const task = asked ?? (several !== undefined ? 'multilabel' : numbers ? 'regression' : undefined);
  if (task === 'regression') {
    const word = rows.find((row) => !isNumber(row) || !Number.isFinite(Math.fround(Number(row.label))));
    fault(word, `a regression needs numbers, found ${JSON.stringify(word?.label)}`);
    return task;
  }
  if (task === 'multilabel') {
    const odd = rows.find((row) => splitLabels(row.label).some((label) => label.trim() === ''));
    fault(odd, `${JSON.stringify(odd?.label)} holds an empty label between two |`);
    return task;
  }
  fault(several, `${several?.label} holds several labels: use --task multilabel, or give one an image`);
  fault(
    rows.find((row) => row.label === ''),
    'no label',
  );
  return task;
}

/** Two texts that say the same become the same. */
function canonicalLabel(text: string, task: Task | undefined): string {
  if (task === 'regression') return String(Number(text));
  return task === 'multilabel' ? [...new Set(splitLabels(text))].sort(byCodePoint).join('|') : text;
}
