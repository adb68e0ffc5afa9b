import { listHeads } from '../../src/commands/heads.js';
import type { Arguments } from '../arguments.js';
import { printJson } from '../io.js';
import { metricsLine } from '../outcome.js';
import { Console } from '../progress.js';

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const heads = await listHeads(String(given.values.cache), (message) => console.line(message));
  const rows = heads.map(({ head, task, classes, train, metrics, sets, saved }) => ({
    cells: [
      head,
      task,
      classes.length <= 4 ? classes.join(' / ') : `${classes.length} classes`,
      String(train),
      metrics === null ? '' : metricsLine({ ...metrics, intervals: null }),
      sets.join(' + '),
      saved.toISOString().slice(0, 10),
    ],
  }));
  const headers = ['head', 'task', 'classes', 'train', 'validation', 'vectors', 'saved'];
  if (heads.length > 0) console.table(headers, rows, [5]);
  else console.line(`no heads in ${given.values.cache}: train one with permafrost train`);
  if (given.values.json) for (const head of heads) printJson(head);
}
