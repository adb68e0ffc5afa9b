import { UsageError } from '../errors.js';
import { kebab, shownValue, unknownOption, usage } from '../options/check.js';
import type { OptionRow } from '../options/table.js';
import { Random } from '../random.js';
import { checkOption, HEAD_RULES, type HeadOptions, optionFromText } from '../train/options.js';

/** A range, evenly spread or evenly on a log scale, of `points` values where a grid runs through it. */
export interface Range {
  readonly low: number;
  readonly high: number;
  readonly log: boolean;
  readonly points: number | null;
}

/** What one option may be in a sweep: listed values, or a range. */
export type Axis = { readonly values: readonly unknown[] } | Range;

type OptionName = keyof HeadOptions;

/** Option to what it may be, in the order in which a grid runs through them: the last one fastest. */
export type Space = { readonly [Name in OptionName]?: Axis };

/** Heads of one sweep. */
export const MOST_HEADS = 10_000;
const RANGE = /^(?:(log|linear):)?([-+.\de]+?)\.\.([-+.\de]+?)(?::(\d+))?$/i;
const DIGITS = 4;
/** Every way to write an option to its name: `learningRate`, `learning-rate`, `lr`. */
const NAMES = new Map(
  Object.values(HEAD_RULES).flatMap(({ name, aliases = [] }) =>
    [name, kebab(name), ...aliases].map((text) => [text, name as OptionName]),
  ),
);

/**
 * @param text an option's name as the library (`learningRate`) or the command line (`learning-rate`) writes it, or short: lr, bs, wd, bn
 * @throws UsageError for a name that is none
 */
export function optionNamed(text: string): OptionName {
  const name = NAMES.get(text);
  if (name === undefined) throw unknownOption(text, Object.keys(HEAD_RULES), 'head');
  return name;
}

/**
 * Reads `name=values` as `--grid` takes it: `lr=1e-4,1e-3`, `optimizer=adam,sgd`, `hidden=none,256,512-128` (a hyphen between the
 * layers of one head); a range `lr=1e-5..1e-2`, with a number of points for a grid `l2=1e-6..1e-1:6`. Ranges of learning rates,
 * penalties and decays are spread on a log scale, others evenly; `log:` or `linear:` before a range asks for one.
 * @throws UsageError for an unknown option, a value out of range, or a range that is none
 */
export function parseAxis(text: string): readonly [OptionName, Axis] {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`a grid lists values as lr=1e-4,1e-3, found ${JSON.stringify(text)}`);
  const name = optionNamed(text.slice(0, at).trim());
  return [name, axisFromText(name, text.slice(at + 1).trim())];
}

/** @returns the axis of an option, from the text behind its name */
export function axisFromText(name: OptionName, text: string): Axis {
  const rule: OptionRow = HEAD_RULES[name];
  const range = rule.type === 'number' ? RANGE.exec(text) : null;
  if (rule.type !== 'number' || range === null) {
    const values = text.split(',').map((value) => (rule.type === 'sizes' ? value.replaceAll('-', ',') : value));
    return { values: values.map((value) => optionFromText(name, value)) };
  }
  const [low, high] = [Number(range[2]), Number(range[3])];
  for (const end of [low, high]) checkOption(name, rule.whole === true ? Math.round(end) : end);
  const scale = range[1]?.toLowerCase();
  const log = scale === undefined ? rule.log === true : scale === 'log';
  const points = range[4] === undefined ? null : Number(range[4]);
  if (points !== null && points > MOST_HEADS) throw tooMany();
  if (!(low < high) || (log && low <= 0) || (points !== null && points < 2)) {
    const above = log ? ' above 0, on a log scale (linear: spreads it evenly)' : '';
    throw new UsageError(
      `${name}: a range runs from a lower to a higher number${above}, in 2 points or more, found ${text}`,
    );
  }
  return { low, high, log, points };
}

const tooMany = (): UsageError =>
  usage(`the grid has more than ${MOST_HEADS} heads: give fewer values, or draw some with {random}`);

/**
 * @returns axes that a program gave
 * @throws UsageError for an unknown option, a value out of range, or a range that is none
 */
export function checkSpace(space: Space): Space {
  for (const [text, axis] of Object.entries(space)) {
    const name = optionNamed(text);
    if (typeof axis !== 'object' || axis === null)
      throw usage(`{${name}} must be { values } or a range, not %`, shownValue(axis));
    if ('values' in axis) {
      if (!Array.isArray(axis.values) || axis.values.length === 0) throw usage(`{${name}} lists no values`);
      for (const value of axis.values) checkOption(name, value);
      continue;
    }
    const { low, high, log, points } = axis;
    for (const end of [low, high]) checkOption(name, end);
    const isRange = low < high && (!log || low > 0);
    if (!isRange || (points !== null && !(Number.isInteger(points) && points >= 2))) {
      throw usage(`{${name}}: a range runs from a lower to a higher number, in 2 points or more`);
    }
  }
  return space;
}

const isWhole = (name: string): boolean => {
  const rule: OptionRow = HEAD_RULES[name as OptionName];
  return rule.type === 'number' && rule.whole === true;
};

/** @returns the value at a share of the way through a range */
function along(name: string, { low, high, log }: Range, share: number): number {
  const value = log ? Math.exp(Math.log(low) + (Math.log(high) - Math.log(low)) * share) : low + (high - low) * share;
  return isWhole(name) ? Math.round(value) : Math.min(high, Math.max(low, Number(value.toPrecision(DIGITS))));
}

/**
 * Every combination.
 * @throws UsageError for a range without a number of points, or more than 10,000 heads
 */
export function gridOf(space: Space): HeadOptions[] {
  let heads: Record<string, unknown>[] = [{}];
  for (const [name, axis] of Object.entries(space)) {
    const values = 'values' in axis ? axis.values : pointsOf(name, axis);
    if (heads.length * values.length > MOST_HEADS) throw tooMany();
    heads = heads.flatMap((head) => values.map((value) => ({ ...head, [name]: value })));
  }
  return heads;
}

function pointsOf(name: string, range: Range): number[] {
  const { low, high, points } = range;
  if (points === null) {
    throw new UsageError(
      `a grid needs the number of points of ${name}: write ${low}..${high}:5 for five, or draw some with --random`,
    );
  }
  if (points > MOST_HEADS) throw tooMany();
  return Array.from({ length: points }, (_, i) => along(name, range, i / (points - 1)));
}

/** Draws heads, each option on its own. The first heads of a longer draw are those of a shorter one with the same seed. */
export function drawFrom(space: Space, count: number, seed: number): HeadOptions[] {
  const random = new Random(`sweep ${seed}`);
  const draw = (name: string, axis: Axis): unknown =>
    'values' in axis ? axis.values[random.below(axis.values.length)] : along(name, axis, random.uniform());
  return Array.from({ length: count }, () =>
    Object.fromEntries(Object.entries(space).map(([name, axis]) => [name, draw(name, axis)])),
  );
}
