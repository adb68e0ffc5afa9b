import { stat } from 'node:fs/promises';
import path from 'node:path';
import { type Base, type BaseOptions, baseDigest, keptBase, type OpenHooks, openBase } from '../base/index.js';
import type { EngineOptions } from '../engine/engine.js';
import { openEngine } from '../engine/index.js';
import { HeadError } from '../errors.js';
import { imageBatches } from '../features/batches.js';
import { DEFAULT_BATCH_SIZE } from '../features/extract.js';
import { FeatureSet, fingerprint, type SetSpec } from '../features/index.js';
import { VectorRunner } from '../features/vectors.js';
import { type Head, HeadPredictor, loadHead } from './head.js';
import { specOf } from './train-set.js';

export interface PredictOptions extends Partial<BaseOptions>, EngineOptions, OpenHooks {
  /** Image files, or folders of them. */
  readonly paths: readonly string[];
  /** A head's folder, or its name in `cache/heads`. */
  readonly head: string;
  /** Default `cache`. */
  readonly cache?: string;
  /** Default 8. */
  readonly batchSize?: number;
  /** An image that cannot be used; it is left out. */
  readonly onWarning?: (message: string) => void;
}

export interface Prediction {
  /** As given; in a folder, below it. */
  readonly path: string;
  /** The likeliest class. */
  readonly label: string;
  /** Its probability. */
  readonly score: number;
  /** All classes in the head's order. */
  readonly scores: Readonly<Record<string, number>>;
}

const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );

async function findHead(head: string, cache: string): Promise<Head> {
  const named = path.join(cache, 'heads', head);
  const isPath = /[/\\]/.test(head);
  if (!isPath && (await exists(path.join(named, 'head.json')))) return loadHead(named);
  if (await exists(path.join(head, 'head.json'))) return loadHead(head);
  throw new HeadError(
    `there is no head ${JSON.stringify(head)}${isPath ? '' : ` in ${path.join(cache, 'heads')}`}: train one with permafrost train, or give its folder`,
  );
}

/** The base that a head was trained on: kept in the cache, or the one that is given, if it is the same. */
async function matchBase(head: Head, options: PredictOptions, cache: string): Promise<Base> {
  const spec = specOf(head.info.set);
  if (fingerprint(spec as unknown as SetSpec) !== head.info.fingerprint) {
    throw new HeadError('the head does not carry the description of its features: train it again');
  }
  await (await FeatureSet.find(cache, head.info.fingerprint))?.markUsed();
  const kept = await keptBase(cache, spec);
  if (kept) return kept;
  if (options.base === undefined) {
    throw new HeadError(
      `the base of this head (${baseDigest(spec)}) is not in ${path.join(cache, 'bases')}: give the --cache it was made with, or --base`,
    );
  }
  const { input, image, preprocess } = spec;
  const given = { inputSize: [input.height, input.width] as const, image: image.mode, preprocess, ...options };
  const base = await openBase({ ...given, base: options.base }, options);
  if (fingerprint(base.spec as unknown as SetSpec) !== head.info.fingerprint) {
    throw new HeadError(`${options.base} is not the base that this head was trained on (${baseDigest(spec)})`);
  }
  return base;
}

/**
 * Runs images through the base and the head.
 * @returns one prediction an image, in order; images that cannot be used are told of and left out
 * @throws HeadError when the head is damaged or its base cannot be matched; DataError when there are no such files
 */
export async function* predict(options: PredictOptions): AsyncGenerator<Prediction> {
  const { cache = 'cache', batchSize = DEFAULT_BATCH_SIZE } = options;
  const head = await findHead(options.head, cache);
  const base = await matchBase(head, options, cache);
  const predictor = await HeadPredictor.open(head);
  const engine = await openEngine(options);
  const runner = await VectorRunner.open(base, engine, options, batchSize);
  const { classes } = head.info;

  try {
    for await (const batch of imageBatches(options.paths, base.spec, { ...options, batchSize })) {
      const vectors = await runner.run(batch.map(({ pixels }) => pixels));
      const flat = new Float32Array(batch.length * base.spec.features);
      for (const [i, vector] of vectors.entries()) flat.set(vector, i * base.spec.features);
      const probabilities = await predictor.predict(flat, batch.length);
      for (const [i, { path }] of batch.entries()) {
        const row = Array.from(probabilities.subarray(i * classes.length, (i + 1) * classes.length));
        const score = Math.max(...row);
        const label = classes[row.indexOf(score)] ?? '';
        yield { path, label, score, scores: Object.fromEntries(classes.map((name, c) => [name, row[c] ?? 0])) };
      }
    }
  } finally {
    await runner.release();
    await predictor.release();
  }
}
