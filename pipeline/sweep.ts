import type { Argv, CommandModule } from 'yargs';
import { RANKINGS, type SweepResult, type SweepRow, sweep } from '../src/index.js';
import { corpusFlags, countOption, fitFlags, fitOptions, headFlags, headOptions, labelFlags } from './head-flags.js';
import { counted, interrupt, printJson } from './io.js';
import { baseFlags, baseOptions, common, given, showDownload, text } from './options.js';
import { Console } from './progress.js';
import { percent, trainReport } from './report.js';
import { type TableRow, table } from './table.js';

/** Rows of the table that people see. */
const SHOWN = 20;

const builder = (yargs: Argv) =>
  fitFlags(headFlags(labelFlags(corpusFlags(baseFlags(common(yargs), 'xception-mini')))), ['folds'])
    .option('grid', {
      describe: 'what to try: lr=1e-4,1e-3 l2=0,1e-4 hidden=none,256; ranges as lr=1e-5..1e-2:7',
      string: true,
      array: true,
      requiresArg: true,
    })
    .option('random', countOption('draw this many heads from the grid'))
    .option('probe', { describe: 'search l2 as linear probes do', boolean: true })
    .option('plan', text('YAML file with grid, random and options'))
    .option('halving', { describe: 'drop the worse half after 4, 8, 16, … epochs', boolean: true })
    .option('by', { ...text('what the best is chosen by'), choices: RANKINGS, defaultDescription: 'loss' })
    .option('name', text('name of the sweep and of its best head'))
    .option('out', text('folder of the best head'));

type Arguments = Awaited<ReturnType<ReturnType<typeof builder>['parseAsync']>>;

const number = (value: unknown): string =>
  typeof value === 'number' ? String(Number(value.toPrecision(4))) : value === null ? 'none' : short(value);
const short = (value: unknown): string =>
  Array.isArray(value) ? value.join('-') || 'none' : typeof value === 'object' ? JSON.stringify(value) : String(value);

/** The metrics that fit beside each other. */
function measures({ metrics, loss }: SweepRow): string[] {
  const decimals = (value: number | null): string => (value === null ? '–' : value.toFixed(4));
  if (metrics === null) return ['–', '–', '–'];
  if ('r2' in metrics) return [decimals(loss), decimals(metrics.r2), decimals(metrics.mae)];
  return [decimals(loss), percent(metrics.accuracy), decimals('microF1' in metrics ? metrics.f1 : metrics.auc)];
}

function ranking({ heads, tried, best: { task } }: SweepResult, width: number | undefined): string[] {
  const second = task === 'regression' ? ['R²', 'mean error'] : ['accuracy', task === 'multilabel' ? 'mean F1' : 'AUC'];
  const rows = heads.slice(0, SHOWN).map((row, i): TableRow => {
    const end = row.status === 'trained' ? `${row.bestEpoch} of ${row.epochs}` : `${row.status} after ${row.epochs}`;
    return {
      cells: [
        row.rank === null ? '–' : String(row.rank),
        ...tried.map((name) => number(row.options[name])),
        ...measures(row),
        end,
      ],
      looks: i === 0 ? ['bold', 'green'] : row.status === 'trained' ? [] : ['dim'],
    };
  });
  return table(['rank', ...tried, 'val loss', ...second, 'best epoch'], rows, width);
}

export const sweepCommand: CommandModule<object, Arguments> = {
  command: 'sweep',
  describe: 'train many heads in one pass over the vectors, and save the best',
  builder: builder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const { features, labels, task, grid, random, probe, plan, halving, by, name, out } = argv;
    const result = await sweep({
      ...baseOptions(argv),
      ...headOptions(argv),
      ...fitOptions(argv),
      ...given({ features, labels, task, grid, random, probe, plan, halving, by, name, out }),
      data: argv.data,
      cache: argv.cache,
      missing: argv.missing,
      memory: (argv.memory ?? 1024) * 2 ** 20,
      signal: interrupt(),
      onDownload: showDownload(console),
      onLabels: (message) => console.line(message),
      onWarning: (message) => console.line(`note: ${message}`),
      onProgress: ({ epoch, training, heads, loss }) =>
        console.status(
          `epoch ${epoch}: ${training} of ${heads} heads train${loss === null ? '' : `, lowest validation loss ${loss.toFixed(4)}`}`,
        ),
    });
    for (const line of ranking(result, console.width)) console.line(line);
    const more = result.heads.length - SHOWN;
    console.line(
      `${more > 0 ? `and ${more} more; ` : ''}all ${counted(result.heads.length, 'head')} in ${result.results}`,
    );
    console.line('');
    for (const line of trainReport(result.best)) console.line(line);
    console.line(`-> ${result.best.dir}`);
    if (argv.json) printJson(result);
  },
};
