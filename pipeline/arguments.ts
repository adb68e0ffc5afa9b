import { homedir } from 'node:os';
import path from 'node:path';
import yargs, { type Argv } from 'yargs';
import { UsageError } from '../src/errors.js';
import {
  checkValue,
  flagOf,
  idleFault,
  idleOption,
  kebab,
  optionsOfCommand,
  typedOptions,
  valueFromText,
} from '../src/options/check.js';
import { type CommandName, type CommandRow, typedCommands } from '../src/options/commands.js';
import { nearestNames } from '../src/options/nearest.js';
import { OPTIONS, type OptionRow } from '../src/options/table.js';

/** What was typed behind a command. */
export interface Arguments {
  readonly command: CommandName;
  /** By the library's names; with the defaults that the library does not know. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Names of those that were typed. */
  readonly typed: ReadonlySet<string>;
}

/** A path as a shell would have it that expands `~/`: none does behind `--data=`, and make's does not either. */
const atHome = (row: OptionRow, text: string): string => {
  const isPath = row.positional === true || /DIR|FILE|PATH/.test(row.value ?? '');
  return isPath && text.startsWith('~/') ? path.join(homedir(), text.slice(2)) : text;
};

/** Options that take every value up to the next flag. */
const isList = (row: OptionRow): boolean => row.type === 'texts' || row.type === 'axes';

const flagsOnly = (rows: readonly OptionRow[]): OptionRow[] => rows.filter(({ positional }) => positional !== true);
/** @returns every way to write a flag: `learning-rate`, `learningRate`, `lr` */
const namesOf = ({ name, aliases = [] }: OptionRow): string[] => [...new Set([kebab(name), name, ...aliases])];
const help = (command: CommandName): string => `permafrost ${command} --help lists all`;

/** What yargs made of a command line. */
interface Parsed {
  readonly _: readonly string[];
  readonly '--'?: readonly string[];
  readonly [flag: string]: unknown;
}

/**
 * Registers the flags of a command. Switches take no value, so that `--quiet maybe` is not read as false, and one given twice is
 * seen; values stay text, which the table reads. All are hidden from a help of yargs' own, which it would make at every call.
 */
function registerOptions(parser: Argv, command: CommandName): void {
  for (const row of flagsOnly(typedOptions(command))) {
    const [name = '', ...alias] = namesOf(row);
    const kind = isList(row)
      ? ({ type: 'array', string: true } as const)
      : row.type === 'switch'
        ? ({ nargs: 0 } as const)
        : ({ type: 'string', nargs: 1 } as const);
    parser.option(name, { alias, hidden: true, ...kind });
  }
}

/** What was asked for. */
export interface Request {
  /** Words that name no command; empty where one was named. */
  readonly unknown: readonly string[];
  /** A group of commands, such as cache, where none of its commands was named. */
  readonly group?: string;
  readonly command?: CommandRow;
  readonly isHelp: boolean;
  /** @throws UsageError for an argument that is unknown (with the nearest), given twice, without value, wrong, missing, or without effect */
  readonly read: () => Arguments;
}

/** Options that are themselves called no-…, which yargs would read as another that is negated. */
const NEGATIVES = new Map<string, string>(
  OPTIONS.flatMap(({ name }) => (/^no[A-Z]/.test(name) ? [[`--${kebab(name)}`, `--${name}`] as const] : [])),
);
const asNamed = (word: string): string => NEGATIVES.get(word) ?? word;

/** Flags that yargs takes for its own, or finds in every object. */
const isOdd = (word: string): boolean => {
  const [, name = ''] = /^--?(?:no-)?([^=]+)/.exec(word) ?? [];
  return name === '_' || name === '$0' || name in {};
};

/** @returns what the words behind `permafrost` ask for; nothing of it is checked before it is read */
export function parse(words: readonly string[]): Request {
  const end = words.indexOf('--');
  const odd = (end < 0 ? words : words.slice(0, end)).find(isOdd);
  if (odd !== undefined) throw new UsageError(`Unknown argument: ${odd}`);
  let command: CommandRow | undefined;
  let group: string | undefined;
  let fault = '';
  const parser = yargs()
    .scriptName('permafrost')
    .detectLocale(false) // the messages are looked into below
    .exitProcess(false)
    .version(false)
    .help(false) // help.ts prints it, by group and with ranges
    .option('help', { alias: 'h', type: 'boolean' })
    .parserConfiguration({
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'populate--': true,
      'short-option-groups': false,
      'strip-aliased': true,
    })
    .fail((message, error) => {
      if (message === null && error) throw error;
      fault = message;
    });
  const register = (under: Argv, word: string, row: CommandRow): Argv =>
    under.command(word, row.describe, (inner) => {
      command = row;
      registerOptions(inner, row.name as CommandName);
    });
  for (const word of new Set(typedCommands.map(({ name }) => name.split(' ')[0] as string))) {
    const inside = typedCommands.filter(({ name }) => name.startsWith(`${word} `));
    const [row] = typedCommands.filter(({ name }) => name === word);
    if (row) register(parser, word, row);
    else
      parser.command(word, inside.map(({ name }) => name).join(', '), (inner) => {
        group = word;
        for (const one of inside) register(inner, one.name.slice(word.length + 1), one);
      });
  }
  const parsed = parser.parse(words.map((word, i) => (end < 0 || i < end ? asNamed(word) : word))) as unknown as Parsed;
  const named = command?.name.split(' ').length ?? (group === undefined ? 0 : 1);
  return {
    unknown: command === undefined ? parsed._.slice(named) : [],
    ...(command === undefined ? {} : { command }),
    ...(group === undefined ? {} : { group }),
    isHelp: parsed.help === true,
    read: () => {
      if (command === undefined) throw new Error('there is no command to read');
      return readParsed(command.name as CommandName, { ...parsed, _: parsed._.slice(named) }, fault);
    },
  };
}

/** @returns what is said of a flag that a command does not have */
function unknown(command: CommandName, name: string): UsageError {
  const others = typedCommands
    .filter((row) => typedOptions(row.name as CommandName).some((option) => flagOf(option) === `--${name}`))
    .map((row) => row.name);
  const flags = flagsOnly(typedOptions(command)).map(flagOf);
  const advice =
    others.length > 0
      ? `--${name} belongs to ${others.slice(0, 3).join(', ')}${others.length > 3 ? ' and others' : ''};`
      : `did you mean ${nearestNames(name, flags, 1)[0]}?`;
  return new UsageError(`Unknown argument: ${name}: ${advice} ${help(command)}`);
}

const withoutValue = (row: OptionRow, name: string): UsageError =>
  new UsageError(
    row.positional === true
      ? `${flagOf(row)} is empty: expected ${row.describe}`
      : `Not enough arguments following: ${name}: --${name} takes a value, ${row.describe}`,
  );

/** @returns what is said of what yargs found wrong: a flag without its value, or a switch with one */
function misread(rows: readonly OptionRow[], fault: string): UsageError {
  const [, name = ''] = /: (\S+)$/.exec(fault) ?? [];
  const row = rows.find((one) => namesOf(one).includes(name));
  if (row === undefined) return new UsageError(fault);
  if (row.type !== 'switch') return withoutValue(row, name);
  return new UsageError(`--${name} takes no value: leave it out, or write --no-${name}`);
}

/** @returns the value of what yargs found for an option */
function typedValue(command: CommandName, row: OptionRow, found: unknown): unknown {
  const name = kebab(row.name);
  if (isList(row)) {
    const list = found as readonly string[];
    if (list.length === 0 || list.includes('')) throw withoutValue(row, name);
    return checkValue(
      row,
      list.map((one) => atHome(row, one)),
    );
  }
  if (Array.isArray(found)) throw new UsageError(`${flagOf(row)} is given twice`);
  if (row.type === 'switch') return found;
  if (found === false) throw unknown(command, `no-${name}`);
  if (found === '') throw withoutValue(row, name);
  const value = valueFromText(row, found as string);
  return typeof value === 'string' ? atHome(row, value) : value;
}

/** Reads what yargs parsed, by the table of options. */
function readParsed(command: CommandName, { _: loose, '--': behind = [], ...flags }: Parsed, fault: string): Arguments {
  const rows = typedOptions(command);
  const known = new Set(['$0', 'help', 'h', ...flagsOnly(rows).flatMap(namesOf)]);
  const stray = Object.keys(flags).find((name) => !known.has(name));
  if (stray !== undefined) throw unknown(command, flags[stray] === false ? `no-${stray}` : stray);
  if (fault !== '') throw misread(rows, fault);
  const values: Record<string, unknown> = {};
  const words = [...loose, ...behind];
  for (const row of rows) {
    let found = flags[kebab(row.name)];
    if (row.positional === true && words.length > 0) found = isList(row) ? words.splice(0) : words.shift();
    if (found !== undefined) values[row.name] = typedValue(command, row, found);
  }
  if (words.length > 0) throw new UsageError(`Unknown argument: ${words[0]}: ${help(command)} that ${command} takes`);
  return complete(command, rows, values, new Set(Object.keys(values)));
}

/** Puts defaults of the command line in place, and checks what only all arguments together tell. */
function complete(
  command: CommandName,
  rows: readonly OptionRow[],
  values: Record<string, unknown>,
  typed: ReadonlySet<string>,
): Arguments {
  for (const row of rows) {
    if (typed.has(row.name)) continue;
    if (row.typedDefault !== undefined && values.features === undefined) values[row.name] = row.typedDefault;
    else if (row.only === 'command line' && row.default !== undefined) values[row.name] = row.default;
    else if (row.required === true) {
      throw new UsageError(`Missing required argument: ${kebab(row.name)}: give ${flagOf(row)}, ${row.describe}`);
    }
  }
  // Those of a head may have an effect in some heads of a sweep, and a plan holds them itself: the library looks.
  const isPlanned = command === 'sweep' || typed.has('plan');
  const idle = idleOption(rows, values, (row) => typed.has(row.name) && !(isPlanned && row.group === 'Head'));
  if (idle !== null) throw idleFault(idle);
  return { command, values, typed };
}

/**
 * @param command whose function is called, where it is not that of the arguments
 * @returns what the library's function of a command takes of the arguments
 */
export function optionsOf<Options>(given: Arguments, command: CommandName = given.command): Options {
  const rows = [...optionsOfCommand(command).values()].filter(({ only }) => only !== 'command line');
  return Object.fromEntries(
    rows.filter(({ name }) => given.values[name] !== undefined).map(({ name }) => [name, given.values[name]]),
  ) as Options;
}
