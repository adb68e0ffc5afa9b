import { HeadError, UsageError } from '../errors.js';
import type { Task } from '../labels/targets.js';
import { TASKS } from '../options/choices.js';
import { type ResolvedOptions, resolveOptions } from '../train/options.js';
import { type ClosedForm, type EpochRecord, TRAINING_ENDS, type TrainingEnd } from '../train/run.js';
import { type Fields, isFields } from './fields.js';
import type { SetFacts } from './joined-sets.js';
import { CHOICES, type Learned } from './learned.js';
import { migrateHeadInfo } from './migrate.js';

/** Of `head.json`. */
export const HEAD_VERSION = 2;

/** What `head.json` holds. */
export interface HeadInfo extends Learned {
  /** Of this format. */
  readonly version: typeof HEAD_VERSION;
  readonly task: Task;
  /** In the order of the outputs; none of a regression. A binary head gives the probability of the second. */
  readonly classes: readonly string[];
  /** Size of a vector, of all joined sets together. */
  readonly dim: number;
  /** Of the feature set it was trained on, 64 hex digits. */
  readonly fingerprint: string;
  /** All of that set's `_set.json`. */
  readonly set: Readonly<Record<string, unknown>>;
  /** Further sets, whose vectors follow those of the first. */
  readonly joined: readonly SetFacts[];
  /** What is folded into `head.onnx`: `(x - mean) / scale`. */
  readonly standardization: { readonly mean: readonly number[]; readonly scale: readonly number[] } | null;
  readonly options: ResolvedOptions;
  readonly seed: number;
  readonly versions: Readonly<Record<string, string>>;
  /** Of its options, labels and sets, 64 hex digits: a plan does not train a head of the same identity again. */
  readonly identity: string | null;
  /** What lda or ridge chose; null of other heads. */
  readonly closedForm: ClosedForm | null;
  readonly history: readonly EpochRecord[];
  /** SHA-256 of `head.onnx` in hex. */
  readonly model: string;
  /** SHA-256 of `examples.arrow` in hex; null of a head that was saved without its images. */
  readonly examples: string | null;
}

/** @returns the text of `head.json`, one field a line */
export function printHeadInfo(info: HeadInfo): string {
  const lines = Object.entries(info).map(([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  return `{\n${lines.join(',\n')}\n}\n`;
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isCount = (value: unknown): value is number => isNumber(value) && Number.isInteger(value) && value >= 0;
const isShare = (value: unknown): boolean => isNumber(value) && value >= 0 && value <= 1;
const isList = <T>(value: unknown, of: (item: unknown) => item is T): value is T[] =>
  Array.isArray(value) && value.every(of);
const isText = (value: unknown): value is string => typeof value === 'string';
const isHex = (value: unknown): boolean => isText(value) && /^[0-9a-f]{64}$/.test(value);
const orNull =
  (check: (value: unknown, head: Fields) => boolean) =>
  (value: unknown, head: Fields): boolean =>
    value === null || check(value, head);

const isEnds = (value: unknown): boolean => value === null || (isList(value, isNumber) && value.length === 2);
const isIntervals = (value: unknown): boolean =>
  isFields(value) &&
  isShare(value.level) &&
  isCount(value.resamples) &&
  isFields(value.of) &&
  Object.values(value.of).every(isEnds);

/** Shares that each kind of metrics has, besides its loss. */
const SHARES: Readonly<Record<Task, readonly string[]>> = {
  binary: ['accuracy', 'balancedAccuracy'],
  multiclass: ['accuracy', 'balancedAccuracy'],
  multilabel: ['accuracy', 'hammingLoss', 'microF1'],
  regression: [],
};

function isMetrics(value: unknown, { task, classes }: Fields): boolean {
  if (!isFields(value) || !isNumber(value.loss) || !orNull(isIntervals)(value.intervals, {})) return false;
  if (task === 'regression') {
    return (value.r2 === null || isNumber(value.r2)) && isNumber(value.mae) && isNumber(value.rmse);
  }
  if (!TASKS.includes(task as Task) || !Array.isArray(classes)) return false;
  const shares = ['precision', 'recall', 'f1'];
  const areas = ['auc', 'averagePrecision'];
  const hold = (fields: Fields): boolean =>
    shares.every((name) => isShare(fields[name])) && areas.every((name) => orNull(isShare)(fields[name], {}));
  const table = (confusion: unknown): boolean =>
    Array.isArray(confusion) &&
    confusion.length === classes.length &&
    confusion.every((row) => isList(row, isCount) && row.length === classes.length);
  return (
    hold(value) &&
    SHARES[task as Task].every((name) => isShare(value[name])) &&
    orNull(isShare)(value.calibrationError, {}) &&
    Array.isArray(value.classes) &&
    value.classes.length === classes.length &&
    value.classes.every((one) => isFields(one) && isCount(one.support) && hold(one)) &&
    (task === 'multilabel' || table(value.confusion))
  );
}

const isEpoch = (value: unknown): value is EpochRecord =>
  isFields(value) &&
  isCount(value.epoch) &&
  isNumber(value.loss) &&
  ['valLoss', 'valAccuracy'].every((name) => value[name] === null || isNumber(value[name]));

const isThreshold = (value: unknown, { task, classes }: Fields): boolean =>
  isFields(value) &&
  isText(value.criterion) &&
  isList(value.values, isNumber) &&
  value.values.length === (task === 'binary' ? 1 : Array.isArray(classes) ? classes.length : -1);

const isClosedForm = (value: unknown): boolean =>
  isFields(value) &&
  ['alpha', 'shrinkage'].every((name) => value[name] === null || isNumber(value[name])) &&
  ['slopes', 'offsets'].every((name) => isList(value[name], isNumber));

const isFold = (value: unknown, head: Fields): boolean =>
  isFields(value) &&
  ['train', 'val', 'bestEpoch'].every((name) => isCount(value[name])) &&
  (value.epochs === undefined || isCount(value.epochs)) &&
  isMetrics(value.metrics, head);

const CLASSES: Readonly<Record<Task, (count: number) => boolean>> = {
  binary: (count) => count === 2,
  multiclass: (count) => count >= 2,
  multilabel: (count) => count >= 1,
  regression: (count) => count === 0,
};

/** What each field must be; `head` is the whole of `head.json`. */
const CHECKS: Readonly<Record<keyof HeadInfo, (value: unknown, head: Fields) => boolean>> = {
  version: (value) => value === HEAD_VERSION,
  task: (value) => TASKS.includes(value as Task),
  classes: (value, { task }) =>
    isList(value, isText) && new Set(value).size === value.length && CLASSES[task as Task](value.length),
  dim: (value) => isCount(value) && value >= 1,
  fingerprint: isHex,
  set: isFields,
  joined: (value) =>
    Array.isArray(value) && value.every((one) => isFields(one) && isHex(one.fingerprint) && isFields(one.set)),
  standardization: orNull(
    (value, { dim }) =>
      isFields(value) && ['mean', 'scale'].every((name) => isList(value[name], isNumber) && value[name].length === dim),
  ),
  options: (value) => isFields(value) && optionsAreValid(value),
  seed: (value, { options }) => isFields(options) && value === options.seed,
  versions: (value) => isFields(value) && Object.values(value).every(isText),
  identity: orNull(isHex),
  train: isCount,
  val: isCount,
  test: isCount,
  shots: orNull(isCount),
  refit: (value) => typeof value === 'boolean',
  metrics: orNull(isMetrics),
  testMetrics: orNull(isMetrics),
  majority: orNull(isShare),
  commonest: orNull((value, { classes }) => Array.isArray(classes) && classes.includes(value)),
  meanAnswer: orNull((value) => isFields(value) && ['mean', 'mae', 'rmse'].every((name) => isNumber(value[name]))),
  chosen: orNull((value) => Array.isArray(value) && value.every((one) => CHOICES.includes(one))),
  end: orNull((value) => TRAINING_ENDS.includes(value as TrainingEnd)),
  threshold: orNull(isThreshold),
  temperature: orNull((value) => isNumber(value) && value > 0),
  coverage: orNull(
    (value) => isFields(value) && isShare(value.level) && isShare(value.threshold) && isCount(value.images),
  ),
  folds: orNull((value, head) => Array.isArray(value) && value.every((one) => isFold(one, head))),
  bestEpoch: (value) => isCount(value) && value >= 1,
  closedForm: orNull(isClosedForm),
  history: (value) => isList(value, isEpoch),
  model: isHex,
  examples: orNull(isHex),
};

function optionsAreValid(value: Fields): boolean {
  try {
    resolveOptions(value);
    return true;
  } catch (error) {
    if (error instanceof UsageError) return false;
    throw error;
  }
}

/**
 * @param path for messages
 * @returns the head of a `head.json` of this version or an earlier one
 * @throws HeadError for text that is not a head, naming the field
 */
export function parseHeadInfo(text: string, path: string): HeadInfo {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new HeadError(`${path} is not JSON: the head is damaged, train it again`, { cause: error });
  }
  if (!isFields(parsed)) throw new HeadError(`${path} does not hold a head`);
  if (isNumber(parsed.version) && parsed.version > HEAD_VERSION) {
    throw new HeadError(
      `${path} has format version ${parsed.version}, this software reads up to ${HEAD_VERSION}: use a newer one`,
    );
  }
  const fields = migrateHeadInfo(parsed);
  for (const [name, check] of Object.entries(CHECKS)) {
    if (Object.hasOwn(fields, name) && check(fields[name], fields)) continue;
    throw new HeadError(`${path} does not hold a head: its ${name} is missing or damaged; train the head again`);
  }
  return fields as unknown as HeadInfo;
}
