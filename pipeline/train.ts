import { type PlanResult, type TrainPlanOptions, trainPlan } from '../src/commands/plan.js';
import { type TrainOptions, train } from '../src/commands/train.js';
import { HeadError, UsageError } from '../src/errors.js';
import { defaultOf, flagOf, optionsOfCommand, typedOptions } from '../src/options/check.js';
import type { OptionRow } from '../src/options/table.js';
import type { EpochRecord } from '../src/train/run.js';
import { type Arguments, optionsOf } from './arguments.js';
import { counted, interrupt, printJson } from './io.js';
import { metricsLine, percent, placeLines, trainReport } from './outcome.js';
import { Console } from './progress.js';
import type { TableRow } from './table.js';

/** What training one head and many have in common. */
const hooks = (console: Console) => ({
  signal: interrupt(),
  onDownload: console.download,
  onLabels: (message: string) => console.line(message),
  onWarning: (message: string) => console.line(`note: ${message}`),
});

const epochFacts = ({ loss, valLoss, valAccuracy }: EpochRecord): string[] => [
  ...(valAccuracy === null ? [] : [`accuracy ${percent(valAccuracy)}`]),
  ...(valLoss === null ? [] : [`validation ${valLoss.toFixed(4)}`]),
  `loss ${loss.toFixed(4)}`,
];

/** @returns the most epochs that one training of a head takes */
function epochsOf({ epochs, optimizer }: Arguments['values']): number {
  const row = optionsOfCommand('train').get('epochs') as OptionRow;
  return Number(epochs ?? defaultOf(row, optimizer ?? optionsOfCommand('train').get('optimizer')?.default));
}

async function trainMany(given: Arguments, console: Console): Promise<void> {
  const planned = new Set(typedOptions('train plan').map(({ name }) => name));
  const alone = typedOptions('train').filter(
    ({ name, only }) => given.typed.has(name) && !planned.has(name) && only !== 'command line',
  );
  if (alone.length > 0) {
    throw new UsageError(
      `with --plan the options of heads stand in the plan, under defaults for all: leave ${alone.map(flagOf).join(', ')} out`,
    );
  }
  let ended = 0;
  const results = await trainPlan({
    ...optionsOf<TrainPlanOptions>(given, 'train plan'),
    ...hooks(console),
    onEpoch: (head, record, _place, total) =>
      console.progress({
        done: ended,
        total,
        what: 'heads',
        facts: [`${head}: epoch ${record.epoch}`, ...epochFacts(record)],
      }),
    onHead: (result) => {
      ended += 1;
      if (result.status === 'failed') console.line(`${result.head} failed: ${result.message}`);
      else if (result.replaced !== null) console.line(`${result.head} replaced ${result.replaced}`);
    },
  });
  console.table(['head', 'status', 'task', 'train', 'val', 'measured'], results.map(planRow));
  const of = (status: PlanResult['status']): number => results.filter((result) => result.status === status).length;
  console.line(
    `${counted(results.length, 'head')}: ${of('trained')} trained, ${of('reused')} reused, ${of('failed')} failed`,
  );
  if (given.values.json) printJson({ heads: results });
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

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  if (given.values.plan !== undefined) {
    await trainMany(given, console);
    return;
  }
  const total = epochsOf(given.values);
  const history: EpochRecord[] = [];
  const result = await train({
    ...optionsOf<TrainOptions>(given),
    ...hooks(console),
    onEpoch: (record) => {
      if (record.epoch === history.length + 1) history.push(record); // a training on all images begins anew
      console.progress({ done: record.epoch, total, what: 'epochs', isAtMost: true, facts: epochFacts(record) });
    },
  });
  for (const line of trainReport(result, result.folds === null ? history : [])) console.line(line);
  for (const line of placeLines(result)) console.line(line);
  if (given.values.json) printJson(result);
}
