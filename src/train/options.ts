import type { Task } from '../labels/targets.js';
import {
  checkValue,
  defaultOf,
  idleFault,
  idleOption,
  isChanged,
  unknownOption,
  usage,
  valueFromText,
} from '../options/check.js';
import type { OPTIMIZERS, SCALES, SCHEDULES, SHRINKAGES } from '../options/choices.js';
import { OPTIONS, type OptionRow } from '../options/table.js';
import type { Activation } from './head-net.js';

export type Optimizer = (typeof OPTIMIZERS)[number];
export type Schedule = (typeof SCHEDULES)[number];
/** What becomes of a vector before the first layer. */
export type Scale = (typeof SCALES)[number];
/** `balanced`: n / (classes · images of the class); or a weight for each class by name, 1 where none is given. */
export type ClassWeight = 'balanced' | Readonly<Record<string, number>> | null;

/** How a head is trained; every option has a default. */
export interface HeadOptions {
  /** Units of each hidden Dense layer, from the features on. Default none: a linear head. */
  readonly hidden?: readonly number[];
  /** After each hidden layer. Default `relu`. */
  readonly activation?: Activation;
  /** Share dropped of each hidden layer's output; of the features, where there is none. Default 0. */
  readonly dropout?: number;
  /** Keras's BatchNormalization between each hidden layer, then without bias, and its activation. Default false. */
  readonly batchNorm?: boolean;
  /**
   * With Keras's defaults otherwise; `lbfgs` takes the whole set a step, in float64, to convergence. `lda` and `ridge` are solved, not
   * trained: linear discriminants of classes with one covariance, and ridge regression of numbers, or of -1 and 1 for classes. Default
   * `adam`.
   */
  readonly optimizer?: Optimizer;
  /** Default 0.001; 0.01 for sgd, as in Keras. */
  readonly learningRate?: number;
  /** Of sgd and rmsprop. Default 0. */
  readonly momentum?: number;
  /** Nesterov's momentum, of sgd. Default false. */
  readonly nesterov?: boolean;
  /** Each step takes `learningRate * weightDecay` of every weight and bias, as in Keras. Default 0; 0.004 for adamw. */
  readonly weightDecay?: number;
  /** How the learning rate goes on after the warm-up, step by step. Default `constant`. */
  readonly schedule?: Schedule;
  /** Epochs over which the learning rate rises from 0. Default 0. */
  readonly warmup?: number;
  /** Of `exponential` and `step`: the factor every `decayEvery` epochs. Default 0.5. */
  readonly decay?: number;
  /** Default 10. */
  readonly decayEvery?: number;
  /** Most epochs; for lbfgs most iterations. Default 300; 10,000 for lbfgs. */
  readonly epochs?: number;
  /** Rows of a minibatch. Default 32. */
  readonly batchSize?: number;
  /** Epochs without a lower validation loss after which training ends. Default 10. */
  readonly patience?: number;
  /** The loss gains `l1 * sum(|kernel|)`. Default 0. */
  readonly l1?: number;
  /** The loss gains `l2 * sum(kernel ** 2)`. Default 0. */
  readonly l2?: number;
  /** Factor of an image's loss by its class; for multilabel, of a label's presence. Default null: all 1. */
  readonly classWeight?: ClassWeight;
  /** Targets become `(1 - s) * target + s / classes`; with sigmoids `s / 2`. Default 0. */
  readonly labelSmoothing?: number;
  /**
   * `standard`: each feature less its mean, over its deviation, both of the training vectors; `l2`: each vector over its
   * length. Default `none`, as in Keras: pooled features of Keras's bases are of order one, and on real images raw ones gave
   * the lower validation loss.
   */
  readonly scale?: Scale;
  /** Of the initial weights, of dropout, and of the order of the rows. Default 0. */
  readonly seed?: number;
  /** Of lbfgs: it ends when no derivative of the loss is larger, or float64 sees no descent any more. Default 1e-10. */
  readonly tolerance?: number;
  /**
   * Of lda, how far the covariance goes to a multiple of the identity: a share from 0 to 1; `trace`, that of the estimator
   * `d ((n - 1) S + tr(S) I)⁻¹` of the inverse (Wang et al., ICLR 2024); `auto`, Ledoit and Wolf's for each class, as scikit-learn;
   * `loo`, the largest share whose log loss of images that are left out, with their group, is within a standard error of the lowest.
   * Default `trace`.
   */
  readonly shrinkage?: (typeof SHRINKAGES)[number] | number;
  /**
   * Of ridge: penalties `alpha` of `sum((y - x w - b)²) + alpha |w|²`, as in scikit-learn. That of the lowest squared error of images that are
   * left out, with their group, is taken. Default 0.001, 0.01, …, 1,000,000.
   */
  readonly alphas?: readonly number[];
}

export type ResolvedOptions = Required<HeadOptions>;

const rows: readonly OptionRow[] = OPTIONS;

/** What each option of a head may be, from the table of options. */
export const HEAD_RULES = Object.fromEntries(
  rows.filter(({ group }) => group === 'Head').map((row) => [row.name, row]),
) as Readonly<Record<keyof HeadOptions, OptionRow>>;

const OPTION_NAMES = Object.keys(HEAD_RULES) as (keyof HeadOptions)[];

/**
 * @returns the options with every default in place, in a fixed order
 * @throws UsageError for an unknown option, a value out of range, or options that contradict each other
 */
export function resolveOptions(options: HeadOptions = {}): ResolvedOptions {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(HEAD_RULES, name)) throw unknownOption(name, OPTION_NAMES, 'head');
  }
  const optimizer = checkOption('optimizer', options.optimizer ?? HEAD_RULES.optimizer.default);
  const resolved = Object.fromEntries(
    OPTION_NAMES.map((name) => [name, checkOption(name, options[name] ?? defaultOf(HEAD_RULES[name], optimizer))]),
  ) as unknown as ResolvedOptions;
  checkTogether(resolved);
  return resolved;
}

/**
 * @param names which options are looked at
 * @throws UsageError for an option that is not its default and yet has no effect beside the others
 */
export function checkEffect(options: HeadOptions, names: (name: string) => boolean = () => true): void {
  const idle = idleOption(
    Object.values(HEAD_RULES),
    options as Readonly<Record<string, unknown>>,
    (row, value, optimizer) => names(row.name) && isChanged(row, value, optimizer),
  );
  if (idle !== null) throw idleFault(idle);
}

/** @returns the options without those that have no effect beside the others: heads of a grid that are the same count once */
export function withoutIdle(options: HeadOptions): HeadOptions {
  let left: HeadOptions = options;
  for (;;) {
    const idle = idleOption(Object.values(HEAD_RULES), left as Readonly<Record<string, unknown>>, () => true);
    if (idle === null) return left;
    const { [idle.name as keyof HeadOptions]: _, ...others } = left;
    left = others;
  }
}

/**
 * @returns the value, as the type of the option
 * @throws UsageError for a value that the option cannot have
 */
export function checkOption<Name extends keyof HeadOptions>(name: Name, value: unknown): ResolvedOptions[Name] {
  return checkValue(HEAD_RULES[name], value) as ResolvedOptions[Name];
}

/**
 * An option from text, as command lines and grids write it: `256,64` for hidden layers (`none` for none), `balanced`, `none` or
 * `cat=2,dog=1` for class weights.
 * @throws UsageError for text that is no value of the option
 */
export function optionFromText<Name extends keyof HeadOptions>(name: Name, text: string): ResolvedOptions[Name] {
  return valueFromText(HEAD_RULES[name], text) as ResolvedOptions[Name];
}

/** Whether an optimizer moves weights a minibatch at a time, over epochs. */
export const isByMinibatch = (optimizer: Optimizer = 'adam'): boolean =>
  optimizer !== 'lbfgs' && !isClosedForm(optimizer);

/** Whether a head is solved, not trained. */
export const isClosedForm = (optimizer: Optimizer = 'adam'): boolean => optimizer === 'lda' || optimizer === 'ridge';

/** @throws UsageError for a head that there is not for a task */
export function checkTask({ optimizer, classWeight }: ResolvedOptions, task: Task): void {
  if (optimizer === 'lda' && task !== 'binary' && task !== 'multiclass') {
    throw usage(`lda tells classes apart, of which an image has one: a ${task} head takes ridge, lbfgs or adam`);
  }
  if (optimizer === 'ridge' && task === 'multilabel' && classWeight !== null) {
    throw usage('ridge takes no {classWeight} with several labels an image: leave it out, or take adam');
  }
}

function checkTogether({ optimizer, hidden, l1, dropout }: ResolvedOptions): void {
  if (isClosedForm(optimizer)) {
    const penalty = optimizer === 'lda' ? '{shrinkage}' : '{alphas}';
    if (hidden.length > 0) throw usage(`${optimizer} is a linear head: leave {hidden} out, or take adam`);
    if (l1 > 0) throw usage(`${optimizer} is penalised by ${penalty}: leave {l1} out, or take adam`);
    if (dropout > 0) throw usage(`${optimizer} is penalised by ${penalty}: leave {dropout} out, or take adam`);
  }
  if (optimizer !== 'lbfgs') return;
  if (hidden.length > 0) throw usage('lbfgs trains a linear head: leave {hidden} out, or take adam');
  if (l1 > 0) throw usage('lbfgs needs a smooth loss: leave {l1} out, or take adam');
  if (dropout > 0) throw usage('lbfgs sees all rows at once: leave {dropout} out, or take adam');
}
