import { type CompareOptions, compareHeads } from '../../src/commands/heads.js';
import { type Arguments, optionsOf } from '../arguments.js';
import { counted, interrupt, printJson } from '../io.js';
import { seenLine } from '../outcome.js';
import { Console } from '../progress.js';

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const result = await compareHeads({
    ...optionsOf<CompareOptions>(given),
    signal: interrupt(),
    onLabels: (message) => console.line(message),
    onWarning: (message) => console.line(`note: ${message}`),
  });
  const four = (value: number): string => value.toFixed(4);
  const rows = result.pairs.map(({ a, b, of, difference, interval, p }) => ({
    cells: [
      `${a} - ${b}`,
      of,
      four(difference),
      interval ? `[${interval.map(four).join(', ')}]` : '',
      p === null ? '' : four(p),
    ],
  }));
  console.line(`on ${counted(result.images, 'image')}`);
  for (const { head, ...seen } of result.heads) console.line(seenLine(head, { ...seen, images: result.images }));
  console.table(['heads', 'of', 'difference', '95 %', 'p'], rows);
  if (given.values.json) printJson(result);
}
