import { type EvaluateOptions, evaluate } from '../src/commands/evaluate.js';
import { writeOutput } from '../src/files/index.js';
import { csvField } from '../src/formats/csv.js';
import { type Arguments, optionsOf } from './arguments.js';
import { counted, interrupt, printJson } from './io.js';
import { confusion, metricsLine } from './outcome.js';
import { Console } from './progress.js';

/** Classes whose confusion is shown. */
const SHOWN = 12;

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
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
  if (given.values.errors !== undefined) {
    const rows = wrong.map(({ path, is, label, score, scores }) => [
      path,
      is,
      label,
      score,
      ...scores.map((one) => one.score),
    ]);
    const lines = [['path', 'is', 'label', 'score', ...classes], ...rows].map((row) => row.map(csvField).join(','));
    await writeOutput(String(given.values.errors), [Buffer.from(`${lines.join('\n')}\n`)]);
    console.line(`${counted(wrong.length, 'wrong image')} -> ${given.values.errors}`);
  }
  const { wrong: _, ...json } = result;
  if (given.values.json) printJson(json);
}
