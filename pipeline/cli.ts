#!/usr/bin/env node
import { PermafrostError, UsageError } from '../src/errors.js';
import { type CommandName, type CommandRow, typedCommands } from '../src/options/commands.js';
import { nearestNames } from '../src/options/nearest.js';
import { plain } from '../src/plain.js';
import { version } from '../src/version.js';
import { readArguments } from './arguments.js';
import { helpOf, helpOfAll } from './help.js';
import { Interrupted } from './io.js';
import { MODULES } from './modules.js';

const GROUP = 'cache';

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

const names = (rows: readonly CommandRow[]): string[] => rows.map(({ name }) => name);
const listed = (words: readonly string[]): string => `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

function unknownCommand(word: string, known: readonly string[], help: string): UsageError {
  return new UsageError(
    `there is no command ${word}. Did you mean ${nearestNames(word, known, 1)[0]}? ${help} lists all`,
  );
}

/** @returns the command that the first words name, and what stands behind it; null for a group alone */
function commandOf(words: readonly string[]): { row: CommandRow; rest: string[] } | null {
  const at = words.findIndex((word) => !word.startsWith('-'));
  const first = at < 0 ? undefined : (words[at] as string);
  const before = words.slice(0, Math.max(at, 0));
  if (first === undefined) {
    const all = [...new Set(names(typedCommands).map((name) => name.split(' ')[0] as string))];
    const [flag] = words;
    throw new UsageError(`name a command: ${listed(all)}${flag === undefined ? '' : `; ${flag} goes behind it`}`);
  }
  if (first === GROUP) {
    const known = names(typedCommands).flatMap((name) =>
      name.startsWith(`${GROUP} `) ? [name.slice(GROUP.length + 1)] : [],
    );
    const next = words.findIndex((word, i) => i > at && !word.startsWith('-'));
    if (next < 0) return null;
    const row = typedCommands.find(({ name }) => name === `${GROUP} ${words[next]}`);
    if (row === undefined) throw unknownCommand(words[next] as string, known, 'permafrost cache --help');
    return { row, rest: [...before, ...words.slice(at + 1, next), ...words.slice(next + 1)] };
  }
  const row = typedCommands.find(({ name }) => name === first);
  const known = [...names(typedCommands).filter((name) => !name.includes(' ')), GROUP];
  if (row === undefined) throw unknownCommand(first, known, 'permafrost --help');
  return { row, rest: [...before, ...words.slice(at + 1)] };
}

async function main(words: readonly string[]): Promise<void> {
  const end = words.indexOf('--');
  const flags = end < 0 ? words : words.slice(0, end);
  if (flags.includes('--version')) {
    process.stdout.write(`${version}\n`);
    return;
  }
  const isHelp = flags.includes('--help') || flags.includes('-h');
  const width = Math.min(100, process.stdout.columns ?? 100);
  if (isHelp && !words.some((word) => !word.startsWith('-'))) {
    process.stdout.write(helpOfAll(width));
    return;
  }
  const found = commandOf(words);
  if (isHelp) process.stdout.write(found === null ? helpOfAll(width, GROUP) : helpOf(found.row, width));
  else if (found === null) {
    const known = names(typedCommands).flatMap((name) =>
      name.startsWith(`${GROUP} `) ? [name.slice(GROUP.length + 1)] : [],
    );
    throw new UsageError(`name what to do: ${listed(known)}`);
  } else {
    const given = readArguments(found.row.name as CommandName, found.rest);
    const load = MODULES[found.row.name] as (typeof MODULES)[string];
    await (await load()).run(given);
  }
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0); // whoever read along has seen enough
  throw error;
});

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K'); // takes a progress bar away
  process.stderr.write(`permafrost: ${plain(describe(error))}\n`);
  if (process.env.PERMAFROST_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exitCode = exitCode(error);
}
