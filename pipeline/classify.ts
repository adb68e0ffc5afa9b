import { type ClassifyOptions, type ClassScore, classify } from '../src/commands/classify.js';
import { DataError } from '../src/errors.js';
import { plain } from '../src/plain.js';
import { type Arguments, optionsOf } from './arguments.js';
import { interrupt, printJson, shownNames } from './io.js';
import { Console } from './progress.js';

const described = ({ index, label, score }: ClassScore): string => `${label ?? index} ${score.toFixed(4)}`;

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const options = optionsOf<ClassifyOptions>(given);
  const results = classify({
    ...options,
    signal: interrupt(),
    onDownload: console.download,
    onWarning: (message) => console.line(message),
  });
  let count = 0;
  for await (const result of results) {
    count++;
    if (given.values.json) printJson(result);
    else process.stdout.write(`${[result.path, ...result.top.map(described)].map(plain).join('\t')}\n`);
  }
  if (count === 0) throw new DataError(`no image could be used in ${shownNames(options)}`);
}
