import { HeadError, UsageError } from '../errors.js';
import type { Metrics } from './metrics.js';
import { type ResolvedOptions, resolveOptions } from './options.js';
import type { Task } from './targets.js';
import type { EpochRecord } from './train.js';

/** What `head.json` holds, in this order. */
export interface HeadInfo {
  /** Of this format. */
  readonly version: 1;
  readonly task: Task;
  /** In the order of the probabilities. A binary head gives the probability of the second. */
  readonly classes: readonly string[];
  /** Size of a vector. */
  readonly dim: number;
  /** Of the feature set it was trained on, 64 hex digits. */
  readonly fingerprint: string;
  /** All of that set's `_set.json`. */
  readonly set: Readonly<Record<string, unknown>>;
  /** What is folded into `head.onnx`: `(x - mean) / scale`. */
  readonly standardization: { readonly mean: readonly number[]; readonly scale: readonly number[] } | null;
  readonly options: ResolvedOptions;
  readonly seed: number;
  readonly versions: Readonly<Record<string, string>>;
  /** Images trained on. */
  readonly train: number;
  /** Images validated on. */
  readonly val: number;
  readonly metrics: Metrics | null;
  readonly majority: number | null;
  readonly bestEpoch: number;
  readonly history: readonly EpochRecord[];
  /** SHA-256 of `head.onnx` in hex. */
  readonly model: string;
}

/** @returns the text of `head.json`, one field a line */
export function printHeadInfo(info: HeadInfo): string {
  const lines = Object.entries(info).map(([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  return `{\n${lines.join(',\n')}\n}\n`;
}

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isCount = (value: unknown): value is number => isNumber(value) && Number.isInteger(value) && value >= 0;
const isShare = (value: unknown): boolean => isNumber(value) && value >= 0 && value <= 1;
const isList = <T>(value: unknown, of: (item: unknown) => item is T): value is T[] =>
  Array.isArray(value) && value.every(of);
const isText = (value: unknown): value is string => typeof value === 'string';
const isHex = (value: unknown): boolean => isText(value) && /^[0-9a-f]{64}$/.test(value);

const isMetrics = (value: unknown, classes: number): boolean =>
  isFields(value) &&
  isShare(value.accuracy) &&
  (value.auc === null || isShare(value.auc)) &&
  isNumber(value.loss) &&
  Array.isArray(value.confusion) &&
  value.confusion.length === classes &&
  value.confusion.every((row) => isList(row, isCount) && row.length === classes);

const isEpoch = (value: unknown): value is EpochRecord =>
  isFields(value) &&
  isCount(value.epoch) &&
  isNumber(value.loss) &&
  ['valLoss', 'valAccuracy'].every((name) => value[name] === null || isNumber(value[name]));

/** What each field must be; `head` is the whole of `head.json`. */
const CHECKS: Readonly<Record<keyof HeadInfo, (value: unknown, head: Fields) => boolean>> = {
  version: (value) => value === 1,
  task: (value) => value === 'binary' || value === 'multiclass',
  classes: (value, { task }) =>
    isList(value, isText) &&
    new Set(value).size === value.length &&
    (task === 'binary' ? value.length === 2 : value.length > 2),
  dim: (value) => isCount(value) && value >= 1,
  fingerprint: isHex,
  set: isFields,
  standardization: (value, { dim }) =>
    value === null ||
    (isFields(value) && ['mean', 'scale'].every((name) => isList(value[name], isNumber) && value[name].length === dim)),
  options: (value) => isFields(value) && optionsAreValid(value),
  seed: (value, { options }) => isFields(options) && value === options.seed,
  versions: (value) => isFields(value) && Object.values(value).every(isText),
  train: isCount,
  val: isCount,
  metrics: (value, { classes }) => value === null || (isList(classes, isText) && isMetrics(value, classes.length)),
  majority: (value) => value === null || isShare(value),
  bestEpoch: (value) => isCount(value) && value >= 1,
  history: (value) => isList(value, isEpoch),
  model: isHex,
};

function optionsAreValid(value: Fields): boolean {
  try {
    return Object.keys(resolveOptions(value)).every((name) => Object.hasOwn(value, name));
  } catch (error) {
    if (error instanceof UsageError) return false;
    throw error;
  }
}

/**
 * @param path for messages
 * @throws HeadError for text that is not a head of this version, naming the field
 */
export function parseHeadInfo(text: string, path: string): HeadInfo {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new HeadError(`${path} is not JSON: the head is damaged, train it again`, { cause: error });
  }
  if (!isFields(parsed)) throw new HeadError(`${path} does not hold a head`);
  const fields = parsed;
  if (isNumber(fields.version) && fields.version > 1) {
    throw new HeadError(`${path} has format version ${fields.version}, this software reads 1: use a newer one`);
  }
  for (const [name, check] of Object.entries(CHECKS)) {
    if (Object.hasOwn(fields, name) && check(fields[name], fields)) continue;
    throw new HeadError(`${path} does not hold a head: its ${name} is missing or damaged; train the head again`);
  }
  return fields as unknown as HeadInfo;
}
