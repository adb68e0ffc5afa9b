import { type ListedBase, listBases } from '../src/base/index.js';
import type { Arguments } from './arguments.js';
import { printJson } from './io.js';
import { table } from './table.js';

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

export async function run({ values }: Arguments): Promise<void> {
  const bases = await listBases();
  if (values.json) printJson(bases);
  else {
    const rows = bases.map((base) => ({ cells: COLUMNS.map(([, cell]) => cell(base)) }));
    const lines = table(
      COLUMNS.map(([head]) => head),
      rows,
    );
    process.stdout.write(`${lines.join('\n')}\n`);
  }
}
