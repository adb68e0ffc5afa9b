import { homedir } from 'node:os';
import path from 'node:path';
import { UsageError } from '../src/errors.js';
import {
  checkValue,
  flagOf,
  idleFault,
  idleOption,
  kebab,
  optionsOfCommand,
  valueFromText,
} from '../src/options/check.js';
import { type CommandName, typedCommands } from '../src/options/commands.js';
import { nearestNames } from '../src/options/nearest.js';
import type { OptionRow } from '../src/options/table.js';

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
const isNumber = (text: string): boolean => /^-\.?\d/.test(text);

/** @returns the rows that a command line may give */
export const typedOptions = (command: CommandName): OptionRow[] =>
  [...optionsOfCommand(command).values()].filter(({ only }) => only !== 'library');

/** @returns every way to write the flags of a command, to its option */
function flagsOf(rows: readonly OptionRow[]): Map<string, OptionRow> {
  const flags = new Map<string, OptionRow>();
  for (const row of rows) {
    if (row.positional === true) continue;
    for (const name of [kebab(row.name), row.name, ...(row.aliases ?? [])]) flags.set(`--${name}`, row);
  }
  return flags;
}

const help = (command: CommandName): string => `permafrost ${command} --help lists all`;

function unknown(command: CommandName, flag: string, rows: readonly OptionRow[]): UsageError {
  const name = flag.replace(/^-+/, '');
  const others = typedCommands
    .filter((row) => typedOptions(row.name as CommandName).some((option) => flagOf(option) === `--${name}`))
    .map((row) => row.name);
  const flags = rows.filter(({ positional }) => positional !== true).map(flagOf);
  const advice =
    others.length > 0
      ? `--${name} belongs to ${others.slice(0, 3).join(', ')}${others.length > 3 ? ' and others' : ''}`
      : `did you mean ${nearestNames(name, flags, 1)[0]}?`;
  return new UsageError(
    `Unknown argument: ${name}: ${advice} ${help(command)}`.replace(/([a-z]) (permafrost)/, '$1; $2'),
  );
}

/**
 * Reads what stands behind a command, by the table of options.
 * @throws UsageError for an argument that is unknown (with the nearest), given twice, without value, wrong, missing, or without effect
 */
export function readArguments(command: CommandName, given: readonly string[]): Arguments {
  const rows = typedOptions(command);
  const flags = flagsOf(rows);
  const values: Record<string, unknown> = {};
  const typed = new Set<string>();
  const loose: string[] = [];
  const set = (row: OptionRow, value: unknown): void => {
    if (typed.has(row.name) && !isList(row)) throw new UsageError(`${flagOf(row)} is given twice`);
    typed.add(row.name);
    if (isList(row)) {
      const more = (value as readonly string[]).map((one) => atHome(row, one));
      values[row.name] = [...((values[row.name] as string[]) ?? []), ...more];
    } else values[row.name] = typeof value === 'string' ? atHome(row, value) : value;
  };
  for (let at = 0; at < given.length; at++) {
    const word = given[at] as string;
    if (word === '--') {
      loose.push(...given.slice(at + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-' || isNumber(word)) {
      loose.push(word);
      continue;
    }
    const equals = word.indexOf('=');
    const flag = equals < 0 ? word : word.slice(0, equals);
    const row = flags.get(flag);
    const negated = row === undefined && flag.startsWith('--no-') ? flags.get(`--${flag.slice(5)}`) : undefined;
    if (negated?.type === 'switch' && equals < 0) {
      set(negated, false);
      continue;
    }
    if (row === undefined) throw unknown(command, flag, rows);
    const next = (): string | undefined => {
      const word = given[at + 1];
      return word === undefined || (word.startsWith('-') && word !== '-' && !isNumber(word)) ? undefined : given[++at];
    };
    if (row.type === 'switch') {
      const said = equals < 0 ? (/^(true|false)$/.test(given[at + 1] ?? '') ? next() : 'true') : word.slice(equals + 1);
      set(row, valueFromText(row, said ?? 'true'));
      continue;
    }
    const first = equals < 0 ? next() : word.slice(equals + 1);
    if (first === undefined || first === '') {
      throw new UsageError(
        `Not enough arguments following: ${flag.replace(/^-+/, '')}: ${flag} takes a value, ${row.describe}`,
      );
    }
    if (!isList(row)) {
      set(row, valueFromText(row, first));
      continue;
    }
    const list = [first];
    if (equals < 0) for (let more = next(); more !== undefined; more = next()) list.push(more);
    set(row, checkValue(row, list));
  }
  for (const row of rows.filter(({ positional }) => positional === true)) {
    if (loose.length === 0) continue;
    set(row, isList(row) ? loose.splice(0) : valueFromText(row, loose.shift() as string));
  }
  if (loose.length > 0) throw new UsageError(`Unknown argument: ${loose[0]}: ${help(command)} that ${command} takes`);
  return complete(command, rows, values, typed);
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
