import type { PackSpec } from './net-spec.js';
import type { ResolvedOptions } from './options.js';
import type { VectorBlock } from './vectors.js';

/** Engines hold the JavaScript thread while they run; this long at a time (ms) leaves room for Ctrl-C and progress. */
export const CHUNK_MS = 40;

/** What may differ between the heads of a pack. */
export interface PackedHead {
  /** The value of each variable to begin with, by name. */
  readonly start: ReadonlyMap<string, Float32Array>;
  /** @returns the learning rate of a step, from 0 */
  readonly learningRate: (step: number) => number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly l1: number;
  readonly l2: number;
  readonly dropout: number;
  readonly labelSmoothing: number;
  /** Factor of the loss by class (softmax), or for each unit absent and present (sigmoid: `[absent, present]` a unit). */
  readonly classWeights: Float32Array | null;
}

/** `(x - mean) * inverse`, one value a feature. */
export interface Scaling {
  readonly mean: Float32Array;
  readonly inverse: Float32Array;
}

/** Heads of one spec in training together: their weights, and what the optimizer keeps. The same calls give the same bits. */
export interface Trainer {
  /**
   * Goes once through the rows of a block, in the order of `at`. The last minibatch holds what is left and counts by its own size.
   * @param targets those of all heads, or of each; see the spec's ending: class number, value, or one for each unit, a row of the source
   * @param noise gives the next number in [0, 1) of the dropout
   * @param afterChunk called between chunks of about 40 ms; what it throws ends the epoch
   * @param seen of each head, 1 for the rows of the source that are its own, null for all; given where the maker mixes such heads
   * @returns for each head the loss summed over the rows, each minibatch measured before its step; penalties are not in it
   */
  run(
    block: VectorBlock,
    targets: readonly ArrayLike<number>[],
    batchSize: number,
    noise?: () => number,
    afterChunk?: () => void,
    seen?: readonly (Uint8Array | null)[],
  ): Promise<Float64Array>;
  /** @returns the variables of a head after the last step, in the space of the standardised vectors; copies */
  variables(head: number): Promise<Map<string, Float32Array>>;
  /**
   * Measures a head as it is on rows whose raw vectors it trains on where they lie.
   * @returns sums over the rows of its loss, without class weights and smoothing, and of its right answers (NaN of `linear`); null where they
   * must be measured elsewhere
   */
  measure?(
    head: number,
    block: VectorBlock,
    targets: ArrayLike<number>,
  ): Promise<{ readonly loss: number; readonly hits: number }> | null;
  /** Goes on with some of the heads only. @param kept their places, ascending */
  keep(kept: readonly number[]): void;
  release(): Promise<void>;
}

/** What makes the trainers of one engine. */
export interface TrainerMaker {
  /** Heads of one trainer at most. */
  readonly most: number;
  /** @throws UsageError for options that it does not train, naming them */
  check(options: ResolvedOptions): void;
  /** @returns whether so many heads of the same rows train together with heads of other rows of the same vectors */
  mixes(spec: PackSpec, heads: number, batchSize: number): boolean;
  create(spec: PackSpec, heads: readonly PackedHead[], options: TrainerOptions): Promise<Trainer>;
}

export interface TrainerOptions {
  /** Whether heads have rows of their own, or vectors lie where the trainer of such heads takes them in place. */
  readonly isMixed: boolean;
  /** Where the spec standardises. */
  readonly scaling?: Scaling | undefined;
  /** Of the engine. */
  readonly threads?: number | undefined;
}
