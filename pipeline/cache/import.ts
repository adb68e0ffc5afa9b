import { type ImportSetOptions, importSet } from '../../src/commands/cache/index.js';
import { type Arguments, optionsOf } from '../arguments.js';
import { counted, printJson } from '../io.js';
import { Console } from '../progress.js';

export async function run(given: Arguments): Promise<void> {
  const { cache, file } = given.values;
  const result = await importSet(String(cache), String(file), optionsOf<ImportSetOptions>(given));
  const { rows, added, dir } = result;
  Console.of(given).line(`${counted(rows, 'row')}, ${added} of them new -> ${dir}`);
  if (given.values.json) printJson(result);
}
