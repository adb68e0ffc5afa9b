import type { Argv, CommandModule } from 'yargs';
import { DataError, predict, UsageError } from '../src/index.js';
import { interrupt, printJson } from './io.js';
import { baseFlags, baseOptions, common, engineFlags, given, showDownload } from './options.js';
import { Console } from './progress.js';

const builder = (yargs: Argv) =>
  engineFlags(baseFlags(common(yargs), undefined))
    .positional('paths', { describe: 'image files, or folders of them', string: true, array: true })
    .option('head', { describe: 'a head by name or folder', string: true, requiresArg: true, demandOption: true });

type Arguments = Awaited<ReturnType<ReturnType<typeof builder>['parseAsync']>>;

export const predictCommand: CommandModule<object, Arguments> = {
  command: 'predict <paths..>',
  describe: 'classify images with a head: one line an image',
  builder: builder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const paths = (argv.paths ?? []).map(String);
    if (paths.length === 0) throw new UsageError('give image files or folders to predict');
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
    let count = 0;
    for await (const prediction of predictions) {
      count++;
      if (argv.json) printJson(prediction);
      else process.stdout.write(`${prediction.path}\t${prediction.label}\t${prediction.score.toFixed(4)}\n`);
    }
    if (count === 0) throw new DataError(`no image could be used in ${paths.join(', ')}`);
  },
};
