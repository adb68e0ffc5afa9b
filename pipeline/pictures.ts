import type { EpochRecord } from '../src/train/run.js';
import { table } from './table.js';

/** Columns that every terminal has. */
const ROOM = 80;
/** Letters of a class's name, at most and at least, over its column. */
const NAME = { most: 20, least: 6, row: 24 };
const INDENT = '  ';

const cut = (name: string, length: number): string => (name.length > length ? `${name.slice(0, length - 1)}…` : name);

/**
 * @returns a table of images by class and answer that fits into 80 columns: with names over the columns where there is room, else with the
 *   numbers that stand before the names of the rows; null where that does not fit either
 */
export function confusionPicture(classes: readonly string[], matrix: readonly (readonly number[])[]): string[] | null {
  const drawn = (rows: readonly string[], heads: readonly string[]): string[] =>
    table(
      ['is \\ said', ...heads],
      matrix.map((counts, i) => ({ cells: [rows[i] ?? '', ...counts.map(String)] })),
    ).map((line) => `${INDENT}${line}`);
  const fits = (lines: readonly string[]): boolean => lines.every((line) => line.length <= ROOM);
  const rows = classes.map((name) => cut(name, NAME.row));
  const longest = Math.min(NAME.most, Math.max(...classes.map((name) => name.length)));
  for (let length = longest; length >= Math.min(longest, NAME.least); length--) {
    const heads = classes.map((name) => cut(name, length));
    const lines = drawn(rows, heads);
    if (new Set(heads).size === heads.length && fits(lines)) return lines;
  }
  const numbers = classes.map((_, i) => String(i + 1));
  const width = String(classes.length).length;
  const numbered = drawn(
    rows.map((name, i) => `${numbers[i]?.padStart(width)} ${name}`),
    numbers,
  );
  return fits(numbered) ? numbered : null;
}

const STEPS = '▁▂▃▄▅▆▇█';
/** Columns of a curve, and epochs that say something. */
const CURVE = { columns: 26, least: 3 };

/** @returns values as a line of blocks from the least to the greatest of `ends`, several to a column where they are many */
function blocks(values: readonly number[], [least, most]: readonly [number, number]): string {
  const columns = Math.min(values.length, CURVE.columns);
  return Array.from({ length: columns }, (_, i) => {
    const some = values.slice(
      Math.floor((i * values.length) / columns),
      Math.floor(((i + 1) * values.length) / columns),
    );
    const mean = some.reduce((a, b) => a + b, 0) / some.length;
    const step = most > least ? Math.round(((mean - least) / (most - least)) * (STEPS.length - 1)) : 0;
    return STEPS[step] ?? '';
  }).join('');
}

/** @returns the losses of a training by epoch, on one scale, a line each; none where there are too few to see anything */
export function curveLines(history: readonly EpochRecord[]): string[] {
  const losses = history.map(({ loss }) => loss);
  const val = history.flatMap(({ valLoss }) => valLoss ?? []);
  const all = [...losses, ...val];
  if (losses.length < CURVE.least || !all.every(Number.isFinite)) return [];
  const ends = [Math.min(...all), Math.max(...all)] as const;
  const said = (value: number | undefined): string => (value ?? Number.NaN).toPrecision(3);
  const line = (name: string, values: readonly number[], more = ''): string =>
    `${INDENT}${name.padEnd(10)} ${said(values[0])} ${blocks(values, ends)} ${said(values.at(-1))}${more}`;
  if (val.length < losses.length) return [line('loss', losses)];
  const least = Math.min(...val);
  const epoch = history[val.indexOf(least)]?.epoch;
  return [line('loss', losses), line('validation', val, `, least ${said(least)} at epoch ${epoch}`)];
}
