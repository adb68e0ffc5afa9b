import path from 'node:path';
import {
  type Base,
  type BaseOptions,
  baseDigest,
  keptBase,
  nameBase,
  type OpenHooks,
  openBase,
  renewed,
} from '../base/index.js';
import type { EngineOptions } from '../engine/engine.js';
import { openEngine } from '../engine/index.js';
import { HeadError } from '../errors.js';
import { type FilesProgress, imageBatches } from '../extract/batches.js';
import { DEFAULT_BATCH_SIZE } from '../extract/extract.js';
import { type Head, HeadPredictor, loadHead } from '../heads/head.js';
import type { HeadInfo } from '../heads/head-info.js';
import type { SetFacts } from '../heads/joined-sets.js';
import { holdsHead } from '../heads/place.js';
import { checkOptions } from '../options/check.js';
import { FeatureSet, fingerprint, type SetSpec } from '../store/index.js';
import { type NamedImages, namesOf } from './names.js';
import { specOf } from './train.js';
import { vectorSource } from './vector-source.js';

export interface PredictOptions extends Partial<BaseOptions>, EngineOptions, OpenHooks, NamedImages {
  /** A head's folder, or its name in `cache/heads`. */
  readonly head: string;
  /** Default `cache`. */
  readonly cache?: string;
  /** Default 8. */
  readonly batchSize?: number;
  /** An image that cannot be used; it is left out. */
  readonly onWarning?: (message: string) => void;
  readonly onProgress?: (progress: FilesProgress) => void;
}

export interface Prediction {
  /** As given; in a folder, below it. */
  readonly path: string;
  /**
   * What the head says: the likeliest class, of a binary head the second where its probability is above the threshold; all labels
   * above their thresholds, joined by `|`, of a multilabel head; the number of a regression as text.
   */
  readonly label: string;
  /** Its probability; of several labels the lowest of theirs, of none the highest; of a regression the number. */
  readonly score: number;
  /** The probability of each class, in the head's order; empty of a regression. */
  readonly scores: readonly LabelScore[];
}

/** A class and its probability. */
export interface LabelScore {
  readonly label: string;
  readonly score: number;
}

/** @throws HeadError where neither the cache nor a folder holds such a head, or one of them cannot be read */
export async function findHead(head: string, cache: string): Promise<Head> {
  const named = path.join(cache, 'heads', head);
  const isPath = /[/\\]/.test(head);
  if (!isPath && (await holdsHead(named))) return loadHead(named);
  if (await holdsHead(head)) return loadHead(head);
  throw new HeadError(
    `there is no head ${JSON.stringify(head)}${isPath ? '' : ` in ${path.join(cache, 'heads')}`}: train one with permafrost train, or give its folder`,
  );
}

/**
 * A base that a head was trained on: kept in the cache, or the one that is given, if it is the same.
 * @param isOneOf whether the head has several bases, of which the given one is one
 * @throws HeadError where there is none, or the one that is given is another
 */
export async function matchBase(
  facts: SetFacts,
  options: Partial<BaseOptions> & OpenHooks,
  cache: string,
  isOneOf = false,
): Promise<Base> {
  const spec = specOf(facts.set);
  if (fingerprint(spec as unknown as SetSpec) !== facts.fingerprint) {
    throw new HeadError('the head does not carry the description of its features: train it again');
  }
  await (await FeatureSet.find(cache, facts.fingerprint))?.markUsed();
  const kept = await keptBase(cache, spec);
  if (kept && (options.base === undefined || isOneOf)) return kept;
  if (options.base === undefined) {
    throw new HeadError(
      `the base of this head (${baseDigest(spec)}) is not in ${path.join(cache, 'bases')}: give the --cache it was made with, or --base`,
    );
  }
  const { input, image, preprocess, type: store } = spec;
  const given = { inputSize: [input.height, input.width] as const, image: image.mode, preprocess, store, ...options };
  const named = { ...given, base: options.base };
  const base = kept ? await nameBase(cache, named, options) : await openBase(named, options);
  if (fingerprint(base.spec as unknown as SetSpec) !== fingerprint(renewed(spec) as unknown as SetSpec)) {
    throw new HeadError(`${options.base} is not the base that this head was trained on (${baseDigest(spec)})`);
  }
  return kept ?? { ...(base as Base), spec };
}

/** @returns what the head says of one image, from its outputs */
export function said({ task, classes, threshold }: HeadInfo, outputs: readonly number[]): Omit<Prediction, 'path'> {
  if (task === 'regression') {
    const value = outputs[0] ?? 0;
    return { label: String(value), score: value, scores: [] };
  }
  const scores = classes.map((label, k) => ({ label, score: outputs[k] ?? 0 }));
  const limits = threshold?.values ?? [];
  if (task === 'multilabel') {
    const said = scores.filter(({ score }, k) => score > (limits[k] ?? 0.5));
    const sure = said.map(({ score }) => score);
    const label = said.map((one) => one.label).join('|');
    return { label, score: said.length > 0 ? Math.min(...sure) : Math.max(...outputs), scores };
  }
  const likeliest = outputs.indexOf(Math.max(...outputs));
  const answer = task === 'binary' ? Number((outputs[1] ?? 0) > (limits[0] ?? 0.5)) : likeliest;
  return { label: classes[answer] ?? '', score: outputs[answer] ?? 0, scores };
}

/** @returns the description of a head by name or folder @throws HeadError when there is none */
export async function headInfo(head: string, cache = 'cache'): Promise<HeadInfo> {
  return (await findHead(head, cache)).info;
}

/**
 * Runs images through the base and the head.
 * @returns one prediction an image, in order; images that cannot be used are told of and left out
 * @throws HeadError when the head is damaged or its base cannot be matched; DataError when there are no such files; CacheError where the
 *   head was trained on pixels of another revision; EngineError where the engine computes something else
 */
export async function* predict(options: PredictOptions): AsyncGenerator<Prediction> {
  checkOptions('predict', options);
  const { cache = 'cache', batchSize = DEFAULT_BATCH_SIZE } = options;
  const paths = await namesOf(options);
  const head = await findHead(options.head, cache);
  const { info } = head;
  const facts = [{ fingerprint: info.fingerprint, set: info.set }, ...info.joined];
  const bases: Base[] = [];
  for (const one of facts) bases.push(await matchBase(one, options, cache, facts.length > 1));
  const engine = await openEngine(options);
  const predictor = await HeadPredictor.open(head);
  try {
    const source = await vectorSource(bases, facts, engine, { ...options, cache, batchSize });
    try {
      for await (const batch of imageBatches(paths, source.specs, { ...options, batchSize })) {
        const outputs = await predictor.predict(await source.vectors(batch), batch.length);
        const columns = outputs.length / batch.length;
        for (const [i, { path }] of batch.entries()) {
          yield { path, ...said(info, Array.from(outputs.subarray(i * columns, (i + 1) * columns))) };
        }
      }
    } finally {
      await source.release();
    }
  } finally {
    await predictor.release();
  }
}
