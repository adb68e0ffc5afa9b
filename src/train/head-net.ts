import type { ACTIVATIONS } from '../options/choices.js';

export type Activation = (typeof ACTIVATIONS)[number];

/** What a head ends with: a probability a unit, probabilities that sum to 1, or numbers as they are. */
export type Ending = 'sigmoid' | 'softmax' | 'linear';

/** A Dense layer. `kernel` is `[units, inputs]` (Keras keeps it the other way round), `bias` is `[units]`. */
export interface DenseWeights {
  readonly kernel: Float32Array;
  readonly bias: Float32Array;
}

/** A head ready to predict: standardisation and batch norms are folded into its layers. */
export interface HeadNet {
  /** Size of a vector. */
  readonly d: number;
  /** Whether each vector is divided by its length first. */
  readonly normalize: boolean;
  /** From the features on; the last one gives the logits. */
  readonly layers: readonly DenseWeights[];
  /** After each layer but the last. */
  readonly activation: Activation;
  readonly ending: Ending;
}
