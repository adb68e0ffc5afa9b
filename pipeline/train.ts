import type { Argv, CommandModule } from 'yargs';
import { type TrainResult, train } from '../src/index.js';
import { interrupt, printJson } from './io.js';
import { baseFlags, baseOptions, common, given, numberOption, showDownload } from './options.js';
import { Console } from './progress.js';

const builder = (yargs: Argv) =>
  baseFlags(common(yargs), 'xception-mini')
    .option('data', {
      describe: 'folder of images, a folder a class',
      string: true,
      requiresArg: true,
      demandOption: true,
    })
    .option('features', { describe: 'a feature set, in the place of --base', string: true, requiresArg: true })
    .option('labels', { describe: 'CSV or JSONL file of labels', string: true, requiresArg: true })
    .option('val', numberOption('share of validation', { min: 0, max: 0.99, fallback: 0.2 }))
    .option('missing', {
      describe: 'labelled images without vectors',
      requiresArg: true,
      choices: ['error', 'skip'] as const,
      default: 'error' as const,
    })
    .option('name', { describe: 'name of the head', string: true, requiresArg: true })
    .option('out', { describe: 'folder of the head', string: true, requiresArg: true })
    .option('epochs', numberOption('most epochs', { min: 1, max: 1e6, whole: true, fallback: 300 }))
    .option('batch-size', numberOption('vectors a step', { min: 1, max: 65_536, whole: true, fallback: 32 }))
    .option('learning-rate', numberOption('of Adam', { min: 1e-12, max: 1000, fallback: 0.001 }))
    .option('l2', numberOption('penalty on squared weights', { min: 0, max: 1e6, fallback: 0 }))
    .option('patience', numberOption('epochs without a better one', { min: 1, max: 1e6, whole: true, fallback: 10 }))
    .option('scale', {
      describe: 'of the vectors',
      requiresArg: true,
      choices: ['none', 'standard', 'l2'] as const,
      default: 'none' as const,
    })
    .option(
      'seed',
      numberOption('seed of split, order and weights', { min: 0, max: 2 ** 53 - 1, whole: true, fallback: 0 }),
    );

type Arguments = Awaited<ReturnType<ReturnType<typeof builder>['parseAsync']>>;

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** What people read at the end. */
function report(result: TrainResult): string[] {
  const { classes, metrics, majority, epochs, bestEpoch, seconds } = result;
  const lines = [
    `${result.task} head ${classes.join(' / ')}: ${result.train} images to train on, ${result.val} to validate, ` +
      `best of ${epochs} epochs is ${bestEpoch}, ${seconds.toFixed(1)} s`,
  ];
  if (metrics) {
    const auc = metrics.auc === null ? '' : `, AUC ${metrics.auc.toFixed(3)}`;
    lines.push(
      `validation: accuracy ${percent(metrics.accuracy)} (always the commonest class: ${percent(majority ?? 0)})${auc}, ` +
        `log loss ${metrics.loss.toFixed(3)}`,
    );
    if (result.test === 0) lines.push('these images also chose the epoch, so expect a little less on new ones');
    if (classes.length <= 12) lines.push(...confusion(classes, metrics.confusion));
  } else {
    lines.push('no validation images: every epoch was run and nothing is measured');
  }
  return lines;
}

function confusion(classes: readonly string[], matrix: readonly (readonly number[])[]): string[] {
  const names = classes.map((name) => name.slice(0, 20));
  const width = Math.max(...names.map((name) => name.length), ...matrix.flat().map((n) => String(n).length));
  const left = Math.max(...names.map((name) => name.length), 'is \\ said'.length);
  const row = (head: string, cells: readonly (string | number)[]): string =>
    `  ${head.padEnd(left)}  ${cells.map((cell) => String(cell).padStart(width)).join('  ')}`;
  return [row('is \\ said', names), ...matrix.map((cells, i) => row(names[i] ?? '', cells))];
}

export const trainCommand: CommandModule<object, Arguments> = {
  command: 'train',
  describe: 'train a head on the stored vectors',
  builder: builder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const { features, labels, val, name, out, epochs, batchSize, learningRate, l2, patience, seed } = argv;
    const result = await train({
      ...baseOptions(argv),
      ...given({ features, labels, val, name, out, epochs, batchSize, learningRate, l2, patience, seed }),
      data: argv.data,
      cache: argv.cache,
      missing: argv.missing,
      scale: argv.scale,
      signal: interrupt(),
      onDownload: showDownload(console),
      onEpoch: ({ epoch, loss, valLoss, valAccuracy }) => {
        const measured =
          valLoss === null ? '' : `, validation ${valLoss.toFixed(4)}, accuracy ${percent(valAccuracy ?? 0)}`;
        console.status(`epoch ${epoch}: loss ${loss.toFixed(4)}${measured}`);
      },
      onWarning: (message) => console.line(`note: ${message}`),
    });
    for (const line of report(result)) console.line(line);
    console.line(`-> ${result.dir}`);
    if (argv.json) printJson(result);
  },
};
