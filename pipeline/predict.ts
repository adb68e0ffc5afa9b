import type { Argv, CommandModule } from 'yargs';
import {
  DataError,
  headInfo,
  type Prediction,
  predict,
  predictionChunks,
  UsageError,
  writePredictions,
} from '../src/index.js';
import { interrupt } from './io.js';
import { baseFlags, baseOptions, common, engineFlags, given, showDownload, text } from './options.js';
import { Console } from './progress.js';

const builder = (yargs: Argv) =>
  engineFlags(baseFlags(common(yargs), undefined))
    .positional('paths', { describe: 'image files, or folders of them', string: true, array: true })
    .option('head', { ...text('a head by name or folder'), demandOption: true })
    .option('format', {
      ...text('of the predictions; json is one object a line (default: path, label and score between tabs)'),
      choices: ['json', 'csv', 'arrow'] as const,
    })
    .option('out', text('file of the predictions, in the place of stdout'));

type Arguments = Awaited<ReturnType<ReturnType<typeof builder>['parseAsync']>>;

/** @throws DataError where there is none at all */
async function* some(predictions: AsyncIterable<Prediction>, paths: readonly string[]): AsyncGenerator<Prediction> {
  let count = 0;
  for await (const prediction of predictions) {
    count++;
    yield prediction;
  }
  if (count === 0) throw new DataError(`no image could be used in ${paths.join(', ')}`);
}

export const predictCommand: CommandModule<object, Arguments> = {
  command: 'predict <paths..>',
  describe: 'classify images with a head: one line an image',
  builder: builder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const paths = (argv.paths ?? []).map(String);
    if (paths.length === 0) throw new UsageError('give image files or folders to predict');
    if (argv.json && argv.format !== undefined && argv.format !== 'json') {
      throw new UsageError(`--json asks for another format than --format ${argv.format}: give one of the two`);
    }
    const { classes } = await headInfo(argv.head, argv.cache);
    const format = argv.json ? 'json' : (argv.format ?? 'plain');
    const predictions = predict({
      ...baseOptions(argv), // the head knows its base; one is only looked for where it is named
      ...given({ threads: argv.threads, batchSize: argv.batchSize }),
      paths,
      head: argv.head,
      cache: argv.cache,
      engine: argv.engine,
      device: argv.device,
      signal: interrupt(),
      onDownload: showDownload(console),
      onWarning: (message) => console.line(message),
    });
    if (argv.out !== undefined) {
      await writePredictions(argv.out, some(predictions, paths), classes, format);
      return;
    }
    for await (const chunk of predictionChunks(some(predictions, paths), classes, format)) process.stdout.write(chunk);
  },
};
