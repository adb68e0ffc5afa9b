#!/usr/bin/env node
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { PermafrostError, UsageError, version } from '../src/index.js';
import { basesCommand } from './bases.js';
import { cacheCommand } from './cache.js';
import { classifyCommand } from './classify.js';
import { exportCommand } from './export.js';
import { featuresCommand } from './features.js';
import { Interrupted } from './io.js';
import { mapsCommand } from './maps.js';
import { predictCommand } from './predict.js';
import { sampleCommand } from './sample.js';
import { summaryCommand } from './summary.js';
import { sweepCommand } from './sweep.js';
import { trainCommand } from './train.js';

/** Arguments that may hold several values. */
const LISTS = ['_', 'paths', 'sets', 'grid', 'features'];

/** One sentence for people; the trace of what nobody foresaw is shown where PERMAFROST_DEBUG is set. */
function describe(error: unknown): string {
  if (error instanceof PermafrostError || error instanceof Interrupted) return error.message;
  const { code, path, message = String(error) } = Object(error) as NodeJS.ErrnoException;
  if (code === 'ENOSPC')
    return `the disk is full${path ? ` at ${path}` : ''}: make room and run the same command again`;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return `${path ?? message} cannot be written or read: check its permissions`;
  return `${message.split('\n')[0]} (unforeseen: set PERMAFROST_DEBUG=1 to see where)`;
}

function exitCode(error: unknown): number {
  if (error instanceof Interrupted) return error.exitCode;
  return error instanceof UsageError ? 2 : 1;
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0); // whoever read along has seen enough
  throw error;
});

try {
  const parser = yargs(hideBin(process.argv))
    .scriptName('permafrost')
    .usage('$0 <command> [options]\n\nFreeze the base, keep the features, train heads in seconds.')
    .command(sampleCommand)
    .command(featuresCommand)
    .command(trainCommand)
    .command(sweepCommand)
    .command(predictCommand)
    .command(classifyCommand)
    .command(mapsCommand)
    .command(basesCommand)
    .command(summaryCommand)
    .command(exportCommand)
    .command(cacheCommand)
    .demandCommand(
      1,
      'name a command: sample, features, train, sweep, predict, classify, summary, maps, export, bases or cache',
    )
    .strict()
    .recommendCommands()
    .version(version)
    .alias('h', 'help')
    .exitProcess(false)
    .check((argv) => {
      const lists = argv._.includes('gc') ? [...LISTS, 'labels'] : LISTS;
      const twice = Object.entries(argv).find(
        ([name, value]) => Array.isArray(value) && typeof value[0] === 'string' && !lists.includes(name),
      );
      if (twice) throw new UsageError(`--${twice[0]} is given twice`);
      return true;
    })
    .fail((message, error) => {
      const foreseen = error instanceof PermafrostError || error instanceof Interrupted;
      if (error && !foreseen && error.name !== 'YError') throw error;
      throw foreseen ? error : new UsageError(`${message || error.message}; see permafrost --help`);
    });
  await parser.wrap(Math.min(100, parser.terminalWidth())).parseAsync();
} catch (error) {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K'); // takes a progress bar away
  process.stderr.write(`permafrost: ${describe(error)}\n`);
  if (process.env.PERMAFROST_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exitCode = exitCode(error);
}
