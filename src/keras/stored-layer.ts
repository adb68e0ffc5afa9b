import type { Tensor } from '../graph/graph.js';

/** The weights of one layer in a file that lists them by layer. */
export interface StoredLayer {
  readonly name: string;
  /** In order; never empty. */
  readonly weightNames: readonly string[];
  readonly own: {
    shape(name: string): readonly number[] | null;
    tensor(name: string, shape: readonly number[]): Tensor;
  };
}
