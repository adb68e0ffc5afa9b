import {
  type BaseOptions,
  classNames,
  DEFAULT_BATCH_SIZE,
  isFile,
  type OpenHooks,
  openClassifier,
} from '../base/index.js';
import type { EngineOptions } from '../engine/engine.js';
import { openEngine } from '../engine/index.js';
import { type FilesProgress, imageBatches, type ReadyImage } from '../extract/batches.js';
import { MANY_IMAGES, type Pixels, VectorRunner } from '../extract/vectors.js';
import { imagenetClasses } from '../keras/index.js';
import { checkOptions } from '../options/check.js';
import { type NamedImages, namesOf } from './names.js';

export interface ClassifyOptions extends BaseOptions, EngineOptions, OpenHooks, NamedImages {
  /** How many of the likeliest classes to give. Default 5. */
  readonly top?: number;
  /** Default 8, fewer where feature maps are large. */
  readonly batchSize?: number;
  readonly onWarning?: (message: string) => void;
  readonly onProgress?: (progress: FilesProgress) => void;
}

/** One class that a classifier finds in an image. */
export interface ClassScore {
  /** Place among the classifier's outputs, from 0. */
  readonly index: number;
  /**
   * Its name: of a `metadata.json` or `labels.txt` beside the model, as Teachable Machine writes them, or ImageNet's where there are
   * 1,000 classes; else absent.
   */
  readonly label?: string;
  /** WordNet's identifier of a class of ImageNet; else absent. */
  readonly wnid?: string;
  /** What the model gives: a probability where it ends in softmax or sigmoid. */
  readonly score: number;
}

/** An image and its classes, or why it could not be used. */
export type Classification =
  | {
      /** As given; in a folder, below it. */
      readonly path: string;
      /** The likeliest first. */
      readonly top: readonly ClassScore[];
      readonly error?: undefined;
    }
  | {
      readonly path: string;
      /** A sentence about the file, without its name: `it is empty`. */
      readonly error: string;
      readonly top?: undefined;
    };

/** Outputs of a classifier trained on ImageNet 2012. */
const IMAGENET = 1000;

/** @returns places of the largest scores, the largest first; equal ones in order */
function largest(scores: Float32Array, count: number): number[] {
  return Array.from(scores.keys())
    .sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b)
    .slice(0, count);
}

/** What each output of a classifier is called: by names beside its file, or ImageNet's where it has as many. */
async function classesOf(base: string, count: number): Promise<readonly Pick<ClassScore, 'label' | 'wnid'>[] | null> {
  const own = isFile(base) ? await classNames(base) : null;
  if (own?.length === count) return own.map((label) => ({ label }));
  return count === IMAGENET ? imagenetClasses() : null;
}

/**
 * Classifies images with a base's own top (`include_top=True`), or with a whole model: what Keras's `decode_predictions` gives.
 * @returns one result an image, in order; of one that cannot be used the reason
 * @throws as `openBase`; ModelError for a base without a classifier; DataError where a path does not exist
 */
export async function* classify(options: ClassifyOptions): AsyncGenerator<Classification> {
  checkOptions('classify', options);
  const { batchSize = DEFAULT_BATCH_SIZE, top = 5 } = options;
  const paths = await namesOf(options);
  const base = await openClassifier(options, options);
  const classes = await classesOf(options.base, base.spec.features);
  const runner = await VectorRunner.open(base, await openEngine(options), options, {
    batchSize: options.batchSize,
    many: paths.length >= MANY_IMAGES,
  });
  try {
    for await (const batch of imageBatches(paths, [base.spec], { ...options, batchSize })) {
      const usable = batch.filter((image): image is ReadyImage => image.error === undefined);
      const scores = usable.length === 0 ? [] : await runner.run(usable.map(({ pixels }) => pixels[0] as Pixels));
      let i = 0;
      for (const { path, error } of batch) {
        if (error !== undefined) {
          yield { path, error };
          continue;
        }
        const row = scores[i++] as Float32Array;
        yield { path, top: largest(row, top).map((index) => ({ index, ...classes?.[index], score: row[index] ?? 0 })) };
      }
    }
  } finally {
    await runner.release();
  }
}
