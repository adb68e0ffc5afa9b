import { UsageError } from '../../errors.js';
import type { Graph } from '../../graph/graph.js';

export interface ApplicationOptions {
  readonly height: number | null;
  readonly width: number | null;
  readonly channels: number;
  /** Whether the classifier is built too. */
  readonly includeTop: boolean;
  /** Width multiplier, where the architecture has one. Default 1. */
  readonly alpha?: number;
  /** Classes of the classifier. Default 1000. */
  readonly classes?: number;
}

/** A file of weights as Keras publishes it. */
export interface PublishedWeights {
  readonly file: string;
  readonly url: string;
  /** MD5 or SHA-256 in hex; null where Keras gives none. */
  readonly hash: string | null;
}

/** An architecture of `keras.applications`. */
export interface Application {
  /** Keras's function name in lower case with hyphens. */
  readonly name: string;
  /** Height and width that its ImageNet weights were trained at. */
  readonly defaultSize: number;
  /** The least height and width that Keras takes. */
  readonly minSize: number;
  readonly preprocess: 'tf' | 'caffe' | 'torch' | 'none';
  /** Width multipliers with ImageNet weights; absent where the architecture has none. */
  readonly alphas?: readonly number[];
  /** @throws UsageError for a size below the minimum, or an option out of range */
  build(options: ApplicationOptions): Graph;
  /** @throws UsageError for a variant without ImageNet weights */
  imagenet(options: ApplicationOptions): PublishedWeights;
}

/** @throws UsageError for a size below the architecture's minimum */
export function checkSize(name: string, minSize: number, { height, width }: ApplicationOptions): void {
  if ((height ?? minSize) < minSize || (width ?? minSize) < minSize) {
    throw new UsageError(
      `${name} needs images of at least ${minSize}x${minSize}, found --input-size ${height}x${width}`,
    );
  }
}
