import { UsageError } from '../errors.js';
import { THRESHOLD_CRITERIA, type ThresholdCriterion } from '../metrics/threshold.js';
import type { OptionRule } from '../train/option-rules.js';
import { checkRule } from '../train/options.js';

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
  /** Resamples of the intervals, 0 for none. Default 1000. */
  readonly bootstrap?: number;
}

export type ResolvedFit = Required<FitOptions>;

const ENDS = { min: 0, max: 1 };

/** What each may be: the one table that checks, command lines and plans are made from. */
export const FIT_RULES = {
  val: { type: 'number', describe: 'share of validation', default: 0.2, ...ENDS, below: true },
  shots: { type: 'number', describe: 'training images a class', default: 1, min: 1, max: 1e9, whole: true },
  folds: { type: 'number', describe: 'parts for cross-validation', default: 5, min: 2, max: 1000, whole: true },
  refit: { type: 'switch', describe: 'train anew on training and validation images', default: false },
  calibrate: { type: 'switch', describe: 'fit a temperature on validation', default: false },
  threshold: {
    type: 'choice',
    describe: 'of a yes: youden, f1 or accuracy made largest on validation, or a number',
    default: 'youden',
    choices: THRESHOLD_CRITERIA,
  },
  bootstrap: { type: 'number', describe: 'resamples of intervals', default: 1000, min: 0, max: 1e6, whole: true },
} as const satisfies Record<keyof FitOptions, OptionRule>;

const DEFAULTS: ResolvedFit = {
  val: FIT_RULES.val.default,
  shots: null,
  folds: null,
  refit: false,
  calibrate: false,
  threshold: null,
  bootstrap: FIT_RULES.bootstrap.default,
};

/** @throws UsageError for a value out of range */
export function checkFit(name: keyof FitOptions, value: unknown): unknown {
  if (value === null && DEFAULTS[name] === null) return value;
  if (name === 'threshold' && typeof value === 'number' && value >= ENDS.min && value <= ENDS.max) return value;
  return checkRule(FIT_RULES[name], name, value);
}

/**
 * @returns every default in place, in a fixed order
 * @throws UsageError for a value out of range, or options that do not go together
 */
export function resolveFit(options: FitOptions = {}): ResolvedFit {
  const names = Object.keys(DEFAULTS) as (keyof FitOptions)[];
  const resolved = Object.fromEntries(
    names.map((name) => [name, checkFit(name, options[name] ?? DEFAULTS[name])]),
  ) as unknown as ResolvedFit;
  if (resolved.folds !== null && resolved.refit) {
    throw new UsageError('cross-validation ends with a head trained on all images: leave refit out');
  }
  if (resolved.folds !== null && resolved.shots !== null) {
    throw new UsageError('folds take all images, shots a few of them: give one of the two');
  }
  return resolved;
}
