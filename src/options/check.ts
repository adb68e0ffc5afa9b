import { UsageError } from '../errors.js';
import type { CommandName } from './commands.js';
import { nearestNames } from './nearest.js';
import { expected, fromText, keeps } from './rules.js';
import { type Group, OPTIONS, type OptionRow } from './table.js';

type Given = Readonly<Record<string, unknown>>;

/** @returns `learning-rate` of `learningRate` */
export const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** @returns how an option stands on the command line: `--learning-rate`, `PATHS` where it stands without a flag */
export const flagOf = ({ name, positional }: Pick<OptionRow, 'name' | 'positional'>): string =>
  positional === true ? name.toUpperCase() : `--${kebab(name)}`;

/**
 * @param text options stand in braces, `{learningRate}`: as they are called in the library, and as flags on the command line; each
 *   `%` is one of the values, which may differ by where they are read
 */
export function usage(text: string, ...values: readonly (string | ((typed: boolean) => string))[]): UsageError {
  const say = (typed: boolean): string => {
    const rest = [...values];
    return text
      .replace(/\{(\w+)\}/g, (_, name: string) => (typed ? `--${kebab(name)}` : name))
      .replace(/%/g, () => {
        const value = rest.shift() ?? '';
        return typeof value === 'string' ? value : value(typed);
      });
  };
  return new UsageError(say(false), { typed: say(true) });
}

const byCommand = new Map<CommandName, ReadonlyMap<string, OptionRow>>();

/** @returns the options of a command by name, in the order of the table */
export function optionsOfCommand(command: CommandName): ReadonlyMap<string, OptionRow> {
  let rows = byCommand.get(command);
  if (rows === undefined) {
    const all: readonly OptionRow[] = OPTIONS;
    rows = new Map(all.filter(({ commands }) => commands.includes(command)).map((row) => [row.name, row]));
    byCommand.set(command, rows);
  }
  return rows;
}

/** @returns the rows that a command line may give */
export const typedOptions = (command: CommandName): OptionRow[] =>
  [...optionsOfCommand(command).values()].filter(({ only }) => only !== 'library');

/** A value in a message: short, and with its type to be seen. */
export function shownValue(value: unknown): string {
  let text: string;
  try {
    text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
  } catch {
    text = 'what holds itself';
  }
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

const nameIn = (row: OptionRow): string => (row.positional === true ? row.name : `{${row.name}}`);

const ADDRESS = /^[a-z][a-z0-9+.-]+:\/\//i;
/** Options whose images may lie in an object store. */
const IMAGES = /^(data|paths)$/;

/** @throws UsageError for an address in the place of a file or folder: it would be the name of a folder here */
function checkPlace(row: OptionRow, value: unknown): void {
  const isImages = IMAGES.test(row.name);
  if (!isImages && !/DIR|FILE/.test(row.value ?? '')) return;
  const address = [value].flat().find((one): one is string => typeof one === 'string' && ADDRESS.test(one));
  if (address === undefined || (isImages && /^s3:/i.test(address))) return;
  throw isImages
    ? usage(
        `${nameIn(row)} takes files, folders, lists and s3://bucket/prefix, not %: other stores that speak S3 are named by AWS_ENDPOINT_URL_S3`,
        address,
      )
    : usage(`${nameIn(row)} must be on this machine, not %: fetch it, or copy there what was written here`, address);
}

/**
 * @returns the value, which keeps its rule
 * @throws UsageError that says what was expected and what was found
 */
export function checkValue(row: OptionRow, value: unknown): unknown {
  checkPlace(row, value);
  if (keeps(row, value) || (value === null && row.nullable === true)) return value;
  throw faultOf(row, value);
}

/** What is said of a value that does not keep its rule. @param shown what was found, where it is not the value */
export const faultOf = (row: OptionRow, shown: unknown): UsageError => {
  return usage(`${nameIn(row)} must be %, not %`, (typed) => expected(row, typed), shownValue(shown));
};

/** @returns the value that a text stands for @throws UsageError as `checkValue` */
export function valueFromText(row: OptionRow, text: string): unknown {
  checkPlace(row, text);
  const value = fromText(row, text);
  if (keeps(row, value) || (value === null && row.nullable === true)) return value;
  throw faultOf(row, row.type === 'number' && typeof value === 'number' ? Number(text) : text);
}

const isSame = (a: unknown, b: unknown): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);

/** @returns the default of an option beside the others */
export const defaultOf = (row: OptionRow, optimizer: unknown): unknown =>
  row.defaults?.[String(optimizer)] ?? row.default;

/** Whether a value is not what would hold without it. */
export const isChanged = (row: OptionRow, value: unknown, optimizer: unknown): boolean =>
  !isSame(value, defaultOf(row, optimizer));

/**
 * @param isSaid whether an option was asked for: by default, where it is not its default
 * @returns the first option, if any, that has no effect beside the others, and why
 */
export function idleOption(
  rows: Iterable<OptionRow>,
  options: Given,
  isSaid: (row: OptionRow, value: unknown, optimizer: unknown) => boolean = isChanged,
): OptionRow | null {
  const all = [...rows];
  const optimizer = options.optimizer ?? all.find(({ name }) => name === 'optimizer')?.default;
  const whole: Record<string, unknown> = Object.fromEntries(all.map((row) => [row.name, defaultOf(row, optimizer)]));
  for (const [name, value] of Object.entries(options)) if (value !== undefined) whole[name] = value;
  for (const row of all) {
    const value = options[row.name];
    if (row.needs === undefined || value === undefined || value === null) continue;
    if (!isSaid(row, value, optimizer) || row.needs.holds(whole)) continue;
    return row;
  }
  return null;
}

/** What is said of an option without effect. */
export const idleFault = (row: OptionRow): UsageError => usage(`{${row.name}} ${row.needs?.says ?? ''}`);

/** @returns what is said of a name that no option has */
export function unknownOption(name: string, known: readonly string[], kind: string): UsageError {
  const [nearest = ''] = nearestNames(name, known, 1);
  return usage(`unknown ${kind} option %: did you mean {${nearest}}?`, shownValue(name).slice(1, -1));
}

/**
 * Checks what a function of the library was given, before it does anything.
 * @param later groups whose options may have an effect by what is not known yet
 * @throws UsageError for an option that is unknown (with the nearest), wrong, missing, or without effect beside the others
 */
export function checkOptions(command: CommandName, options: object, later: readonly Group[] = []): void {
  if (typeof options !== 'object' || options === null) {
    throw new UsageError(`${command} takes its options as one object, not ${shownValue(options)}`);
  }
  const rows = new Map([...optionsOfCommand(command)].filter(([, { only }]) => only !== 'command line'));
  for (const [name, value] of Object.entries(options)) {
    const row = rows.get(name);
    if (row === undefined) throw unknownOption(name, [...rows.keys()], command);
    if (value !== undefined) checkValue(row, value);
  }
  for (const { name, required, describe } of rows.values()) {
    if (required === true && (options as Given)[name] === undefined) {
      throw usage(`${command} needs {${name}}: %`, describe);
    }
  }
  const idle = idleOption(
    rows.values(),
    options as Given,
    (row, value, optimizer) => !later.includes(row.group) && isChanged(row, value, optimizer),
  );
  if (idle !== null) throw idleFault(idle);
}
