/** What a value may be. */
export type Rule =
  | {
      readonly type: 'number';
      readonly min: number;
      readonly max: number;
      /** Whether `min` itself is out. */
      readonly above?: boolean;
      /** Whether `max` itself is out. */
      readonly below?: boolean;
      readonly whole?: boolean;
      /** Whether ranges of it are searched on a logarithmic scale. */
      readonly log?: boolean;
      /** What the command line counts in, where it is not what the library counts in. */
      readonly unit?: { readonly name: string; readonly is: number };
    }
  | {
      readonly type: 'choice';
      readonly choices: readonly string[] /** Or a number from 0 to 1. */;
      readonly orShare?: boolean;
    }
  | { readonly type: 'switch' }
  | { readonly type: 'text' }
  /** One text or several. */
  | { readonly type: 'texts' }
  /** Whole numbers: layers of a head. */
  | { readonly type: 'sizes'; readonly most: number; readonly max: number }
  /** Numbers above `min`, one at least. */
  | { readonly type: 'numbers'; readonly most: number; readonly min: number; readonly max: number }
  /** `balanced`, or a weight for each class. */
  | { readonly type: 'weights'; readonly max: number }
  /** Height and width. */
  | { readonly type: 'size'; readonly max: number }
  | { readonly type: 'grid'; readonly max: number }
  | { readonly type: 'shard'; readonly max: number }
  /** What a sweep tries: `name=values`, or axes by name. */
  | { readonly type: 'axes' }
  /** Milliseconds; `30d` in text. */
  | { readonly type: 'duration' }
  /** Bytes; `10GB` in text. */
  | { readonly type: 'bytes' }
  /** A YAML file, or what it holds. */
  | { readonly type: 'plan' }
  /** A function that is called, or an object with methods: of the library only. */
  | { readonly type: 'hook' };

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown, max: number): value is number =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= max;
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isPositive = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value >= 0;

/** @returns whether a value of the library's keeps a rule */
export function keeps(rule: Rule, value: unknown): boolean {
  switch (rule.type) {
    case 'number':
      return (
        typeof value === 'number' &&
        (rule.above === true ? value > rule.min : value >= rule.min) &&
        (rule.below === true ? value < rule.max : value <= rule.max) &&
        (rule.whole !== true || Number.isInteger(value))
      );
    case 'choice':
      if (typeof value === 'number') return rule.orShare === true && value >= 0 && value <= 1;
      return rule.choices.includes(value as string);
    case 'switch':
      return typeof value === 'boolean';
    case 'text':
      return isText(value);
    case 'texts':
      return isText(value) || (Array.isArray(value) && value.every(isText));
    case 'sizes':
      return Array.isArray(value) && value.length <= rule.most && value.every((size) => isCount(size, rule.max));
    case 'numbers': {
      const isOne = (one: unknown): boolean => typeof one === 'number' && one > rule.min && one <= rule.max;
      return Array.isArray(value) && value.length >= 1 && value.length <= rule.most && value.every(isOne);
    }
    case 'weights':
      return (
        value === 'balanced' ||
        (isFields(value) && Object.values(value).every((one) => isPositive(one) && (one as number) <= rule.max))
      );
    case 'size':
      return Array.isArray(value) && value.length === 2 && value.every((side) => isCount(side, rule.max));
    case 'grid':
      return isFields(value) && isCount(value.rows, rule.max) && isCount(value.columns, rule.max);
    case 'shard':
      return isFields(value) && isCount(value.count, rule.max) && isCount(value.index, value.count);
    case 'axes':
      return isFields(value) || (Array.isArray(value) && value.every(isText));
    case 'duration':
    case 'bytes':
      return isPositive(value);
    case 'plan':
      return isText(value) || isFields(value);
    case 'hook':
      return typeof value === 'function' || isFields(value);
  }
}

const DURATIONS: Fields = { m: 60e3, h: 3600e3, d: 86_400e3, w: 7 * 86_400e3 };
const BYTES: Fields = {
  ...{ '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 },
  ...{ ki: 2 ** 10, mi: 2 ** 20, gi: 2 ** 30, ti: 2 ** 40 },
};

function amount(text: string, pattern: RegExp, units: Fields): unknown {
  const [, number, unit = ''] = pattern.exec(text.toLowerCase()) ?? [];
  const factor = units[unit];
  return number === undefined || typeof factor !== 'number' ? text : Math.round(Number(number) * factor);
}

const number = (text: string): unknown => (text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text);
const pair = (text: string, between: RegExp): readonly [number, number] | null => {
  const parts = text.split(between);
  return parts.length === 2 && parts.every((part) => /^\d{1,6}$/.test(part))
    ? [Number(parts[0]), Number(parts[1])]
    : null;
};

/** @returns the library's value of what a command line or a grid says; text that is none stays as it is, and keeps no rule */
export function fromText(rule: Rule, given: string): unknown {
  const text = given.trim();
  switch (rule.type) {
    case 'number': {
      const value = number(text);
      return typeof value === 'number' ? value * (rule.unit?.is ?? 1) : value;
    }
    case 'choice':
      return rule.orShare === true ? number(text) : text;
    case 'switch':
      return text === 'true' ? true : text === 'false' ? false : text;
    case 'sizes':
      return text === 'none' ? [] : text.split(',').map(number);
    case 'numbers':
      return text.split(',').map(number);
    case 'weights':
      if (text === 'none') return null;
      if (text === 'balanced' || !text.includes('=')) return text;
      return Object.fromEntries(
        text.split(',').map((entry) => {
          const at = entry.lastIndexOf('=');
          return at < 1 ? [entry, entry] : [entry.slice(0, at), number(entry.slice(at + 1))];
        }),
      );
    case 'size':
      return pair(text.includes('x') ? text : `${text}x${text}`, /x/) ?? text;
    case 'grid': {
      const [rows, columns] = pair(text, /x/) ?? [];
      return rows === undefined ? text : { rows, columns };
    }
    case 'shard': {
      const [index, count] = pair(text, /\//) ?? [];
      return index === undefined ? text : { index, count };
    }
    case 'duration':
      return amount(text, /^(\d+(?:\.\d+)?)([mhdw])$/, DURATIONS);
    case 'bytes':
      return amount(text, /^(\d+(?:\.\d+)?)((?:[kmgt]i?)?)b?$/, BYTES);
    default:
      return given;
  }
}

function range({ min, max, above, below, whole, unit }: Rule & { type: 'number' }, typed: boolean): string {
  if (typed && unit) return `a number of ${unit.name} above 0 and at most ${max / unit.is}`;
  const [least, most] = [plain(min), plain(max)];
  const low = above === true ? `above ${least}` : `from ${least}`;
  const high = below === true ? `below ${most}` : above === true ? `at most ${most}` : most;
  const kind = whole === true ? 'a whole number' : 'a number';
  return `${kind} ${above === true || below === true ? `${low} and ${high}` : `${low} to ${high}`}`;
}

/** A bound as people write it: `2^53 - 1` where digits say nothing. */
const plain = (bound: number): string => (bound === Number.MAX_SAFE_INTEGER ? '2^53 - 1' : String(bound));

/** @returns what a value must be, for messages. @param typed as the command line writes it */
export function expected(rule: Rule, typed = false): string {
  switch (rule.type) {
    case 'number':
      return range(rule, typed);
    case 'choice':
      return `one of ${rule.choices.join(', ')}${rule.orShare === true ? ', or a number from 0 to 1' : ''}`;
    case 'switch':
      return 'true or false';
    case 'text':
      return 'text that is not empty';
    case 'texts':
      return 'text, or a list of texts, none of them empty';
    case 'sizes': {
      const example = typed ? ' between commas, for example 256,64, or none' : '';
      return `at most ${rule.most} whole numbers from 1 to ${rule.max}${example}`;
    }
    case 'numbers': {
      const example = typed ? ' between commas, for example 0.1,1,10' : '';
      return `1 to ${rule.most} numbers above ${rule.min} and at most ${rule.max}${example}`;
    }
    case 'weights':
      return typed
        ? `balanced, none, or a weight from 0 to ${rule.max} for classes, for example ants=2,bees=1`
        : `balanced, null, or a weight from 0 to ${rule.max} for each class`;
    case 'size':
      return typed
        ? `N or HxW, whole numbers from 1 to ${rule.max}, for example 200 or 200x300`
        : `[height, width], whole numbers from 1 to ${rule.max}`;
    case 'grid':
      return `${typed ? 'ROWSxCOLUMNS' : '{ rows, columns }'}, each from 1 to ${rule.max}${typed ? ', for example 4x8' : ''}`;
    case 'shard':
      return typed
        ? 'i/n with i from 1 to n, for example 2/8'
        : `{ index, count } with index from 1 to count, count at most ${rule.max}`;
    case 'axes':
      return 'name=values, for example lr=1e-4,1e-3';
    case 'duration':
      return typed ? '90m, 12h, 30d or 8w, or another such span' : 'milliseconds from 0';
    case 'bytes':
      return typed ? 'an amount as 10GB or 512MiB' : 'bytes from 0';
    case 'plan':
      return 'the path of a YAML file';
    case 'hook':
      return 'a function, or an object with methods';
  }
}

/** What help puts behind a flag: `N`, `FILE`, `avg|max`; empty of a switch. */
export function placeholder(rule: Rule): string {
  switch (rule.type) {
    case 'number':
      return rule.unit?.name ?? 'N';
    case 'choice':
      return rule.choices.length <= 4 && rule.orShare !== true ? rule.choices.join('|') : 'WHICH';
    case 'switch':
    case 'hook':
      return '';
    case 'text':
      return 'TEXT';
    case 'texts':
      return 'TEXT…';
    case 'sizes':
      return 'N,N…';
    case 'numbers':
      return 'N,N…';
    case 'weights':
      return 'CLASS=N,…';
    case 'size':
      return 'N|HxW';
    case 'grid':
      return 'RxC';
    case 'shard':
      return 'I/N';
    case 'axes':
      return 'NAME=VALUES…';
    case 'duration':
      return '30d';
    case 'bytes':
      return '10GB';
    case 'plan':
      return 'FILE';
  }
}
