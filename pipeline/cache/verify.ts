import { type Verified, type VerifyOptions, verifySets } from '../../src/commands/cache/index.js';
import { CacheError } from '../../src/errors.js';
import { type Arguments, optionsOf } from '../arguments.js';
import { counted, interrupt, printJson } from '../io.js';
import { Console } from '../progress.js';

/** Lost images that are listed one by one; --json lists all. */
const LISTED = 20;

function describeVerified(result: Verified): string[] {
  const { set, parts, rows, damaged, lost, unknown, recomputed, repaired, extracted } = result;
  const deleted = repaired ? ', deleted' : '';
  const lines = [
    `${set}: ${counted(parts, 'part')}, ${counted(rows, 'sound row')}, ${counted(damaged.length, 'damaged part')}${deleted}`,
    ...damaged.map(({ part, reason }) => `  ${part}: ${reason}`),
  ];
  if (extracted > 0) {
    lines.push(`  ${counted(extracted, 'image')} extracted again`);
  } else if (lost.length > 0) {
    lines.push(`  to be extracted again: ${counted(lost.length, 'image')}`);
    for (const { path: file, sha256 } of lost.slice(0, LISTED)) lines.push(`    ${file ?? sha256}`);
    if (lost.length > LISTED) lines.push(`    and ${lost.length - LISTED} more`);
  }
  if (unknown > 0 && extracted === 0 && lost.length === 0) {
    lines.push(`  what ${counted(unknown, 'damaged part')} held cannot be read: --data finds images without a vector`);
  }
  if (recomputed) {
    const { images, identical, close, different, sameEngine } = recomputed;
    const why = sameEngine ? 'by this engine and version' : 'by another engine or version';
    lines.push(
      `  ${counted(images, 'vector')} computed again (made ${why}): ${identical} of the same bits, ${close} within 1e-4, ${different.length} different`,
      ...different.map(({ path: file, difference }) => `    ${file}: differs by ${difference.toExponential(1)}`),
    );
  }
  return lines;
}

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const results = await verifySets(String(given.values.cache), {
    ...optionsOf<VerifyOptions>(given),
    signal: interrupt(),
    onProgress: console.progress,
    onWarning: (message) => console.line(message),
  });
  for (const result of results) for (const line of describeVerified(result)) console.line(line);
  if (given.values.json) printJson(results);
  const damaged = results.reduce((sum, result) => sum + result.damaged.length, 0);
  if (damaged > 0 && !given.values.repair) {
    throw new CacheError(
      `${counted(damaged, 'damaged part')}: permafrost cache verify --repair deletes them and, with --data, extracts their images again`,
    );
  }
  const different = results.reduce((sum, { recomputed }) => sum + (recomputed?.different.length ?? 0), 0);
  if (different > 0) {
    throw new CacheError(
      `${counted(different, 'vector')} differ from what their images give now: delete their set and run features again`,
    );
  }
}
