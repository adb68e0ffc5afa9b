import { headInfo, type Prediction, type PredictOptions, predict } from '../src/commands/predict.js';
import { type PredictionFormat, predictionChunks, writePredictions } from '../src/commands/prediction-table.js';
import { DataError, UsageError } from '../src/errors.js';
import { type Arguments, optionsOf } from './arguments.js';
import { interrupt, shownNames } from './io.js';
import { Console } from './progress.js';

/** @throws DataError where there is none at all */
async function* some(predictions: AsyncIterable<Prediction>, named: string): AsyncGenerator<Prediction> {
  let count = 0;
  for await (const prediction of predictions) {
    count++;
    yield prediction;
  }
  if (count === 0) throw new DataError(`no image could be used in ${named}`);
}

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const options = optionsOf<PredictOptions>(given);
  const { json, out } = given.values;
  const format = json && !given.typed.has('format') ? 'json' : (given.values.format as PredictionFormat);
  if (json && format !== 'json') {
    throw new UsageError(`--json asks for another format than --format ${format}: give one of the two`);
  }
  const { classes } = await headInfo(options.head, options.cache);
  const predictions = predict({
    ...options, // the head knows its base; one is only looked for where it is named
    signal: interrupt(),
    onDownload: console.download,
    onWarning: (message) => console.line(message),
  });
  const used = some(predictions, shownNames(options));
  if (out !== undefined) await writePredictions(String(out), used, classes, format);
  else for await (const chunk of predictionChunks(used, classes, format)) process.stdout.write(chunk);
}
