import type { EngineName } from '../engine/engine.js';
import type { HeadError } from '../errors.js';
import type { Targets, Task } from '../labels/targets.js';
import type { HeadNet } from './head-net.js';
import type { ResolvedOptions } from './options.js';
import type { Standardization } from './standardize.js';
import type { VectorSource } from './vectors.js';

/** Vectors and what they should give. */
export interface Examples {
  readonly vectors: VectorSource;
  /** A target for each row of the source, in or out of `rows`. */
  readonly y: Targets;
  /** The rows that count, ascending. Default: all. */
  readonly rows?: Uint32Array;
  /**
   * A number for each row of the source that follows from its content: which row comes before which other one in an epoch follows from
   * theirs and the seed, whatever other rows there are. Default: the row's own number.
   */
  readonly marks?: Uint32Array;
  /** A number for each row of the source: rows of one number are left out together by what leaves some out. Default: each alone. */
  readonly groups?: Uint32Array;
}

/** What heads are trained on. */
export interface TrainingData extends Examples {
  readonly task: Task;
  /** Names, in the order of the class numbers or labels; none for regression. */
  readonly classes: readonly string[];
}

/** One epoch, or one iteration of lbfgs, or all of a closed form; numbers from 1. Losses are means over the rows without penalties. */
export interface EpochRecord {
  readonly epoch: number;
  /** Over the epoch, each minibatch measured before its step. */
  readonly loss: number;
  /** Without class weights and label smoothing. Null without validation vectors, and between the iterations of lbfgs. */
  readonly valLoss: number | null;
  /** Share of right answers (multilabel: of right labels); null for regression and where `valLoss` is. */
  readonly valAccuracy: number | null;
}

/**
 * Why training ended: all epochs were run, the validation loss fell no more, lbfgs converged (a closed form always does), `drop` named the head, or the
 * loss was not finite.
 */
export const TRAINING_ENDS = ['epochs', 'patience', 'converged', 'dropped', 'diverged'] as const;
export type TrainingEnd = (typeof TRAINING_ENDS)[number];

export interface TrainHooks {
  /** @param head its place in the list */
  readonly onEpoch?: (head: number, record: EpochRecord) => void;
  /** Each head as it is after an epoch of minibatches whose losses are finite. */
  readonly onNet?: (head: number, net: HeadNet) => void;
  /**
   * Asked after each epoch which heads to stop, as for successive halving.
   * @param losses of each head, on validation where there is any; NaN of heads that have ended
   * @returns their places in the list
   */
  readonly drop?: (epoch: number, losses: readonly number[]) => Iterable<number>;
  /** Ends training between two steps by throwing its reason. */
  readonly signal?: AbortSignal;
  /** Default `onnx`; `tensorflow` trains heads of one layer with tfjs's optimizers. */
  readonly engine?: EngineName;
  /** Threads of the engine. Default: 1, and 2 where many heads train together. */
  readonly threads?: number;
}

/** What the heads of one call share. */
export interface TrainingRun {
  readonly data: TrainingData & { readonly rows: Uint32Array };
  readonly val: Required<Omit<Examples, 'groups' | 'marks'>> | null;
  /** Of the training rows; null where no head standardises. */
  readonly standardization: Standardization | null;
  readonly hooks: TrainHooks;
}

/** A head to train, and its place in the list. */
export interface PlacedHead {
  readonly place: number;
  readonly options: ResolvedOptions;
}

/** What a closed form chose. */
export interface ClosedForm {
  /** The penalty of `ridge`; null of `lda`. */
  readonly alpha: number | null;
  /** The share of `lda` that goes to the mean variance; null of `auto`, where each class has its own, and of `ridge`. */
  readonly shrinkage: number | null;
  /** What scores were multiplied by and moved by to be logits, for all units or for each; 1 and 0 where they are as solved. */
  readonly slopes: readonly number[];
  readonly offsets: readonly number[];
}

/** What came of a head; null where there is nothing to keep. */
export interface Outcome {
  readonly place: number;
  readonly outcome: {
    readonly net: HeadNet;
    readonly history: readonly EpochRecord[];
    readonly bestEpoch: number;
    readonly end: TrainingEnd;
    /** Of `lda` and `ridge`. */
    readonly closedForm?: ClosedForm;
  } | null;
  /** Why there is nothing, where it did not diverge. */
  readonly failure?: HeadError;
}

/** One head on its way. */
export interface Progress {
  readonly options: ResolvedOptions;
  readonly history: EpochRecord[];
  best?: { epoch: number; loss: number; net: HeadNet };
  end?: TrainingEnd;
}

export const outcomeOf = (place: number, { best, history, end = 'epochs' }: Progress): Outcome => ({
  place,
  outcome: best ? { net: best.net, history, bestEpoch: best.epoch, end } : null,
});

/** Takes a head one epoch on. @returns whether its loss was finite */
export function note(head: Progress, record: EpochRecord, net: HeadNet): boolean {
  const { epoch, loss, valLoss } = record;
  const chosen = valLoss ?? loss;
  if (!Number.isFinite(loss) || !Number.isFinite(chosen)) {
    head.end = 'diverged';
    return false;
  }
  head.history.push(record);
  if (!head.best || valLoss === null || chosen < head.best.loss) head.best = { epoch, loss: chosen, net };
  if (epoch - head.best.epoch >= head.options.patience) head.end = 'patience';
  else if (epoch >= head.options.epochs) head.end = 'epochs';
  return true;
}
