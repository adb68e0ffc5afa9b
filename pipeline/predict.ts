import { writeFile } from 'node:fs/promises';
import type { Argv, CommandModule } from 'yargs';
import {
  csvHeader,
  csvLine,
  DataError,
  headInfo,
  type Prediction,
  predict,
  predictionFile,
  UsageError,
} from '../src/index.js';
import { interrupt, printJson } from './io.js';
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

/** Lines of text, or one Arrow file: to a file, or to stdout. */
class Sink {
  private readonly kept: Prediction[] = [];
  private readonly lines: string[] = [];

  constructor(
    private readonly format: 'json' | 'csv' | 'arrow' | 'plain',
    private readonly out: string | undefined,
    private readonly classes: readonly string[],
  ) {
    if (format === 'csv') this.line(csvHeader(classes));
  }

  add(prediction: Prediction): void {
    if (this.format === 'arrow') this.kept.push(prediction);
    else if (this.format === 'csv') this.line(csvLine(prediction));
    else if (this.format === 'json' && this.out === undefined) printJson(prediction);
    else if (this.format === 'json') this.line(JSON.stringify(prediction));
    else this.line(`${prediction.path}\t${prediction.label}\t${prediction.score.toFixed(4)}`);
  }

  async end(): Promise<void> {
    const bytes = this.format === 'arrow' ? predictionFile(this.kept, this.classes) : this.lines.join('');
    if (this.out !== undefined) await writeFile(this.out, bytes);
    else if (this.format === 'arrow') process.stdout.write(bytes);
  }

  private line(line: string): void {
    if (this.out === undefined) process.stdout.write(`${line}\n`);
    else this.lines.push(`${line}\n`);
  }
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
    const sink = new Sink(argv.json ? 'json' : (argv.format ?? 'plain'), argv.out, classes);
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
      sink.add(prediction);
    }
    if (count === 0) throw new DataError(`no image could be used in ${paths.join(', ')}`);
    await sink.end();
  },
};
