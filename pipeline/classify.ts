import type { Argv, CommandModule } from 'yargs';
import { type ClassScore, classify, DataError, UsageError } from '../src/index.js';
import { interrupt, printJson } from './io.js';
import { baseFlags, baseOptions, common, engineFlags, given, numberOption, showDownload } from './options.js';
import { Console } from './progress.js';

const builder = (yargs: Argv) =>
  engineFlags(baseFlags(common(yargs), undefined))
    .positional('paths', { describe: 'image files, or folders of them', string: true, array: true })
    .option('top', numberOption('classes an image', { min: 1, max: 1_000_000, whole: true, fallback: 5 }))
    .demandOption('base');

type Arguments = Awaited<ReturnType<ReturnType<typeof builder>['parseAsync']>>;

const described = ({ index, label, score }: ClassScore): string => `${label ?? index} ${score.toFixed(4)}`;

export const classifyCommand: CommandModule<object, Arguments> = {
  command: 'classify <paths..>',
  describe: 'classify images with the classifier that a base was trained with: one line an image',
  builder: builder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const paths = (argv.paths ?? []).map(String);
    if (paths.length === 0) throw new UsageError('give image files or folders to classify');
    const results = classify({
      ...baseOptions({ ...argv, base: argv.base ?? '' }),
      ...given({ threads: argv.threads, batchSize: argv.batchSize, top: argv.top }),
      paths,
      engine: argv.engine,
      device: argv.device,
      signal: interrupt(),
      onDownload: showDownload(console),
      onWarning: (message) => console.line(message),
    });
    let count = 0;
    for await (const result of results) {
      count++;
      if (argv.json) printJson(result);
      else process.stdout.write(`${result.path}\t${result.top.map(described).join('\t')}\n`);
    }
    if (count === 0) throw new DataError(`no image could be used in ${paths.join(', ')}`);
  },
};
