import { findHead, type PredictOptions, predict } from '../src/commands/predict.js';
import {
  formatOfFile,
  type PredictionFormat,
  predictionChunks,
  writePredictions,
} from '../src/commands/prediction-table.js';
import type { Sorted } from '../src/commands/sort-into.js';
import { usage } from '../src/options/check.js';
import { type Arguments, optionsOf } from './arguments.js';
import { ImageResults } from './image-results.js';
import { counted, interrupt, reader } from './io.js';
import { Console } from './progress.js';

/** @throws UsageError where `--json`, `--format` and the ending of `--out` ask for different ones */
function formatOf({ values, typed }: Arguments): PredictionFormat {
  const { json, out } = values;
  const given = typed.has('format') ? (values.format as PredictionFormat) : undefined;
  const byEnding = out === undefined ? undefined : formatOfFile(String(out));
  const asked = json ? 'jsonl' : given;
  if (json && given !== undefined && given !== 'jsonl') {
    throw usage('{json} asks for another format than {format} %: give one of the two', given);
  }
  if (asked !== undefined && byEnding !== undefined && asked !== byEnding) {
    throw usage(`% ends as a file of ${byEnding} and would hold ${asked}: give one of the two`, String(out));
  }
  return asked ?? byEnding ?? 'plain';
}

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const options = optionsOf<PredictOptions>(given);
  const { out } = given.values;
  const format = formatOf(given);
  const head = await findHead(options.head, options.cache);
  const told = new ImageResults(console, out === undefined && process.stdout.isTTY);
  reader.isAll = options.sortInto === undefined;
  let sorted: Sorted | undefined;
  const hooks = {
    signal: interrupt(),
    onDownload: console.download,
    onWarning: told.onWarning,
    onProgress: told.onProgress,
    onSorted: (found: Sorted) => {
      sorted = found;
    },
  };
  // The head knows its base; one is only looked for where it is named.
  const predictions = predict({ ...options, ...hooks }, head);
  const all = told.counted(predictions, options);
  const { classes, coverage } = head.info;
  const table = { classes, top: options.top, sets: coverage !== null, format };
  if (out !== undefined) await writePredictions(String(out), all, table);
  else for await (const chunk of predictionChunks(all, table)) if (!reader.isGone) process.stdout.write(chunk);
  if (sorted !== undefined) for (const line of sortedLines(sorted)) console.line(line);
  told.end(`predicted with ${options.head}`, out);
}

/** Classes that are named. */
const SHOWN = 12;

function sortedLines({ dir, classes, linked, copied, there, renamed, elsewhere, unsaid }: Sorted): string[] {
  const files = classes.map((one) => `${one.label}: ${one.files}`);
  const shown = files.length <= SHOWN ? files.join(', ') : `${files.length} classes`;
  const how = [
    ...(linked > 0 ? [`${linked} linked`] : []),
    ...(copied > 0 ? [`${copied} copied`] : []),
    ...(there > 0 ? [`${there} there already`] : []),
    ...(unsaid > 0 ? [`${counted(unsaid, 'image')} without a label left out`] : []),
  ];
  return [
    `sorted into ${dir}; ${[...(shown === '' ? [] : [shown]), how.join(', ')].join('; ')}`,
    ...(renamed > 0 ? [`${renamed} of them have digits behind their names, as another image has the name`] : []),
    ...(elsewhere > 0
      ? [`${elsewhere} of them lie in the folder of another class too, from an earlier run: sort into an empty folder`]
      : []),
  ];
}
