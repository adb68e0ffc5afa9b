import { listSets, listThumbnails } from '../../src/commands/cache/index.js';
import type { Arguments } from '../arguments.js';
import { fidelityLine } from '../int8.js';
import { counted, megabytes, printJson } from '../io.js';
import { Console } from '../progress.js';

export async function run(given: Arguments): Promise<void> {
  const cache = String(given.values.cache);
  const sets = await listSets(cache);
  if (given.values.json) {
    printJson(sets);
    return;
  }
  if (sets.length === 0) Console.of(given).line(`${cache} holds no feature sets`);
  for (const { set, dim, images, quarantined, parts, bytes, used, makers, damaged, type, int8 } of sets) {
    const engines = makers.map(({ engine, engineVersion }) => `${engine} ${engineVersion}`).join(' and ');
    const aside = quarantined > 0 ? `, ${quarantined} in quarantine` : '';
    const half = type === 'float16' ? ' float16' : '';
    const when = `, used ${used.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
    process.stdout.write(
      `${set}: ${counted(images, 'image')} x ${dim}${half}${aside}, ${counted(parts, 'part')}, ${megabytes(bytes)}, ${engines || 'empty'}${when}\n`,
    );
    if (int8 !== null) process.stdout.write(`  ${fidelityLine(int8)}\n`);
    for (const line of damaged) process.stdout.write(`  ${line}\n`);
  }
  const pictures = await listThumbnails(cache);
  if (pictures.parts > 0) {
    const { parts, bytes } = pictures;
    process.stdout.write(`small pictures: ${counted(parts, 'part')}, ${megabytes(bytes)}\n`);
  }
}
