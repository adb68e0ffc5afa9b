#!/usr/bin/env node
import { PermafrostError, UsageError } from '../src/errors.js';
import { typedCommands } from '../src/options/commands.js';
import { nearestNames } from '../src/options/nearest.js';
import { plain } from '../src/plain.js';
import { version } from '../src/version.js';
import type { Request } from './arguments.js';
import { helpOf, helpOfAll } from './help.js';
import { Interrupted, reader } from './io.js';
import { MODULES } from './modules.js';

/** One sentence for people; the trace of what nobody foresaw is shown where PERMAFROST_DEBUG is set. */
function describe(error: unknown): string {
  if (error instanceof UsageError) return error.typed;
  if (error instanceof PermafrostError || error instanceof Interrupted) return error.message;
  const { code, path, message = String(error) } = Object(error) as NodeJS.ErrnoException;
  if (code === 'ENOSPC')
    return `the disk is full${path ? ` at ${path}` : ''}: make room and run the same command again`;
  if (code === 'EROFS') return `${path ?? message} lies on a disk that is read-only: name another place`;
  if (code === 'EACCES' || code === 'EPERM')
    return `${path ?? message} cannot be written or read: check its permissions`;
  if (/out of memory|allocation failed/i.test(message))
    return `there is not enough memory (${message.split('\n')[0]}): raise the limit of the process (ulimit -v), or give fewer --threads`;
  return `${message.split('\n')[0]} (unforeseen: set PERMAFROST_DEBUG=1 to see where)`;
}

function exitCode(error: unknown): number {
  if (error instanceof Interrupted) return error.exitCode;
  return error instanceof UsageError ? 2 : 1;
}

const listed = (words: readonly string[]): string => `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

/** Says which command, or which of a group, was meant; or that one is to be named. */
function noCommand(words: readonly string[], { unknown: [word], group }: Request): UsageError {
  const all = typedCommands.map(({ name }) => name);
  const known =
    group === undefined
      ? [...new Set(all.map((name) => name.split(' ')[0] as string))]
      : all.flatMap((name) => (name.startsWith(`${group} `) ? [name.slice(group.length + 1)] : []));
  const help = `permafrost ${group === undefined ? '' : `${group} `}--help lists all`;
  if (word !== undefined) {
    return new UsageError(`there is no command ${word}. Did you mean ${nearestNames(word, known, 1)[0]}? ${help}`);
  }
  const [flag] = words.filter((one) => one.startsWith('-'));
  const what = group === undefined ? 'a command' : 'what to do';
  return new UsageError(`name ${what}: ${listed(known)}${flag === undefined ? '' : `; ${flag} goes behind it`}`);
}

async function main(words: readonly string[]): Promise<void> {
  const end = words.indexOf('--');
  if ((end < 0 ? words : words.slice(0, end)).includes('--version')) {
    process.stdout.write(`${version}\n`);
    return;
  }
  const { parse } = await import('./arguments.js'); // with yargs, which takes longer to load than the version to print
  const request = parse(words);
  const { command, group, isHelp, unknown } = request;
  const width = Math.min(100, process.stdout.columns ?? 100);
  if (command !== undefined && !isHelp) {
    const load = MODULES[command.name] as (typeof MODULES)[string];
    await (await load()).run(request.read());
  } else if (!isHelp || unknown.length > 0) throw noCommand(words, request);
  else process.stdout.write(command === undefined ? helpOfAll(width, group) : helpOf(command, width));
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  reader.isGone = true;
  if (reader.isAll) process.exit(0);
});
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error; // nobody is told any more, and the work goes on
});

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K'); // takes a progress bar away
  process.stderr.write(`permafrost: ${plain(describe(error))}\n`);
  if (process.env.PERMAFROST_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exitCode = exitCode(error);
}
