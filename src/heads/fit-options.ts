import { LabelError } from '../errors.js';
import type { Task } from '../labels/targets.js';
import type { ThresholdCriterion } from '../metrics/threshold.js';
import { checkValue, unknownOption, usage } from '../options/check.js';
import { OPTIONS, type OptionRow } from '../options/table.js';

/** What is done around the training of a head: how its images are divided, and how it is judged. */
export interface FitOptions {
  /** Share of validation where no split is given. Default 0.2. */
  readonly val?: number;
  /** Training images a class, seeded, the fewer among the more. Default null: all. */
  readonly shots?: number | null;
  /**
   * Parts for cross-validation of training and validation images together: each part is predicted by a head trained on the
   * others, the metrics are those of all these predictions, and the head that is kept is trained on all. Default null: none.
   */
  readonly folds?: number | null;
  /** Trains the head anew on training and validation images, for as many epochs as were best. Default false. */
  readonly refit?: boolean;
  /** Fits a temperature on validation and folds it into the head. Default false. */
  readonly calibrate?: boolean;
  /**
   * Above which probability a binary or multilabel head says yes: a number, or what is made largest on validation. Default
   * null: `youden` for binary (both classes count alike), `f1` of each label for multilabel.
   */
  readonly threshold?: ThresholdCriterion | number | null;
  /**
   * Share of new images whose set of classes is to hold theirs: what makes such sets is found on validation, with folds on what each
   * part says of the others. Of one class an image. Default null: no sets.
   */
  readonly coverage?: number | null;
  /** Resamples of the intervals, 0 for none. Default 1000. */
  readonly bootstrap?: number;
}

export type ResolvedFit = Required<FitOptions>;

/** @returns what decides a head: an option that came when there were heads already is left out where it is not given */
export function decisiveFit({ coverage, ...fit }: ResolvedFit): object {
  return coverage === null ? fit : { ...fit, coverage };
}

/**
 * @throws UsageError where sets of classes are asked of a task that has none; LabelError where there are no images to make them by
 */
export function checkCoverage(
  { coverage, folds }: ResolvedFit,
  { task, val }: { readonly task: Task; readonly val: readonly unknown[] },
): void {
  if (coverage === null) return;
  if (task !== 'binary' && task !== 'multiclass') {
    throw usage(`{coverage} is of one class an image, and this is a ${task} head: leave it out`);
  }
  if (folds === null && val.length === 0) {
    throw new LabelError('--coverage makes sets by validation images, and there are none: give some, or --folds');
  }
}

const rows: readonly OptionRow[] = OPTIONS;

/** What each may be, from the table of options. */
export const FIT_RULES = Object.fromEntries(
  rows.filter(({ group }) => group === 'Judging').map((row) => [row.name, row]),
) as Readonly<Record<keyof FitOptions, OptionRow>>;

const NAMES = Object.keys(FIT_RULES) as (keyof FitOptions)[];

/** @throws UsageError for a value out of range */
export const checkFit = (name: keyof FitOptions, value: unknown): unknown => checkValue(FIT_RULES[name], value);

/**
 * @returns every default in place, in a fixed order
 * @throws UsageError for an unknown option, a value out of range, or options that do not go together
 */
export function resolveFit(options: FitOptions = {}): ResolvedFit {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(FIT_RULES, name)) throw unknownOption(name, NAMES, 'head');
  }
  const resolved = Object.fromEntries(
    NAMES.map((name) => [name, checkFit(name, options[name] ?? FIT_RULES[name].default)]),
  ) as unknown as ResolvedFit;
  if (resolved.folds !== null && resolved.refit) {
    throw usage('cross-validation ends with a head trained on all images: leave {refit} out');
  }
  if (resolved.folds !== null && resolved.shots !== null) {
    throw usage('{folds} take all images, {shots} a few of them: give one of the two');
  }
  return resolved;
}
