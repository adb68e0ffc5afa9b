import { type CompactSetsOptions, compactSets } from '../../src/commands/cache/index.js';
import { type Arguments, optionsOf } from '../arguments.js';
import { counted, megabytes, printJson } from '../io.js';
import { Console } from '../progress.js';

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const results = await compactSets(String(given.values.cache), {
    ...optionsOf<CompactSetsOptions>(given),
    onProgress: console.progress,
    onDamaged: (error) => console.line(`left alone: ${error.message}`),
  });
  for (const { set, parts, bytes, duplicates } of results) {
    const twice = duplicates > 0 ? `, ${counted(duplicates, 'duplicate row')} out` : '';
    console.line(
      `${set}: ${counted(parts.before, 'part')} -> ${parts.after}${twice}, ${megabytes(bytes.before)} -> ${megabytes(bytes.after)}`,
    );
  }
  if (given.values.json) printJson(results);
}
