import { migrateSets } from '../../src/commands/cache/index.js';
import type { Arguments } from '../arguments.js';
import { counted, printJson } from '../io.js';
import { Console } from '../progress.js';

export async function run(given: Arguments): Promise<void> {
  const cache = String(given.values.cache);
  const console = Console.of(given);
  const results = await migrateSets(cache, { onProgress: console.progress });
  for (const { from, set, images } of results) console.line(`${from} -> ${set}: ${counted(images, 'image')}`);
  if (results.length === 0) console.line(`every set in ${cache} has the format of this version`);
  if (given.values.json) printJson(results);
}
