import { basename } from 'node:path';
import { inBreaths } from '../breathe.js';
import { LabelError } from '../errors.js';
import { MISSING_WORDS, textOf } from './cell.js';
import { type ColumnOptions, type Columns, findColumns } from './columns.js';
import { areWhole, canonicalLabel, numbersAsNames, type PlacedLabel, taskOf } from './file-task.js';
import { splitsOfFiles } from './folders.js';
import { checkLabelsInSteps, type DataFile, type Example, type FoundLabels, type LabelledData } from './labels.js';
import { FileNames, type Match, matchedHow } from './names.js';
import { readTable } from './read-table.js';
import { type RowLabels, rowLabels, type WordOptions } from './row-labels.js';
import { countSplits, isOpenSplit, SPLIT_NAMES, splitNamed } from './splits.js';
import type { LabelTable } from './table.js';
import type { Task } from './targets.js';

const SHA256 = /^[0-9a-f]{64}$/i;

export interface LabelFileOptions extends ColumnOptions, WordOptions {
  /** What to do with rows whose image is not among the files, or that have no label. Default `error`. */
  readonly missing?: 'error' | 'skip';
  /** Default: what the labels ask for. */
  readonly task?: Task;
  /** `none`: a folder is no split, whatever it is called. Default `auto`. */
  readonly splits?: 'auto' | 'none';
}

/** Which image a row of a label file is about. */
export interface Row {
  readonly line: number;
  readonly path?: string;
  readonly sha256?: string;
}

/** A label file as it was understood. */
interface Source {
  readonly file: string;
  readonly name: string;
  readonly table: LabelTable;
  readonly columns: Columns;
  readonly read: RowLabels;
  readonly rows: readonly Row[];
  readonly names: FileNames;
  readonly matches: ReadonlyMap<string, Match>;
}

/**
 * Takes labels from files: text with separators, JSON, JSON lines, Parquet, Arrow or an export of Label Studio, told by content.
 * Which column says what is guessed by content, then by name. Names are relative to their label file, then to the data folder; else
 * the one file that answers to a name is taken. The task follows from the labels where it is not given: several labels an image are
 * multilabel, numbers that are not all whole a regression, else they are names of classes.
 * @param given one file, or several of one kind (a `metadata.csv` in each folder)
 * @param files the images of the data folder; those without a row are counted, not used
 * @param options `known`: the classes of a head that is measured on these images
 * @throws DataError when a file cannot be read, LabelError with the line for what it holds
 */
export async function labelsFromFile(
  given: string | readonly string[],
  dataDir: string,
  files: readonly DataFile[],
  options: LabelFileOptions & Pick<FoundLabels, 'known'> = {},
): Promise<LabelledData> {
  const sources: Source[] = [];
  for (const file of [given].flat()) sources.push(await understand(file, dataDir, files, options));
  const [first] = sources as [Source];
  const name = sources.length === 1 ? first.name : `${sources.length} files ${first.name}`;
  const placed = sources.flatMap((source) =>
    source.rows.map((row, i): PlacedLabel & { row: Row; source: Source; i: number } => ({
      label: source.read.labels[i] ?? null,
      where: `${source.name} ${source.table.unit} ${row.line}`,
      ...{ row, source, i },
    })),
  );
  const several = sources.some(({ read }) => read.several);
  const task = taskOf(placed, several, options.task);
  const numbers = areWhole(placed);
  const warnings: string[] = [
    ...sources.flatMap(({ read }) => read.warnings),
    ...numbersAsNames(placed, task).map((sentence) => `${name}: ${sentence}`),
  ];

  const isLabelled = ({ label }: PlacedLabel): boolean => label !== null && (label !== '' || task === 'multilabel');
  const labelled = placed.filter(isLabelled);
  const bare = placed.find((one) => !isLabelled(one));
  if (bare !== undefined) {
    const rest = `${placed.length - labelled.length} of ${placed.length} rows`;
    if (options.missing !== 'skip') {
      throw new LabelError(
        `${bare.where}: no label, as in ${rest}: label them, leave them out with --missing skip, ` +
          'or keep words like NA as names with --missing-words none',
      );
    }
    warnings.push(`${rest} have no label (the first ${bare.where}): left out`);
  }

  const examples = new Map<string, Example>();
  const lost: typeof labelled = [];
  for (const one of labelled) {
    const found = imageOf(one.row, one.source);
    if (found === null) {
      lost.push(one);
      continue;
    }
    const example: Example = {
      ...found,
      label: canonicalLabel(one.label, task, numbers),
      ...asideOf(one.source, one.i, one.where),
    };
    examples.set(JSON.stringify([found.path, found.sha256, example.label, example.split]), example);
  }
  const how = matchedHow(sources.flatMap(({ matches }) => [...matches.values()]));
  if (how !== null) warnings.push(`${name}: images matched: ${how}`);
  checkLost(lost, labelled.length, dataDir, options.missing ?? 'error', warnings);

  const found = [...examples.values()];
  const cut = options.splits === 'none' || found.some(({ split }) => split !== undefined) ? null : splitsOfFiles(found);
  const contents = new Set(found.map((example) => example.sha256));
  const unlabelled = files.filter((file) => !contents.has(file.sha256.toLowerCase())).length;
  if (unlabelled > 0) {
    warnings.push(`${unlabelled} image${unlabelled === 1 ? '' : 's'} without a label in ${name}: ignored`);
  }
  const parts = [`${name}: ${toldOf(first)}`];
  const sides = (cut ?? found).map(({ split }) => split);
  if (sides.some((split) => split !== undefined)) {
    parts.push(`splits ${countSplits(sides)}${cut === null ? '' : ' from folders'}`);
  }
  const understood = parts.join('; ');
  return inBreaths(
    checkLabelsInSteps({ task, examples: cut ?? found, known: options.known, warnings, unlabelled, understood }),
  );
}

/**
 * @param names of the files that it may be about, for the guess which column holds names
 * @returns which images a label file is about, as it says itself
 * @throws DataError when the file cannot be read, LabelError for what it holds, and where that is nothing
 */
export async function labelRows(file: string, names: FileNames | null = null): Promise<Row[]> {
  const table = await filledTable(file);
  const name = basename(file);
  return rowsOf(
    table,
    findColumns(table, {}, (text) => names?.mayName(text) ?? false, name),
    name,
  );
}

async function filledTable(file: string): Promise<LabelTable> {
  const table = await readTable(file);
  if (table.rows.length > 0) return table;
  throw new LabelError(`${basename(file)} holds no labels: expected rows below its header`);
}

async function understand(
  file: string,
  dataDir: string,
  files: readonly DataFile[],
  options: LabelFileOptions,
): Promise<Source> {
  const name = basename(file);
  const table = await filledTable(file);
  const names = new FileNames(files, dataDir, file);
  const columns = findColumns(table, options, (text) => names.mayName(text), name);
  const rows = rowsOf(table, columns, name);
  const read = rowLabels(table, columns, options, name);
  const asked = rows.flatMap(({ path, sha256 }) => (path === undefined || sha256 !== undefined ? [] : [path]));
  return { file, name, table, columns, read, rows, names, matches: names.match(asked) };
}

function rowsOf(table: LabelTable, { path, sha256 }: Columns, name: string): Row[] {
  return table.rows.map(({ line, cells }) => {
    const where = `${name} ${table.unit} ${line}`;
    const named = path === null ? undefined : textOf(cells[path], `${where}: the path`);
    const hash = sha256 === null ? undefined : textOf(cells[sha256], `${where}: sha256`);
    if (named === undefined && hash === undefined) throw new LabelError(`${where}: no path and no sha256`);
    if (hash !== undefined && !SHA256.test(hash)) {
      throw new LabelError(`${where}: sha256 must be 64 hex digits, not ${hash}`);
    }
    return {
      line,
      ...(named === undefined ? {} : { path: named }),
      ...(hash === undefined ? {} : { sha256: hash.toLowerCase() }),
    };
  });
}

function imageOf({ path, sha256 }: Row, { names, matches }: Source): DataFile | null {
  if (sha256 !== undefined) {
    return { sha256, path: path ?? names.ofContent(sha256)?.path ?? '' };
  }
  const match = matches.get(path ?? '');
  return match !== undefined && 'file' in match ? match.file : null;
}

const known = (text: string | undefined): string | undefined =>
  text !== undefined && MISSING_WORDS.includes(text) ? undefined : text;

/** @returns the split and the group of a row */
function asideOf({ table, columns }: Source, i: number, where: string): Pick<Example, 'split' | 'group'> {
  const cell = (place: number | null, what: string): string | undefined =>
    place === null ? undefined : known(textOf(table.rows[i]?.cells[place], `${where}: the ${what}`));
  const [side, group] = [cell(columns.split, 'split'), cell(columns.group, 'group')];
  const split = side === undefined ? undefined : splitNamed(side);
  if (side !== undefined && split === undefined && !isOpenSplit(side)) {
    throw new LabelError(`${where}: split ${side} is none of ${SPLIT_NAMES}`);
  }
  return { ...(split === undefined ? {} : { split }), ...(group === undefined ? {} : { group }) };
}

/** @throws LabelError for rows without an image, where they are not to be skipped or nothing else is left */
function checkLost(
  lost: readonly { readonly row: Row; readonly source: Source; readonly where: string }[],
  all: number,
  dataDir: string,
  missing: 'error' | 'skip',
  warnings: string[],
): void {
  const [first] = lost;
  if (first === undefined) return;
  const { row, source, where } = first;
  const path = row.path ?? '';
  const match = source.matches.get(path);
  const why = match !== undefined && 'why' in match ? match.why : null;
  const found =
    `${source.name}: ${lost.length} of its ${all} images not found, the first ${path} on ` +
    `${where.slice(source.name.length + 1)} (${why ?? source.names.nearest(path)})`;
  if (lost.length === all) {
    throw new LabelError(
      `${found}: none is in ${dataDir}${missing === 'skip' ? ', so nothing is left to skip to' : ''}; give the folder of the images with --data`,
    );
  }
  if (missing !== 'skip') {
    throw new LabelError(
      `${found}: paths are relative to the label file, then to ${dataDir}; put them right, or use --missing skip`,
    );
  }
  warnings.push(`${found}: skipped`);
}

/** @returns what was understood of a file: `CSV, path from image, label from target; not used: id` */
function toldOf({ table, columns, read }: Source): string {
  const title = (place: number): string => table.columns?.[place] ?? `column ${place + 1}`;
  const from = (what: string, place: number | null): string[] =>
    place === null ? [] : [`${what} from ${title(place)}`];
  const [only] = columns.labels;
  const label =
    columns.labels.length === 1 && only !== undefined ? `label from ${title(only)}${read.how}` : `labels${read.how}`;
  const images = columns.sha256 === null ? from('path', columns.path) : from('content', columns.sha256);
  const parts = [table.kind, ...images, label, ...from('split', columns.split), ...from('group', columns.group)];
  const unused = columns.unused.map(title);
  const shown =
    unused.length > 8 ? `${unused.slice(0, 8).join(', ')} and ${unused.length - 8} more` : unused.join(', ');
  return `${parts.join(', ')}${unused.length > 0 ? `; not used: ${shown}` : ''}`;
}
