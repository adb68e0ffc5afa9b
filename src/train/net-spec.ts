import type { Activation, Ending } from './head-net.js';

/** The shape of a head: what the forward pass needs. */
export interface NetSpec {
  /** Size of a vector. */
  readonly d: number;
  /** Units of the hidden layers. */
  readonly hidden: readonly number[];
  readonly activation: Activation;
  /** Units of the last layer. */
  readonly units: number;
  readonly ending: Ending;
  /** Whether each vector is divided by its length first. */
  readonly normalize: boolean;
}

/** What one training graph is compiled for. Heads of one spec are trained together; what is false is left out of the graph. */
export interface PackSpec extends NetSpec {
  /** Whether vectors are standardised on the way, as `(x - mean) * inverse`. */
  readonly standardize: boolean;
  readonly batchNorm: boolean;
  readonly dropout: boolean;
  readonly optimizer: 'adam' | 'sgd' | 'rmsprop';
  readonly momentum: boolean;
  readonly nesterov: boolean;
  readonly weightDecay: boolean;
  readonly l1: boolean;
  readonly l2: boolean;
  readonly classWeight: boolean;
  readonly labelSmoothing: boolean;
}

/** Keras's defaults of BatchNormalization. */
export const BATCH_NORM = { momentum: 0.99, epsilon: 1e-3 } as const;

/** A tensor that the steps change: `out` rows and `width` columns for each head. */
export interface Variable {
  readonly name: string;
  readonly out: number;
  readonly width: number;
  /** Of the first layer: heads and rows are one axis, so that one product serves all heads. */
  readonly flat: boolean;
  readonly kind: 'kernel' | 'bias' | 'gamma' | 'beta' | 'mean' | 'variance';
}

/** @returns the variables of a pack, from the features on */
export function variablesOf(spec: NetSpec & { readonly batchNorm?: boolean }): Variable[] {
  return [...spec.hidden, spec.units].flatMap((out, i, sizes) => {
    const flat = i === 0;
    const inputs = sizes[i - 1] ?? spec.d;
    const column = (kind: Variable['kind'], isFlat: boolean): Variable => ({
      name: `${kind}${i}`,
      out,
      width: 1,
      flat: isFlat,
      kind,
    });
    const isNormed = spec.batchNorm === true && i < spec.hidden.length;
    return [
      { name: `kernel${i}`, out, width: inputs, flat, kind: 'kernel' as const },
      // A bias before a batch norm does nothing, but for what Adam makes of the rounding errors in its gradient.
      ...(isNormed
        ? (['gamma', 'beta', 'mean', 'variance'] as const).map((kind) => column(kind, false))
        : [column('bias', flat)]),
    ];
  });
}

/** @returns width of a row of targets in the graph: class number, value, or one for each unit */
export const targetWidth = ({ ending, units }: NetSpec): number => (ending === 'softmax' ? 1 : units);
