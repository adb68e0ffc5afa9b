import { ACTIVATIONS, type Activation } from './head-net.js';

const OPTIMIZERS = ['adam', 'adamw', 'sgd', 'rmsprop', 'lbfgs'] as const;
const SCHEDULES = ['constant', 'cosine', 'linear', 'exponential', 'step'] as const;
const SCALES = ['none', 'standard', 'l2'] as const;

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
  /** With Keras's defaults otherwise; `lbfgs` takes the whole set a step, in float64, to convergence. Default `adam`. */
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
}

export type ResolvedOptions = Required<HeadOptions>;

interface Rule<Value> {
  /** In a few words, for `--help`. */
  readonly describe: string;
  readonly default: Value;
  /** Where an optimizer has its own. */
  readonly defaults?: Partial<Record<Optimizer, Value>>;
}

/** What an option may be: the one table that checks, command lines, grids and plans are made from. */
export type OptionRule =
  | (Rule<number> & {
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
    })
  | (Rule<string> & { readonly type: 'choice'; readonly choices: readonly string[] })
  | (Rule<boolean> & { readonly type: 'switch' })
  | (Rule<readonly number[]> & { readonly type: 'sizes'; readonly most: number; readonly max: number })
  | (Rule<ClassWeight> & { readonly type: 'weights'; readonly max: number });

const number = <Extra extends Partial<OptionRule & { type: 'number' }>>(
  describe: string,
  fallback: number,
  min: number,
  max: number,
  extra?: Extra,
) => ({ type: 'number' as const, describe, default: fallback, min, max, ...extra });

export const OPTION_RULES = {
  hidden: { type: 'sizes', describe: 'units of each hidden layer', default: [], most: 8, max: 65_536 },
  activation: { type: 'choice', describe: 'of hidden layers', default: 'relu', choices: ACTIVATIONS },
  dropout: number('share dropped of hidden layers, or of the features', 0, 0, 1, { below: true }),
  batchNorm: { type: 'switch', describe: 'batch normalisation of hidden layers', default: false },
  optimizer: { type: 'choice', describe: 'what moves the weights', default: 'adam', choices: OPTIMIZERS },
  learningRate: number('of every optimizer but lbfgs', 1e-3, 0, 1000, {
    above: true,
    log: true,
    defaults: { sgd: 0.01 },
  }),
  momentum: number('of sgd and rmsprop', 0, 0, 1, { below: true }),
  nesterov: { type: 'switch', describe: 'Nesterov’s momentum, of sgd', default: false },
  weightDecay: number('share of the weights a step takes, times the learning rate', 0, 0, 1e6, {
    log: true,
    defaults: { adamw: 0.004 },
  }),
  schedule: { type: 'choice', describe: 'of the learning rate', default: 'constant', choices: SCHEDULES },
  warmup: number('epochs over which the learning rate rises', 0, 0, 1_000_000),
  decay: number('factor of the schedules exponential and step', 0.5, 0, 1, { above: true }),
  decayEvery: number('epochs until that factor', 10, 0, 1_000_000, { above: true }),
  epochs: number('most epochs', 300, 1, 1_000_000, { whole: true, defaults: { lbfgs: 10_000 } }),
  batchSize: number('vectors a step', 32, 1, 65_536, { whole: true }),
  patience: number('epochs without a better one', 10, 1, 1_000_000, { whole: true }),
  l1: number('penalty on absolute weights', 0, 0, 1e6, { log: true }),
  l2: number('penalty on squared weights', 0, 0, 1e6, { log: true }),
  classWeight: { type: 'weights', describe: 'balanced, or CLASS=WEIGHT,…', default: null, max: 1e6 },
  labelSmoothing: number('share of the targets spread over the classes', 0, 0, 1, { below: true }),
  scale: { type: 'choice', describe: 'of the vectors', default: 'none', choices: SCALES },
  seed: number('of split, order and weights', 0, 0, Number.MAX_SAFE_INTEGER, { whole: true }),
  tolerance: number('largest derivative at the end, of lbfgs', 1e-10, 0, 1, { above: true, log: true }),
} as const satisfies Record<keyof HeadOptions, OptionRule>;
