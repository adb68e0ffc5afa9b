import { type ListedBase, listBases } from '../src/base/index.js';
import type { Arguments } from './arguments.js';
import { printJson } from './io.js';

const COLUMNS: readonly (readonly [head: string, cell: (base: ListedBase) => string])[] = [
  ['base', ({ name }) => name],
  ['parameters', ({ parameters }) => `${(parameters / 1e6).toFixed(1)} M`],
  ['weights', ({ megabytes }) => `${megabytes.toFixed(megabytes < 10 ? 1 : 0)} MB`],
  ['input', ({ inputSize }) => String(inputSize)],
  ['least', ({ minSize }) => String(minSize)],
  ['features', ({ features }) => String(features)],
  ['preprocess', ({ preprocess }) => preprocess],
  ['--alpha', ({ alphas }) => alphas.join(' ')],
];

/** Columns side by side, numbers to the right. */
function table(bases: readonly ListedBase[]): string {
  const rows = [COLUMNS.map(([head]) => head), ...bases.map((base) => COLUMNS.map(([, cell]) => cell(base)))];
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const isText = (i: number): boolean => i === 0 || i >= 6;
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (isText(i) ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}

export async function run({ values }: Arguments): Promise<void> {
  const bases = await listBases();
  if (values.json) printJson(bases);
  else process.stdout.write(table(bases));
}
