import type { Argv, CommandModule } from 'yargs';
import { HeadError, type PlanResult, train, trainPlan, UsageError } from '../src/index.js';
import { corpusFlags, fitFlags, fitOptions, headFlags, headOptions, labelFlags } from './head-flags.js';
import { counted, interrupt, printJson } from './io.js';
import { baseFlags, baseOptions, common, engineOption, given, showDownload, text } from './options.js';
import { Console } from './progress.js';
import { metricsLine, percent, trainReport } from './report.js';
import { type TableRow, table } from './table.js';

const builder = (yargs: Argv) =>
  fitFlags(headFlags(labelFlags(corpusFlags(baseFlags(common(yargs), 'xception-mini')))))
    .option('name', text('name of the head'))
    .option('out', text('folder of the head'))
    .option('engine', engineOption)
    .option('plan', text('YAML file of many heads, trained from one read of the cache'));

type Arguments = Awaited<ReturnType<ReturnType<typeof builder>['parseAsync']>>;

/** The options that `train` with and without a plan have in common. */
const corpusOptions = (argv: Arguments, console: Console) => ({
  ...baseOptions(argv),
  ...given({ features: argv.features }),
  data: argv.data,
  cache: argv.cache,
  missing: argv.missing,
  memory: (argv.memory ?? 1024) * 2 ** 20,
  signal: interrupt(),
  onDownload: showDownload(console),
  onLabels: (message: string) => console.line(message),
  onWarning: (message: string) => console.line(`note: ${message}`),
});

const epochLine = (epoch: number, loss: number, valLoss: number | null, valAccuracy: number | null): string => {
  const accuracy = valAccuracy === null ? '' : `, accuracy ${percent(valAccuracy)}`;
  return `epoch ${epoch}: loss ${loss.toFixed(4)}${valLoss === null ? '' : `, validation ${valLoss.toFixed(4)}${accuracy}`}`;
};

async function trainMany(argv: Arguments, plan: string, console: Console): Promise<void> {
  const { name, out, labels, task } = argv;
  const engine = argv.engine === 'onnx' ? undefined : argv.engine;
  const alone = Object.keys({
    ...given({ name, out, labels, task, engine }),
    ...headOptions(argv),
    ...fitOptions(argv),
  });
  if (alone.length > 0) {
    throw new UsageError(
      `with --plan the options of heads stand in the plan, under defaults for all: leave ${alone.join(', ')} out`,
    );
  }
  const results = await trainPlan({
    ...corpusOptions(argv, console),
    plan,
    onEpoch: (head, { epoch, loss, valLoss, valAccuracy }) =>
      console.status(`${head}: ${epochLine(epoch, loss, valLoss, valAccuracy)}`),
    onHead: (result) => {
      if (result.status === 'failed') console.line(`${result.head} failed: ${result.message}`);
    },
  });
  for (const line of table(
    ['head', 'status', 'task', 'train', 'val', 'measured'],
    results.map(planRow),
    console.width,
  )) {
    console.line(line);
  }
  const of = (status: PlanResult['status']): number => results.filter((result) => result.status === status).length;
  console.line(
    `${counted(results.length, 'head')}: ${of('trained')} trained, ${of('reused')} reused, ${of('failed')} failed`,
  );
  if (argv.json) printJson({ heads: results });
  if (of('failed') > 0)
    throw new HeadError(
      `${of('failed')} of ${counted(results.length, 'head')} failed: put right what the lines above say, and run the same command again`,
    );
}

function planRow(result: PlanResult): TableRow {
  if (result.status === 'failed') return { cells: [result.head, 'failed', '', '', '', result.message], looks: ['dim'] };
  const { head, status, task, train: rows, val, metrics, testMetrics } = result;
  const test = testMetrics ? `; test: ${metricsLine({ ...testMetrics, intervals: null })}` : '';
  const line = metrics ? metricsLine({ ...metrics, intervals: null }) : 'nothing to measure on';
  return { cells: [head, status, task, String(rows), String(val), `${line}${test}`] };
}

export const trainCommand: CommandModule<object, Arguments> = {
  command: 'train',
  describe: 'train a head on the stored vectors, or many with --plan',
  builder: builder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    if (argv.plan !== undefined) {
      await trainMany(argv, argv.plan, console);
      return;
    }
    const { labels, task, name, out, engine } = argv;
    const result = await train({
      ...corpusOptions(argv, console),
      ...headOptions(argv),
      ...fitOptions(argv),
      ...given({ labels, task, name, out, engine }),
      onEpoch: ({ epoch, loss, valLoss, valAccuracy }) => console.status(epochLine(epoch, loss, valLoss, valAccuracy)),
    });
    for (const line of trainReport(result)) console.line(line);
    console.line(`-> ${result.dir}`);
    if (argv.json) printJson(result);
  },
};
