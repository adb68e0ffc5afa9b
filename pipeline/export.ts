import { type ExportOptions, exportHead } from '../src/commands/export.js';
import { type Arguments, optionsOf } from './arguments.js';
import { interrupt, printJson } from './io.js';
import { Console } from './progress.js';

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const options = optionsOf<ExportOptions>(given);
  console.status(`${options.head} is written as ${options.format}`);
  const result = await exportHead({ ...options, signal: interrupt(), onDownload: console.download });
  console.line(`[${result.input.join(', ')}] to ${result.classes.join(' / ') || 'a number'} -> ${result.out}`);
  if (result.reused) console.line('the same bytes were there already: reused');
  if (given.values.json) printJson(result);
}
