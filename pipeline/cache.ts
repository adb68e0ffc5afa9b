import type { Argv, CommandModule } from 'yargs';
import { CacheError, compactSets, listSets, verifySets } from '../src/index.js';
import { counted, printJson } from './io.js';
import { common } from './options.js';
import { Console } from './progress.js';

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

const listBuilder = (yargs: Argv) => common(yargs);
type ListArguments = Awaited<ReturnType<ReturnType<typeof listBuilder>['parseAsync']>>;

const list: CommandModule<object, ListArguments> = {
  command: 'ls',
  describe: 'list the feature sets of a cache',
  builder: listBuilder as never,
  handler: async (argv) => {
    const sets = await listSets(argv.cache);
    if (argv.json) {
      printJson(sets);
      return;
    }
    if (sets.length === 0) new Console(argv.quiet).line(`${argv.cache} holds no feature sets`);
    for (const { set, dim, images, quarantined, parts, bytes, used, makers, damaged, type } of sets) {
      const engines = makers.map(({ engine, engineVersion }) => `${engine} ${engineVersion}`).join(' and ');
      const aside = quarantined > 0 ? `, ${quarantined} in quarantine` : '';
      const half = type === 'float16' ? ' float16' : '';
      const when = `, used ${used.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
      process.stdout.write(
        `${set}: ${counted(images, 'image')} x ${dim}${half}${aside}, ${counted(parts, 'part')}, ${megabytes(bytes)}, ${engines || 'empty'}${when}\n`,
      );
      for (const line of damaged) process.stdout.write(`  ${line}\n`);
    }
  },
};

const verifyBuilder = (yargs: Argv) =>
  common(yargs)
    .positional('sets', { describe: 'names or folders of sets (default: all)', string: true, array: true })
    .option('repair', {
      describe: 'delete damaged parts; features then extracts their images again',
      boolean: true,
      default: false,
    });
type VerifyArguments = Awaited<ReturnType<ReturnType<typeof verifyBuilder>['parseAsync']>>;

const verify: CommandModule<object, VerifyArguments> = {
  command: 'verify [sets..]',
  describe: 'check every byte of the parts; exits 1 when it finds damage',
  builder: verifyBuilder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const results = await verifySets(argv.cache, { sets: (argv.sets ?? []).map(String), repair: argv.repair });
    for (const { set, parts, rows, damaged, repaired } of results) {
      console.line(
        `${set}: ${counted(parts, 'part')}, ${counted(rows, 'sound row')}, ${counted(damaged.length, 'damaged part')}${repaired ? ', deleted' : ''}`,
      );
      for (const { part, reason } of damaged) console.line(`  ${part}: ${reason}`);
    }
    if (argv.json) printJson(results);
    const damaged = results.reduce((sum, result) => sum + result.damaged.length, 0);
    if (damaged > 0 && !argv.repair) {
      throw new CacheError(
        `${counted(damaged, 'damaged part')}: permafrost cache verify --repair deletes them, and features extracts their images again`,
      );
    }
  },
};

const compactBuilder = (yargs: Argv) =>
  common(yargs).positional('sets', { describe: 'names or folders of sets (default: all)', string: true, array: true });
type CompactArguments = Awaited<ReturnType<ReturnType<typeof compactBuilder>['parseAsync']>>;

const compact: CommandModule<object, CompactArguments> = {
  command: 'compact [sets..]',
  describe: 'merge small parts into full ones; no vector changes',
  builder: compactBuilder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const results = await compactSets(argv.cache, {
      sets: (argv.sets ?? []).map(String),
      onDamaged: (error) => console.line(`left alone: ${error.message}`),
    });
    for (const { set, parts, bytes, duplicates } of results) {
      const twice = duplicates > 0 ? `, ${counted(duplicates, 'duplicate row')} out` : '';
      console.line(
        `${set}: ${counted(parts.before, 'part')} -> ${parts.after}${twice}, ${megabytes(bytes.before)} -> ${megabytes(bytes.after)}`,
      );
    }
    if (argv.json) printJson(results);
  },
};

export const cacheCommand: CommandModule = {
  command: 'cache',
  describe: 'look after the cache: ls, verify, compact',
  builder: (yargs) =>
    yargs.command(list).command(verify).command(compact).demandCommand(1, 'name what to do: ls, verify or compact'),
  handler: () => {},
};
