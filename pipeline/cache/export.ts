import { type ExportSetOptions, exportSet } from '../../src/commands/cache/index.js';
import { type Arguments, optionsOf } from '../arguments.js';
import { counted, printJson } from '../io.js';
import { Console } from '../progress.js';

export async function run(given: Arguments): Promise<void> {
  const { cache, set } = given.values;
  const console = Console.of(given);
  const options = { ...optionsOf<ExportSetOptions>(given), onProgress: console.progress };
  const result = await exportSet(String(cache), String(set), options);
  const ids = result.ids === null ? '' : `, its rows' hashes in ${result.ids}`;
  console.line(`${counted(result.images, 'image')} x ${result.dim} -> ${result.out}${ids}`);
  if (given.values.json) printJson(result);
}
