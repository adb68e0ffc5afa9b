import { type EvaluateOptions, type Evaluation, evaluate } from '../src/commands/evaluate.js';
import { headInfo } from '../src/commands/predict.js';
import { formatOfFile, writeErrors } from '../src/commands/prediction-table.js';
import { tryOutput } from '../src/files/index.js';
import type { Coverage } from '../src/metrics/conformal.js';
import { usage } from '../src/options/check.js';
import { type Arguments, optionsOf } from './arguments.js';
import { counted, interrupt, printJson } from './io.js';
import { confused, eachClass, metricsLine, percent, reportLine, seenLine } from './outcome.js';
import { Console } from './progress.js';

/** Tries where the wrong images go, before any is measured. */
async function tryErrors(file: string, { head, cache }: EvaluateOptions): Promise<void> {
  formatOfFile(file, 'errors');
  const { task } = await headInfo(head, cache);
  if (task === 'regression') throw usage('{errors} lists wrong classes, and this head says numbers: leave it out');
  await tryOutput(file);
}

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const options = optionsOf<EvaluateOptions>(given);
  const errors = given.values.errors === undefined ? undefined : String(given.values.errors);
  if (errors !== undefined) await tryErrors(errors, options);
  const result = await evaluate({
    ...options,
    signal: interrupt(),
    onLabels: (message) => console.line(message),
    onWarning: (message) => console.line(`note: ${message}`),
  });
  const { head, images, metrics, classes, wrong } = result;
  console.line(`${head} on ${counted(images, 'image')}: ${metricsLine(metrics)}`);
  console.line(seenLine('the head', result));
  if ('classes' in metrics) {
    for (const line of [...eachClass(classes, metrics), ...confused(classes, metrics)]) console.line(line);
  }
  if (result.coverage !== undefined) console.line(coverageLine(result.coverage));
  if (errors !== undefined) {
    await writeErrors(errors, wrong, classes);
    console.line(`${counted(wrong.length, 'wrong image')} -> ${errors}`);
  }
  console.line(`see them: ${reportLine(head, String(given.values.path), given)}`);
  if (given.values.json) printJson(evaluationJson(result));
}

/** What is said beside the metrics is not said in them again. */
function evaluationJson({ wrong: _, ...json }: Evaluation): object {
  const metrics = Object.entries(json.metrics).filter(([name]) => name !== 'intervals' && name !== 'confusion');
  return { ...json, metrics: Object.fromEntries(metrics) };
}

/** How sets of classes do. */
function coverageLine({ level, found, interval, meanSize, empty }: Coverage): string {
  const ends = interval === null ? '' : ` [${interval.map((end) => (100 * end).toFixed(1)).join(', ')}]`;
  const none = empty > 0 ? `, ${percent(empty)} empty` : '';
  return `sets at ${percent(level)}: hold the class of ${percent(found)}${ends} of images, ${meanSize.toFixed(2)} classes each${none}`;
}
