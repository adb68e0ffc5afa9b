import { headInfo, type PredictOptions, predict } from '../src/commands/predict.js';
import {
  formatOfFile,
  type PredictionFormat,
  predictionChunks,
  writePredictions,
} from '../src/commands/prediction-table.js';
import { UsageError } from '../src/errors.js';
import { type Arguments, optionsOf } from './arguments.js';
import { ImageResults } from './image-results.js';
import { interrupt } from './io.js';
import { Console } from './progress.js';

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const options = optionsOf<PredictOptions>(given);
  const { json, out } = given.values;
  const asked = given.values.format as PredictionFormat;
  const byEnding = out === undefined ? asked : formatOfFile(String(out));
  const format = given.typed.has('format') ? asked : json ? 'json' : byEnding;
  if (json && format !== 'json') {
    throw new UsageError(`--json asks for another format than --format ${format}: give one of the two`);
  }
  const { classes } = await headInfo(options.head, options.cache);
  const told = new ImageResults(console, out === undefined && process.stdout.isTTY);
  const predictions = predict({
    ...options, // the head knows its base; one is only looked for where it is named
    signal: interrupt(),
    onDownload: console.download,
    onWarning: told.onWarning,
    onProgress: told.onProgress,
  });
  const used = told.counted(predictions, options);
  if (out !== undefined) await writePredictions(String(out), used, classes, format);
  else for await (const chunk of predictionChunks(used, classes, format)) process.stdout.write(chunk);
  told.end(`predicted with ${options.head}`, out);
}
