import path from 'node:path';
import { collectGarbage, type GcOptions } from '../../src/commands/cache/index.js';
import { type Arguments, optionsOf } from '../arguments.js';
import { megabytes, printJson } from '../io.js';
import { Console } from '../progress.js';

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const { yes } = given.values;
  const result = await collectGarbage(String(given.values.cache), {
    ...optionsOf<GcOptions>(given),
    onProgress: console.progress,
  });
  for (const { kind, path: place, reason, bytes, rows } of result.garbage) {
    const what = rows === undefined ? `${kind} ${path.basename(place)}` : `${rows} of ${path.basename(place)}`;
    console.line(`${yes ? 'removed' : 'would go'}: ${what}, ${megabytes(bytes)}: ${reason}`);
  }
  for (const place of result.inUse) console.line(`left alone: ${path.basename(place)} was used within the last minute`);
  const { frees, size } = result;
  console.line(
    yes
      ? `freed ${megabytes(frees)} of ${megabytes(size)}`
      : `${megabytes(frees)} of ${megabytes(size)} would be freed; --yes does it`,
  );
  if (given.values.json) printJson(result);
}
