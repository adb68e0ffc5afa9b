import { type ClassifyOptions, type ClassScore, classify } from '../src/commands/classify.js';
import { plain } from '../src/plain.js';
import { type Arguments, optionsOf } from './arguments.js';
import { ImageResults } from './image-results.js';
import { interrupt, printJson } from './io.js';
import { Console } from './progress.js';

const described = ({ index, label, score }: ClassScore): string => `${label ?? index} ${score.toFixed(4)}`;

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const options = optionsOf<ClassifyOptions>(given);
  const told = new ImageResults(console, process.stdout.isTTY);
  const results = classify({
    ...options,
    signal: interrupt(),
    onDownload: console.download,
    onWarning: told.onWarning,
    onProgress: told.onProgress,
  });
  for await (const result of told.counted(results, options)) {
    if (given.values.json) printJson(result);
    else {
      const cells = result.error === undefined ? result.top.map(described) : ['', result.error];
      process.stdout.write(`${[result.path, ...cells].map(plain).join('\t')}\n`);
    }
  }
  told.end(`classified with ${options.base}`);
}
