import { removeHead } from '../../src/commands/heads.js';
import type { Arguments } from '../arguments.js';
import { printJson } from '../io.js';
import { Console } from '../progress.js';

export async function run(given: Arguments): Promise<void> {
  const dir = await removeHead(String(given.values.head), String(given.values.cache));
  Console.of(given).line(`removed ${dir}`);
  if (given.values.json) printJson({ removed: dir });
}
