import { UsageError } from '../errors.js';
import { type HeadOptions, OPTION_RULES, type OptionRule, type ResolvedOptions } from './option-rules.js';

export type { HeadOptions, ResolvedOptions } from './option-rules.js';

const OPTION_NAMES = Object.keys(OPTION_RULES) as (keyof HeadOptions)[];

/** @returns the default of an option, as far as it depends on the optimizer */
export function defaultOf<Name extends keyof HeadOptions>(
  name: Name,
  optimizer: ResolvedOptions['optimizer'],
): ResolvedOptions[Name] {
  const rule = OPTION_RULES[name] as OptionRule;
  return (rule.defaults?.[optimizer] ?? rule.default) as ResolvedOptions[Name];
}

/**
 * @returns the options with every default in place, in a fixed order
 * @throws UsageError for an unknown option, a value out of range, or options that do not go together
 */
export function resolveOptions(options: HeadOptions = {}): ResolvedOptions {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(OPTION_RULES, name)) {
      throw new UsageError(`unknown head option ${name}: known are ${OPTION_NAMES.join(', ')}`);
    }
  }
  const optimizer = checkOption('optimizer', options.optimizer ?? OPTION_RULES.optimizer.default);
  const resolved = Object.fromEntries(
    OPTION_NAMES.map((name) => [name, checkOption(name, options[name] ?? defaultOf(name, optimizer))]),
  ) as unknown as ResolvedOptions;
  checkTogether(resolved);
  return resolved;
}

/**
 * @returns the value, as the type of the option
 * @throws UsageError for a value that the option cannot have
 */
export function checkOption<Name extends keyof HeadOptions>(name: Name, value: unknown): ResolvedOptions[Name] {
  return checkRule(OPTION_RULES[name], name, value) as ResolvedOptions[Name];
}

/** @throws UsageError for a value that does not keep the rule */
export function checkRule(rule: OptionRule, name: string, value: unknown): unknown {
  if (isValid(rule, value)) return value;
  throw new UsageError(`${name} must be ${expected(rule)}, not ${JSON.stringify(value) ?? String(value)}`);
}

/**
 * An option from text, as command lines and grids write it: `256,64` for hidden layers (`none` for none), `balanced`, `none` or
 * `cat=2,dog=1` for class weights.
 * @throws UsageError for text that is no value of the option
 */
export function optionFromText<Name extends keyof HeadOptions>(name: Name, text: string): ResolvedOptions[Name] {
  return checkOption(name, fromText(OPTION_RULES[name], text.trim()));
}

function fromText(rule: OptionRule, text: string): unknown {
  const number = (part: string): unknown => (part.trim() !== '' && Number.isFinite(Number(part)) ? Number(part) : part);
  switch (rule.type) {
    case 'number':
      return number(text);
    case 'choice':
      return text;
    case 'switch':
      return text === 'true' ? true : text === 'false' ? false : text;
    case 'sizes':
      return text === 'none' ? [] : text.split(',').map(number);
    case 'weights':
      if (text === 'none') return null;
      if (text === 'balanced') return text;
      return Object.fromEntries(
        text.split(',').map((entry) => {
          const at = entry.lastIndexOf('=');
          return at < 1 ? [entry, Number.NaN] : [entry.slice(0, at), number(entry.slice(at + 1))];
        }),
      );
  }
}

function isValid(rule: OptionRule, value: unknown): boolean {
  switch (rule.type) {
    case 'number':
      return (
        typeof value === 'number' &&
        (rule.above === true ? value > rule.min : value >= rule.min) &&
        (rule.below === true ? value < rule.max : value <= rule.max) &&
        (rule.whole !== true || Number.isInteger(value))
      );
    case 'choice':
      return rule.choices.includes(value as string);
    case 'switch':
      return typeof value === 'boolean';
    case 'sizes':
      return (
        Array.isArray(value) &&
        value.length <= rule.most &&
        value.every((size) => Number.isInteger(size) && size >= 1 && size <= rule.max)
      );
    case 'weights':
      return (
        value === null ||
        value === 'balanced' ||
        (typeof value === 'object' &&
          !Array.isArray(value) &&
          Object.values(value).every((weight) => typeof weight === 'number' && weight >= 0 && weight <= rule.max))
      );
  }
}

/** @returns what an option must be, for messages and help */
export function expected(rule: OptionRule): string {
  switch (rule.type) {
    case 'number': {
      const low = rule.above === true ? `above ${rule.min}` : `from ${rule.min}`;
      const high = rule.below === true ? `below ${rule.max}` : rule.above === true ? `at most ${rule.max}` : rule.max;
      const range = rule.above === true || rule.below === true ? `${low} and ${high}` : `${low} to ${high}`;
      return `${rule.whole === true ? 'a whole number' : 'a number'} ${range}`;
    }
    case 'choice':
      return `one of ${rule.choices.join(', ')}`;
    case 'switch':
      return 'true or false';
    case 'sizes':
      return `at most ${rule.most} whole numbers from 1 to ${rule.max}`;
    case 'weights':
      return `balanced, none, or a weight from 0 to ${rule.max} for each class`;
  }
}

function checkTogether(options: ResolvedOptions): void {
  const { optimizer, hidden, l1, dropout, batchNorm, momentum, nesterov } = options;
  if (optimizer === 'lbfgs') {
    if (hidden.length > 0) throw new UsageError('lbfgs trains a linear head: leave hidden out, or take adam');
    if (l1 > 0) throw new UsageError('lbfgs needs a smooth loss: leave l1 out, or take adam');
    if (dropout > 0) throw new UsageError('lbfgs sees all rows at once: leave dropout out, or take adam');
  }
  if (batchNorm && hidden.length === 0) {
    throw new UsageError('batchNorm belongs to hidden layers: give their sizes with hidden');
  }
  if (momentum > 0 && optimizer !== 'sgd' && optimizer !== 'rmsprop') {
    throw new UsageError(`momentum belongs to sgd and rmsprop: ${optimizer} takes none`);
  }
  if (nesterov && !(optimizer === 'sgd' && momentum > 0)) {
    throw new UsageError('nesterov belongs to sgd with momentum: give both');
  }
}
