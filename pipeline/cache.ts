import path from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import {
  CacheError,
  collectGarbage,
  compactSets,
  exportSet,
  importSet,
  listSets,
  migrateSets,
  type Verified,
  verifySets,
} from '../src/index.js';
import { counted, interrupt, printJson } from './io.js';
import { byteOption, common, durationOption, engineFlags, given, numberOption } from './options.js';
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
  engineFlags(common(yargs))
    .positional('sets', { describe: 'names or folders of sets (default: all)', string: true, array: true })
    .option('data', { describe: 'folder of the images', string: true, requiresArg: true })
    .option(
      'sample',
      numberOption('vectors to compute again and compare', { min: 0, max: 1e9, whole: true, fallback: 0 }),
    )
    .option('seed', numberOption('of the sample', { min: 0, max: 2 ** 53 - 1, whole: true, fallback: 0 }))
    .option('repair', {
      describe: 'delete damaged parts and, with --data, extract their images again',
      boolean: true,
      default: false,
    });
type VerifyArguments = Awaited<ReturnType<ReturnType<typeof verifyBuilder>['parseAsync']>>;

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

const verify: CommandModule<object, VerifyArguments> = {
  command: 'verify [sets..]',
  describe: 'check every byte of the parts, and with --sample their vectors; exits 1 when it finds damage',
  builder: verifyBuilder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const { data, sample, seed, threads, batchSize, engine, device, repair } = argv;
    const results = await verifySets(argv.cache, {
      ...given({ data, sample, seed, threads, batchSize }),
      sets: (argv.sets ?? []).map(String),
      engine,
      device,
      repair,
      signal: interrupt(),
      onWarning: (message) => console.line(message),
    });
    for (const result of results) for (const line of describeVerified(result)) console.line(line);
    if (argv.json) printJson(results);
    const damaged = results.reduce((sum, result) => sum + result.damaged.length, 0);
    if (damaged > 0 && !argv.repair) {
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

const gcBuilder = (yargs: Argv) =>
  common(yargs)
    .option('older-than', durationOption('sets not used for so long go'))
    .option('max-size', byteOption('while the cache is larger, the sets used least recently go'))
    .option('unreferenced', {
      describe: 'sets that no head was trained on go; with --labels, vectors of images that no label file names',
      boolean: true,
      default: false,
    })
    .option('labels', { describe: 'CSV or JSONL files of labels', string: true, array: true, requiresArg: true })
    .option('data', { describe: 'where paths in label files lie', string: true, requiresArg: true })
    .option('yes', { describe: 'do it; without it only what would go is shown', boolean: true, default: false });
type GcArguments = Awaited<ReturnType<ReturnType<typeof gcBuilder>['parseAsync']>>;

const gc: CommandModule<object, GcArguments> = {
  command: 'gc',
  describe: 'take out what is not wanted any more: by age, by size, or unreferenced; shows it first',
  builder: gcBuilder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const { olderThan, maxSize, unreferenced, labels, data, yes } = argv;
    const result = await collectGarbage(argv.cache, {
      ...given({ olderThan, maxSize, labels, data }),
      unreferenced,
      yes,
    });
    for (const { kind, path: place, reason, bytes, rows } of result.garbage) {
      const what = rows === undefined ? `${kind} ${path.basename(place)}` : `${rows} of ${path.basename(place)}`;
      console.line(`${yes ? 'removed' : 'would go'}: ${what}, ${megabytes(bytes)}: ${reason}`);
    }
    for (const place of result.inUse)
      console.line(`left alone: ${path.basename(place)} was used within the last minute`);
    const { frees, size } = result;
    console.line(
      yes
        ? `freed ${megabytes(frees)} of ${megabytes(size)}`
        : `${megabytes(frees)} of ${megabytes(size)} would be freed; --yes does it`,
    );
    if (argv.json) printJson(result);
  },
};

const FORMAT = {
  describe: 'arrow, parquet or npy (default: what the file ends in)',
  requiresArg: true,
  choices: ['arrow', 'parquet', 'npy'] as const,
};

const exportBuilder = (yargs: Argv) =>
  common(yargs)
    .positional('set', { describe: 'name or folder of a set', string: true, demandOption: true })
    .option('out', { describe: 'the file', string: true, requiresArg: true, demandOption: true })
    .option('format', FORMAT);
type ExportArguments = Awaited<ReturnType<ReturnType<typeof exportBuilder>['parseAsync']>>;

const exporting: CommandModule<object, ExportArguments> = {
  command: 'export <set>',
  describe: 'write a set as one file: arrow, parquet, or npy with the hashes beside it',
  builder: exportBuilder as never,
  handler: async (argv) => {
    const { out, format } = argv;
    const result = await exportSet(argv.cache, String(argv.set), { out, ...given({ format }) });
    const ids = result.ids === null ? '' : `, its rows' hashes in ${result.ids}`;
    new Console(argv.quiet).line(`${counted(result.images, 'image')} x ${result.dim} -> ${result.out}${ids}`);
    if (argv.json) printJson(result);
  },
};

const importBuilder = (yargs: Argv) =>
  common(yargs)
    .positional('file', { describe: 'arrow, parquet or npy', string: true, demandOption: true })
    .option('set', { describe: 'name or folder of the set they go to', string: true, requiresArg: true })
    .option('spec', { describe: 'a file as _set.json, in the place of a set', string: true, requiresArg: true })
    .option('name', { describe: 'name of a new set', string: true, requiresArg: true })
    .option('format', FORMAT)
    .option('ids', { describe: 'npy: hashes of the rows, a line each', string: true, requiresArg: true });
type ImportArguments = Awaited<ReturnType<ReturnType<typeof importBuilder>['parseAsync']>>;

const importing: CommandModule<object, ImportArguments> = {
  command: 'import <file>',
  describe: 'bring vectors that were made elsewhere into a set; the whole file is checked first',
  builder: importBuilder as never,
  handler: async (argv) => {
    const { set, spec, name, format, ids } = argv;
    const result = await importSet(argv.cache, String(argv.file), given({ set, spec, name, format, ids }));
    const { rows, added, dir } = result;
    new Console(argv.quiet).line(`${counted(rows, 'row')}, ${added} of them new -> ${dir}`);
    if (argv.json) printJson(result);
  },
};

const migrateBuilder = (yargs: Argv) => common(yargs);
type MigrateArguments = Awaited<ReturnType<ReturnType<typeof migrateBuilder>['parseAsync']>>;

const migrate: CommandModule<object, MigrateArguments> = {
  command: 'migrate',
  describe: 'bring sets of an older format to that of this version',
  builder: migrateBuilder as never,
  handler: async (argv) => {
    const console = new Console(argv.quiet);
    const results = await migrateSets(argv.cache);
    for (const { from, set, images } of results) console.line(`${from} -> ${set}: ${counted(images, 'image')}`);
    if (results.length === 0) console.line(`every set in ${argv.cache} has the format of this version`);
    if (argv.json) printJson(results);
  },
};

export const cacheCommand: CommandModule = {
  command: 'cache',
  describe: 'look after the cache: ls, verify, compact, gc, export, import, migrate',
  builder: (yargs) =>
    yargs
      .command(list)
      .command(verify)
      .command(compact)
      .command(gc)
      .command(exporting)
      .command(importing)
      .command(migrate)

      .demandCommand(1, 'name what to do: ls, verify, compact, gc, export, import or migrate'),
  handler: () => {},
};
