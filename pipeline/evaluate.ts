import { type EvaluateOptions, evaluate } from '../src/commands/evaluate.js';
import { formatOfFile, writeErrors } from '../src/commands/prediction-table.js';
import { tryOutput } from '../src/files/index.js';
import { type Arguments, optionsOf } from './arguments.js';
import { counted, interrupt, printJson } from './io.js';
import { confusion, metricsLine } from './outcome.js';
import { Console } from './progress.js';

/** Classes whose confusion is shown. */
const SHOWN = 12;

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const errors = given.values.errors === undefined ? undefined : String(given.values.errors);
  if (errors !== undefined) {
    formatOfFile(errors, 'errors');
    await tryOutput(errors);
  }
  const result = await evaluate({
    ...optionsOf<EvaluateOptions>(given),
    signal: interrupt(),
    onLabels: (message) => console.line(message),
    onWarning: (message) => console.line(`note: ${message}`),
  });
  const { head, images, metrics, classes, wrong } = result;
  console.line(`${head} on ${counted(images, 'image')}: ${metricsLine(metrics)}`);
  if (result.confusion !== null && classes.length <= SHOWN)
    for (const line of confusion(classes, result.confusion)) console.line(line);
  if (errors !== undefined) {
    await writeErrors(errors, wrong, classes);
    console.line(`${counted(wrong.length, 'wrong image')} -> ${errors}`);
  }
  const { wrong: _, ...json } = result;
  if (given.values.json) printJson(json);
}
