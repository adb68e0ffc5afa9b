import { UsageError } from '../../errors.js';
import type { Graph } from '../../graph/graph.js';
import { Builder } from './builder.js';

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
  /** Whether Keras's ImageNet weights go into it: EfficientNet B0 to B7 then scale their pixels once more. Default false. */
  readonly imagenet?: boolean;
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
  /** What happens to pixels before the graph; `none` where its first layers do that. */
  readonly preprocess: 'tf' | 'caffe' | 'torch' | 'none';
  /** Width multipliers with ImageNet weights; absent where the architecture has none. */
  readonly alphas?: readonly number[];
  /** @throws UsageError for a size below the minimum, or an option out of range */
  build(options: ApplicationOptions): Graph;
  /** @throws UsageError for a variant without ImageNet weights */
  imagenet(options: ApplicationOptions): PublishedWeights;
}

type Facts = Omit<Application, 'build'>;

/**
 * @param facts everything but the layers
 * @param layers adds the layers after `input`; returns the name of the last
 */
export function application(
  facts: Facts,
  layers: (b: Builder, input: string, options: ApplicationOptions) => string,
): Application {
  const { name, minSize } = facts;
  return {
    ...facts,
    build(options) {
      const { height, width, channels } = options;
      if ((height ?? minSize) < minSize || (width ?? minSize) < minSize) {
        throw new UsageError(
          `${name} needs images of at least ${minSize}x${minSize}, found --input-size ${height}x${width}`,
        );
      }
      const b = new Builder();
      const input = b.input(height, width, channels);
      return b.graph(input, layers(b, input, options));
    },
  };
}

/** Where Keras keeps most weight files. */
export const WEIGHTS_URL = 'https://storage.googleapis.com/tensorflow/keras-applications';

/** The two files of an architecture: `STEM.h5` and `STEM_notop.h5` in a folder, with their hashes in that order. */
export const published =
  (folder: string, stem: string, [top, notop]: readonly [string | null, string | null], suffix = '_notop') =>
  ({ includeTop }: ApplicationOptions): PublishedWeights => {
    const file = `${stem}${includeTop ? '' : suffix}.h5`;
    return { file, url: `${folder}/${file}`, hash: includeTop ? top : notop };
  };

/** The classifier of most architectures: global average, then a softmax over the classes. */
export function classifier(b: Builder, x: string, options: ApplicationOptions, pool?: string): string {
  return b.dense(b.globalAverage(x, false, pool), options.classes ?? 1000, 'softmax', 'predictions');
}

/** The nearest multiple of 8, from 8 on, and not more than a tenth below the number: the rule of all MobileNets and EfficientNets. */
export function multipleOf8(number: number): number {
  const rounded = Math.max(8, Math.floor(Math.trunc(number + 4) / 8) * 8);
  return rounded < 0.9 * number ? rounded + 8 : rounded;
}
