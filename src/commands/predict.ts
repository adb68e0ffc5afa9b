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
import { FileIndex, fingerprint, type SetSpec } from '../store/index.js';
import { type NamedImages, namesOf } from './names.js';
import { specOf } from './train.js';
import { VectorSource } from './vector-source.js';

export interface PredictOptions extends Partial<BaseOptions>, EngineOptions, OpenHooks, NamedImages {
  /** A head's folder, or its name in `cache/heads`. */
  readonly head: string;
  /** Default `cache`. */
  readonly cache?: string;
  /** Default 8. */
  readonly batchSize?: number;
  /**
   * Leave the cache alone. Default false: vectors that had to be computed go into the set of the head, where there is one that can be
   * written.
   */
  readonly noStore?: boolean;
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
  return loadHead(await headDir(head, cache));
}

/** @returns the caches in which the sets and bases of a head may lie: the given one, and the one that the head lies in */
export function cachesOf(dir: string, cache: string): string[] {
  const parts = path.resolve(dir).split(path.sep);
  const heads = parts.lastIndexOf('heads', -2);
  const own = heads < 1 ? [] : [parts.slice(0, heads).join(path.sep) || path.sep];
  return [...new Set([path.resolve(cache), ...own])];
}

/** @returns the folder of a head by name or folder @throws as `findHead` */
export async function headDir(head: string, cache: string): Promise<string> {
  const named = path.join(cache, 'heads', head);
  const isPath = /[/\\]/.test(head);
  if (!isPath && (await holdsHead(named))) return named;
  if (await holdsHead(head)) return head;
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
  caches: readonly string[],
  isOneOf = false,
): Promise<Base> {
  const [cache = 'cache'] = caches;
  const spec = specOf(facts.set);
  if (fingerprint(spec as unknown as SetSpec) !== facts.fingerprint) {
    throw new HeadError('the head does not carry the description of its features: train it again');
  }
  let kept: Base | null = null;
  for (const one of caches) kept ??= await keptBase(one, spec);
  if (kept && (options.base === undefined || isOneOf)) return kept;
  if (options.base === undefined) {
    throw new HeadError(
      `the base of this head (${baseDigest(spec)}) is not in ${caches.map((one) => path.join(one, 'bases')).join(' nor in ')}: give the --cache it was made with, or --base`,
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

/** A head, and what gives the vectors that it is asked about. */
export interface OpenedHead {
  readonly info: HeadInfo;
  /** @returns what it says of each image, in order @throws as `predict` */
  outputs(
    paths: readonly string[],
  ): AsyncGenerator<{ readonly path: string; readonly sha256: string; readonly outputs: number[] }>;
  close(): Promise<void>;
}

/** @throws as `predict` */
export async function openHead(name: string, options: Omit<PredictOptions, 'head'>): Promise<OpenedHead> {
  const { cache = 'cache', batchSize = DEFAULT_BATCH_SIZE } = options;
  const dir = await headDir(name, cache);
  const head = await loadHead(dir);
  const { info } = head;
  const facts = [{ fingerprint: info.fingerprint, set: info.set }, ...info.joined];
  const caches = cachesOf(dir, cache);
  const open = (one: SetFacts): Promise<Base> => matchBase(one, options, caches, facts.length > 1);
  if (options.base !== undefined) for (const one of facts) await open(one); // a wrong one is told before any work
  const engine = await openEngine(options);
  const keep = options.noStore !== true;
  const source = await VectorSource.open(facts, engine, { ...options, caches, batchSize, store: keep, open });
  const index = await FileIndex.open(caches.at(-1) ?? cache);
  const predictor = await HeadPredictor.open(head);
  const isHeld = (sha256: string): boolean => source.isHeld(sha256);
  return {
    info,
    async *outputs(paths) {
      for await (const batch of imageBatches(paths, source.specs, { ...options, batchSize, index, isHeld })) {
        const all = await predictor.predict(await source.vectors(batch), batch.length);
        const columns = all.length / batch.length;
        for (const [i, { path, sha256 }] of batch.entries())
          yield { path, sha256, outputs: Array.from(all.subarray(i * columns, (i + 1) * columns)) };
      }
    },
    async close() {
      try {
        await source.close();
        if (keep && source.isStored) await index.save();
      } finally {
        await predictor.release();
      }
    },
  };
}

/**
 * Asks a head about images: their vectors are read where they are stored, else computed by its base and stored there.
 * @returns one prediction an image, in order; images that cannot be used are told of and left out
 * @throws HeadError when the head is damaged or its base cannot be matched; DataError when there are no such files; CacheError where the
 *   head was trained on pixels of another revision; EngineError where the engine computes something else
 */
export async function* predict(options: PredictOptions): AsyncGenerator<Prediction> {
  checkOptions('predict', options);
  const paths = await namesOf(options);
  const head = await openHead(options.head, options);
  try {
    for await (const { path, outputs } of head.outputs(paths)) yield { path, ...said(head.info, outputs) };
  } finally {
    await head.close();
  }
}
