import path from 'node:path';
import { type ExplainOptions, explain } from '../src/commands/explain.js';
import { plain } from '../src/plain.js';
import { type Arguments, optionsOf } from './arguments.js';
import { ImageResults } from './image-results.js';
import { interrupt, printJson } from './io.js';
import { Console } from './progress.js';

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const options = optionsOf<ExplainOptions>(given);
  const told = new ImageResults(console, process.stdout.isTTY);
  const results = explain({
    ...options, // the head knows its base; one is only looked for where it is named
    signal: interrupt(),
    onDownload: console.download,
    onWarning: told.onWarning,
    onProgress: told.onProgress,
  });
  for await (const result of told.counted(results, options)) {
    if (given.values.json) printJson(result);
    else if (result.error !== undefined) process.stdout.write(`${plain(result.path)}\t\t${plain(result.error)}\n`);
    else {
      const { label, score, pictures } = result;
      const drawn = pictures.map(({ out }) => path.relative('', out));
      process.stdout.write(`${[result.path, label, score.toFixed(4), ...drawn].map(plain).join('\t')}\n`);
    }
  }
  told.end(`explained with ${options.head}`, options.out ?? 'explained');
}
