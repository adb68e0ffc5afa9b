import { type SweepOptions, type SweepResult, sweep } from '../src/commands/sweep.js';
import type { SweepRow } from '../src/heads/sweep-row.js';
import { type Arguments, optionsOf } from './arguments.js';
import { counted, interrupt, printJson } from './io.js';
import { percent, placeLines, reportLine, trainReport } from './outcome.js';
import { Console } from './progress.js';
import type { TableRow } from './table.js';

/** Rows of the table that people see. */
const SHOWN = 20;

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

function ending({ status, bestEpoch, epochs, options }: SweepRow): string {
  const isSolved = options.optimizer === 'lda' || options.optimizer === 'ridge';
  if (isSolved) return status === 'trained' ? 'solved' : 'no solution';
  return status === 'trained' ? `${bestEpoch} of ${epochs}` : `${status} after ${epochs}`;
}

function showRanking({ heads, tried, best: { task } }: SweepResult, console: Console): void {
  const second = task === 'regression' ? ['R²', 'mean error'] : ['accuracy', task === 'multilabel' ? 'mean F1' : 'AUC'];
  const rows = heads.slice(0, SHOWN).map((row, i): TableRow => {
    return {
      cells: [
        row.rank === null ? '–' : String(row.rank),
        ...tried.map((name) => number(row.options[name])),
        ...measures(row),
        ending(row),
      ],
      looks: i === 0 ? ['bold', 'green'] : row.status === 'trained' ? [] : ['dim'],
    };
  });
  const headers = ['rank', ...tried, 'val loss', ...second, 'best epoch'];
  // Where a terminal is narrow, what is learned least from goes first: the results hold it all.
  console.table(headers, rows, [headers.length - 1, headers.length - 2, headers.length - 3]);
}

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const result = await sweep({
    ...optionsOf<SweepOptions>(given),
    signal: interrupt(),
    onDownload: console.download,
    onLabels: (message) => console.line(message),
    onWarning: (message) => console.line(`note: ${message}`),
    onProgress: ({ epoch, epochs, training, heads, loss }) => {
      const lowest = loss === null ? [] : [`lowest validation loss ${loss.toFixed(4)}`];
      console.progress({
        done: epoch,
        total: epochs,
        what: 'epochs',
        isAtMost: true, // patience and halving end heads before
        facts: [`${training} of ${heads} heads`, ...lowest],
      });
    },
  });
  if (result.reused) console.line('this sweep was there already, by the same options, labels and vectors: reused');
  showRanking(result, console);
  const more = result.heads.length - SHOWN;
  console.line(
    `${more > 0 ? `and ${more} more; ` : ''}all ${counted(result.heads.length, 'head')} in ${result.results}`,
  );
  console.line('');
  for (const line of trainReport(result.best)) console.line(line);
  for (const line of placeLines(result.best)) console.line(line);
  console.line(`see all: ${reportLine(result.sweep, String(given.values.data), given)}`);
  if (given.values.json) printJson(result);
}
