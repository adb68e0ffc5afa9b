import { LabelError } from '../errors.js';
import { type Cell, isNumber } from './cell.js';
import { isIndexName, isLabelName, isPathName, labelRank, pathRank, plainName } from './column-names.js';
import { isOpenSplit, splitNamed } from './splits.js';
import { IMAGE_NAME, type LabelTable, type TableRow } from './table.js';

/** Names of columns, in the place of a guess. */
export interface ColumnOptions {
  /** Default: the column whose cells name images, of several the one that is called so. */
  readonly pathColumn?: string;
  /** Default: the one that is called label, class, target, …, or all that hold 0 and 1, or the only one that is left. */
  readonly labelColumn?: string;
  /** Default: `group`. */
  readonly groupColumn?: string;
  /** Default: `split`, or one called subset, set, phase or partition that holds nothing but names of splits. */
  readonly splitColumn?: string;
}

/** Which columns say what, by their places. */
export interface Columns {
  readonly path: number | null;
  readonly sha256: number | null;
  /** One; or several of 0 and 1, each a class. */
  readonly labels: readonly number[];
  readonly split: number | null;
  readonly group: number | null;
  /** The rest, for people. */
  readonly unused: readonly number[];
}

/** Rows that a guess looks at. */
const LOOKED_AT = 1000;
/** Columns of Label Studio's short exports that say who annotated and when. */
const BOOKKEEPING = ['id', 'annotator', 'annotation_id', 'created_at', 'updated_at', 'lead_time'];
const SPLIT_COLUMNS = ['subset', 'set', 'phase', 'partition'];

/**
 * @param mayName whether a text may be the name of an image here
 * @param name of the file, for messages
 * @throws LabelError where no guess is plain, naming the columns
 */
export function findColumns(
  table: LabelTable,
  options: ColumnOptions,
  mayName: (text: string) => boolean,
  name: string,
): Columns {
  const width = table.rows.reduce((most, { cells }) => Math.max(most, cells.length), table.columns?.length ?? 0);
  const titles = Array.from({ length: width }, (_, k) => table.columns?.[k] ?? `${k + 1}`);
  const rows = table.rows.slice(0, LOOKED_AT);
  const given = (flag: string, asked: string | undefined): number | null => {
    if (asked === undefined) return null;
    const place = titles.indexOf(asked);
    const found = place >= 0 ? place : titles.findIndex((title) => plainName(title) === plainName(asked));
    if (found >= 0) return found;
    throw new LabelError(`${name} has no column ${asked} for ${flag}: it has ${titles.join(', ')}`);
  };
  const asked = {
    path: given('--path-column', options.pathColumn),
    label: given('--label-column', options.labelColumn),
    group: given('--group-column', options.groupColumn),
    split: given('--split-column', options.splitColumn),
  };
  const used = new Set<number>(Object.values(asked).filter((place) => place !== null));
  const called = (title: string): number => titles.findIndex((one, k) => !used.has(k) && plainName(one) === title);
  const claim = (place: number): number | null => {
    if (place < 0) return null;
    const twice = titles.findIndex((title, k) => k > place && plainName(title) === plainName(titles[place] ?? ''));
    if (table.columns !== null && twice >= 0) {
      throw new LabelError(`${name} line 1: two columns are called ${titles[place]}`);
    }
    used.add(place);
    return place;
  };

  const bySha = table.columns === null ? shaColumn(rows, width) : called('sha256');
  const sha256 = claim(asked.path === null || bySha >= 0 ? bySha : -1);
  const path = asked.path ?? claim(pathColumn(rows, titles, used, mayName));
  if (path === null && sha256 === null) {
    throw new LabelError(
      `${name} line 1: expected a header with path or sha256, and label, found ${titles.join(', ')}; or give --path-column`,
    );
  }
  const split = asked.split ?? claim(splitColumn(rows, titles, used));
  const group = asked.group ?? claim(called('group'));
  const names = titles.map(plainName);
  const short = names.includes('annotation_id') && names.includes('lead_time') ? BOOKKEEPING : [];
  const labels =
    asked.label === null
      ? labelColumns(rows, titles, used, [...short, ...(table.bookkeeping ?? []).map(plainName)], name)
      : [asked.label];
  for (const place of labels) used.add(place);
  const unused = titles.flatMap((title, k) =>
    used.has(k) || isIndexName(title) || short.includes(plainName(title)) ? [] : [k],
  );
  return { path, sha256, labels, split, group, unused };
}

const textsOf = (rows: readonly TableRow[], k: number): string[] =>
  rows.flatMap(({ cells }) => {
    const cell: Cell | undefined = cells[k];
    return typeof cell === 'string' && cell !== '' ? [cell] : [];
  });

const shaColumn = (rows: readonly TableRow[], width: number): number =>
  Array.from({ length: width }, (_, k) => textsOf(rows, k)).findIndex(
    (texts) => texts.length > 0 && texts.every((text) => /^[0-9a-f]{64}$/i.test(text)),
  );

/** By content and name: the column half of whose cells name files here, or look like names of images. */
function pathColumn(
  rows: readonly TableRow[],
  titles: readonly string[],
  used: ReadonlySet<number>,
  mayName: (text: string) => boolean,
): number {
  const open = titles.flatMap((title, k) => {
    if (used.has(k)) return [];
    const texts = textsOf(rows, k);
    const share = (is: (text: string) => boolean): number => texts.filter(is).length / Math.max(texts.length, 1);
    const names = share(mayName);
    const looks = share((text) => IMAGE_NAME.test(text));
    return [{ k, rank: pathRank(title), called: isPathName(title), label: isLabelName(title), names, looks }];
  });
  const named = (one: (typeof open)[number]): boolean => one.names >= 0.5;
  const looking = (one: (typeof open)[number]): boolean => one.looks >= 0.5;
  // A label may be the name of some file too, without its ending, so columns that are called so come first.
  const kinds = [
    open.filter((one) => one.called && named(one)),
    open.filter((one) => one.called && looking(one)),
    open.filter((one) => !one.label && named(one)),
    open.filter((one) => !one.label && looking(one)),
    open.filter((one) => one.called),
  ];
  const best = kinds.find((some) => some.length > 0)?.sort((a, b) => a.rank - b.rank || b.names - a.names);
  return best?.[0]?.k ?? -1;
}

function splitColumn(rows: readonly TableRow[], titles: readonly string[], used: ReadonlySet<number>): number {
  const open = titles.flatMap((title, k) => (used.has(k) ? [] : [{ k, title: plainName(title) }]));
  const plain = open.find(({ title }) => title === 'split');
  if (plain !== undefined) return plain.k;
  const found = open.find(({ k, title }) => {
    const texts = textsOf(rows, k);
    const isSplit = (text: string): boolean => splitNamed(text) !== undefined || isOpenSplit(text);
    return SPLIT_COLUMNS.includes(title) && texts.length > 0 && texts.every(isSplit);
  });
  return found?.k ?? -1;
}

/** @param aside names of columns that hold no label */
function labelColumns(
  rows: readonly TableRow[],
  titles: readonly string[],
  used: ReadonlySet<number>,
  aside: readonly string[],
  name: string,
): readonly number[] {
  const open = titles.flatMap((title, k) =>
    used.has(k) || isIndexName(title) || aside.includes(plainName(title)) ? [] : [k],
  );
  const titled = open
    .filter((k) => isLabelName(titles[k] ?? ''))
    .sort((a, b) => labelRank(titles[a] ?? '') - labelRank(titles[b] ?? ''));
  const [first] = titled;
  const shares = open.filter((k) => isShares(textsOf(rows, k)));
  // Among columns of classes y is one of them.
  if (
    first !== undefined &&
    plainName(titles[first] ?? '') === 'y' &&
    shares.length === open.length &&
    open.length > 1
  ) {
    return shares;
  }
  if (first !== undefined) {
    const title = plainName(titles[first] ?? '');
    if (titled.some((k) => k !== first && plainName(titles[k] ?? '') === title)) {
      throw new LabelError(`${name} line 1: two columns are called ${titles[first]}`);
    }
    return [first];
  }
  if (open.length === 1) return open;
  if (areClasses(rows, shares, open.length - shares.length)) return shares;
  if (open.length === 0) {
    throw new LabelError(
      `${name} line 1: expected a header with path or sha256, and label, found ${titles.join(', ')}`,
    );
  }
  throw new LabelError(
    `${name}: which column holds the label, ${open.map((k) => titles[k]).join(', ')}? Give --label-column`,
  );
}

/** Beside other columns, numbers from 0 to 1 may be measurements: there only many columns of 0 and 1 are plain. */
function areClasses(rows: readonly TableRow[], shares: readonly number[], others: number): boolean {
  if (shares.length < 2) return false;
  const hard = shares.every((k) => textsOf(rows, k).every((text) => [-1, 0, 1].includes(shareOf(text) ?? Number.NaN)));
  return others === 0 || (hard && shares.length >= 2 * others);
}

/** @returns whether all texts are 0 or 1, -1 or 1, or shares between */
export function isShares(texts: readonly string[]): boolean {
  if (texts.length === 0) return false;
  const values = texts.map(shareOf);
  if (values.every((value) => value !== null && value >= 0 && value <= 1)) return true;
  return values.every((value) => value === -1 || value === 1);
}

/** @returns the number of a cell of one class among columns; null for what is none */
export function shareOf(text: string): number | null {
  const word = text.toLowerCase();
  if (word === 'true') return 1;
  if (word === 'false') return 0;
  return isNumber(text) ? Number(text) : null;
}
