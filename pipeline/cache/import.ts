import { type ImportSetOptions, importSet } from '../../src/commands/cache/index.js';
import { type Arguments, optionsOf } from '../arguments.js';
import { counted, printJson } from '../io.js';
import { Console } from '../progress.js';

export async function run(given: Arguments): Promise<void> {
  const { cache, file } = given.values;
  const console = Console.of(given);
  const options = { ...optionsOf<ImportSetOptions>(given), onProgress: console.progress };
  const result = await importSet(String(cache), String(file), options);
  const { rows, added, dir } = result;
  console.line(`${counted(rows, 'row')}, ${added} of them new -> ${dir}`);
  if (given.values.json) printJson(result);
}
