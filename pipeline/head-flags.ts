import type { Argv, Options } from 'yargs';
import {
  checkFit,
  FIT_RULES,
  type FitOptions,
  type HeadOptions,
  OPTION_RULES,
  type OptionRule,
  optionFromText,
  TASKS,
  UsageError,
} from '../src/index.js';
import { numberOption, text } from './options.js';

export const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** @returns how help shows a default */
export function shownDefault(rule: OptionRule): string {
  const value = rule.default;
  if (value === null || (Array.isArray(value) && value.length === 0)) return 'none';
  const others = Object.entries(rule.defaults ?? {}).map(([optimizer, one]) => `, ${optimizer} ${one}`);
  return `${value}${others.join('')}`;
}

function flagOf(name: string, rule: OptionRule, parse: (value: string) => unknown): Options {
  const { describe } = rule;
  if (rule.type === 'switch') return { describe, boolean: true };
  const choices = rule.type === 'choice' && name !== 'threshold' ? ` (${rule.choices.join(', ')})` : '';
  return {
    describe: `${describe}${choices}`,
    string: true,
    requiresArg: true,
    coerce: (value: unknown) => {
      if (Array.isArray(value)) throw new UsageError(`--${kebab(name)} is given twice`);
      return value === undefined ? undefined : parse(String(value));
    },
  };
}

/** One flag for each option of a head, from the table of options. */
export const headFlags = <T>(yargs: Argv<T>): Argv<T> =>
  yargs.options(
    Object.fromEntries(
      Object.entries(OPTION_RULES as Record<string, OptionRule>).map(([name, rule]) => [
        kebab(name),
        {
          ...flagOf(name, rule, (value) => optionFromText(name as keyof HeadOptions, value)),
          defaultDescription: shownDefault(rule),
          group: 'Head:',
        },
      ]),
    ),
  ) as unknown as Argv<T>;

export const UNSET: Partial<Record<keyof FitOptions, string>> = {
  shots: 'all',
  folds: 'none',
  threshold: 'youden, f1 for multilabel',
};

/** One flag for each option of how a head is judged. */
export const fitFlags = <T>(yargs: Argv<T>, without: readonly (keyof FitOptions)[] = []): Argv<T> =>
  yargs.options(
    Object.fromEntries(
      Object.entries(FIT_RULES as Record<string, OptionRule>)
        .filter(([name]) => !without.includes(name as keyof FitOptions))
        .map(([name, rule]) => [
          kebab(name),
          {
            ...flagOf(name, rule, (value) => {
              const number = value.trim() === '' ? Number.NaN : Number(value);
              return checkFit(name as keyof FitOptions, Number.isNaN(number) ? value : number);
            }),
            defaultDescription: UNSET[name as keyof FitOptions] ?? shownDefault(rule),
            group: 'Images and metrics:',
          },
        ]),
    ),
  ) as unknown as Argv<T>;

/** Which images, labels and vectors. */
export const corpusFlags = <T>(yargs: Argv<T>) =>
  yargs
    .option('data', {
      ...text('folder of images: one folder a class, or such below train and val'),
      demandOption: true,
    })
    .option('features', {
      ...text('feature sets, in the place of --base; vectors of several are joined'),
      array: true as const,
    })
    .option('memory', numberOption('MiB of vectors held at once', { min: 1, max: 1e6, whole: true, fallback: 1024 }))
    .option('missing', {
      describe: 'labelled images without vectors',
      requiresArg: true,
      choices: ['error', 'skip'] as const,
      default: 'error' as const,
    });

export const labelFlags = <T>(yargs: Argv<T>) =>
  yargs
    .option('labels', text('CSV or JSONL file of labels'))
    .option('task', { ...text('what to train (default: what the labels ask for)'), choices: TASKS });

type Arguments = Readonly<Record<string, unknown>>;

const picked = (argv: object, rules: object): Arguments =>
  Object.fromEntries(
    Object.keys(rules).flatMap((name) => {
      const value = (argv as Arguments)[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );

/** @returns the options of a head that were given */
export const headOptions = (argv: object): HeadOptions => picked(argv, OPTION_RULES);
export const fitOptions = (argv: object): FitOptions => picked(argv, FIT_RULES);

/** A number of heads. */
export const countOption = (describe: string) => numberOption(describe, { min: 1, max: 10_000, whole: true });
