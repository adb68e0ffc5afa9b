import path from 'node:path';
import {
  type Base,
  type BaseOptions,
  baseDigest,
  calibrationOf,
  DEFAULT_BATCH_SIZE,
  inFloat,
  keptBase,
  nameBase,
  type OpenHooks,
  openBase,
  renewed,
} from '../base/index.js';
import type { EngineOptions } from '../engine/engine.js';
import { openEngine } from '../engine/index.js';
import { HeadError } from '../errors.js';
import { type FilesProgress, imageBatches, type ReadyImage, type UnusableImage } from '../extract/batches.js';
import { type Head, HeadPredictor, loadHead } from '../heads/head.js';
import type { HeadInfo } from '../heads/head-info.js';
import type { SetFacts } from '../heads/joined-sets.js';
import { holdsHead } from '../heads/place.js';
import { checkOptions } from '../options/check.js';
import { FileIndex, fingerprint, type SetSpec } from '../store/index.js';
import { type NamedImages, namesOf } from './names.js';
import { type Answer, checkAsked, type Prediction, said } from './prediction.js';
import { type Sorted, Sorter } from './sort-into.js';
import { specOf } from './train.js';
import { VectorSource } from './vector-source.js';

export interface PredictOptions extends Partial<BaseOptions>, EngineOptions, OpenHooks, NamedImages {
  /** A head's folder, or its name in `cache/heads`. */
  readonly head: string;
  /** Default `cache`. */
  readonly cache?: string;
  /** The file of the int8 calibration of the head's base, where the cache does not keep it. */
  readonly calibration?: string;
  /** Default 8, fewer where feature maps are large. */
  readonly batchSize?: number;
  /**
   * Leave the cache alone. Default false: vectors that had to be computed go into the set of the head, where there is one that can be
   * written.
   */
  readonly noStore?: boolean;
  /** The likeliest classes only, this many, the likeliest first. Default: all, in the head's order. */
  readonly top?: number;
  /** The least probability with which a label is said; images that reach it with none have an empty label. Default 0. */
  readonly minScore?: number;
  /**
   * A folder into which the images are sorted, one folder a class: second names of the files where the disk has such (hard links), else
   * copies. Nothing is moved or written over; of two images of one name the second gets digits of its content behind it.
   */
  readonly sortInto?: string;
  /** After the last image, with `sortInto`. */
  readonly onSorted?: (sorted: Sorted) => void;
  readonly onWarning?: (message: string) => void;
  readonly onProgress?: (progress: FilesProgress) => void;
}

/** A head and where it lies. */
export interface FoundHead extends Head {
  readonly dir: string;
}

/** @throws HeadError where neither the cache nor a folder holds such a head, or one of them cannot be read */
export async function findHead(head: string, cache = 'cache'): Promise<FoundHead> {
  const dir = await headDir(head, cache);
  return { ...(await loadHead(dir)), dir };
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
  options: Partial<BaseOptions> & OpenHooks & Pick<PredictOptions, 'calibration'>,
  caches: readonly string[],
  isOneOf = false,
): Promise<Base> {
  const [cache = 'cache'] = caches;
  const spec = specOf(facts.set);
  if (fingerprint(spec as unknown as SetSpec) !== facts.fingerprint) {
    throw new HeadError('the head does not carry the description of its features: train it again');
  }
  let kept: Base | null = null;
  for (const one of caches) kept ??= await keptBase(one, spec, options.calibration);
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
  if (fingerprint(base.spec as unknown as SetSpec) !== fingerprint(inFloat(renewed(spec)) as unknown as SetSpec)) {
    throw new HeadError(`${options.base} is not the base that this head was trained on (${baseDigest(spec)})`);
  }
  if (kept) return kept;
  const found = { ...(base as Base), spec };
  if (spec.precision !== 'int8') return found;
  return {
    ...found,
    calibration: await calibrationOf(
      cache,
      spec,
      options.calibration === undefined ? {} : { given: options.calibration },
    ),
  };
}

/** @returns the description of a head by name or folder @throws HeadError when there is none */
export async function headInfo(head: string, cache?: string): Promise<HeadInfo> {
  return (await findHead(head, cache)).info;
}

/** What a head gives for an image. */
export interface Outputs extends Pick<ReadyImage, 'path' | 'absolute' | 'sha256' | 'error'> {
  /** As `HeadPredictor.predict` gives them. */
  readonly outputs: readonly number[];
  /** What it was asked about. */
  readonly vector: Float32Array;
}

/** A head, and what gives the vectors that it is asked about. */
export interface OpenedHead {
  readonly info: HeadInfo;
  /** Its folder. */
  readonly dir: string;
  /** @returns what it says of each image, in order, or why it cannot be used @throws as `predict` */
  outputs(paths: readonly string[]): AsyncGenerator<Outputs | UnusableImage>;
  close(): Promise<void>;
}

/** @param named a head by name or folder, or as it was found @throws as `predict` */
export async function openHead(named: string | FoundHead, options: Omit<PredictOptions, 'head'>): Promise<OpenedHead> {
  const { cache = 'cache', batchSize = DEFAULT_BATCH_SIZE } = options;
  const head = typeof named === 'string' ? await findHead(named, cache) : named;
  const { info, dir } = head;
  const facts = [{ fingerprint: info.fingerprint, set: info.set }, ...info.joined];
  const caches = cachesOf(dir, cache);
  const open = (one: SetFacts): Promise<Base> => matchBase(one, options, caches, facts.length > 1);
  if (options.base !== undefined) for (const one of facts) await open(one); // a wrong one is told before any work
  const engine = await openEngine(options);
  const keep = options.noStore !== true;
  const source = await VectorSource.open(facts, engine, { ...options, caches, store: keep, open });
  const index = await FileIndex.open(caches.at(-1) ?? cache);
  const predictor = await HeadPredictor.open(head);
  const isHeld = (sha256: string): boolean => source.isHeld(sha256);
  return {
    info,
    dir,
    async *outputs(paths) {
      source.expect(paths.length);
      for await (const batch of imageBatches(paths, source.specs, { ...options, batchSize, index, isHeld })) {
        const usable = batch.filter((image): image is ReadyImage => image.error === undefined);
        const { length } = usable;
        const vectors = await source.vectors(usable);
        const all = length === 0 ? [] : await predictor.predict(vectors, length);
        const columns = all.length / length;
        let i = 0;
        for (const image of batch) {
          if (image.error !== undefined) {
            yield image;
            continue;
          }
          const vector = vectors.subarray(i * info.dim, (i + 1) * info.dim);
          yield { ...image, outputs: Array.from(all.slice(i * columns, ++i * columns)), vector };
        }
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
 * @param found the head that is named, where it was read before
 * @returns one prediction an image, in order; of one that cannot be used the reason
 * @throws HeadError when the head is damaged or its base cannot be matched; DataError when there are no such files; CacheError where the
 *   head was trained on pixels of another revision; EngineError where the engine computes something else; FileError where the images
 *   cannot be sorted into their folders
 */
export async function* predict(options: PredictOptions, found?: FoundHead): AsyncGenerator<Prediction> {
  checkOptions('predict', options);
  const { head: name, sortInto, top, minScore } = options;
  const paths = await namesOf(options);
  const named = found ?? (await findHead(name, options.cache));
  checkAsked(named.info, options);
  const head = await openHead(named, options);
  try {
    const sorter = sortInto === undefined ? null : await Sorter.open(sortInto, head.info, paths);
    for await (const image of head.outputs(paths)) {
      const { path, error } = image;
      if (error !== undefined) {
        yield { path, error };
        continue;
      }
      const answer = said(head.info, image.outputs, { top, minScore });
      await sorter?.sort({ ...image, labels: labelsOf(head.info, answer) });
      yield { path, ...answer };
    }
    if (sorter !== null) options.onSorted?.(sorter.sorted);
  } finally {
    await head.close();
  }
}

/** The classes that an answer names. */
const labelsOf = ({ task, classes }: HeadInfo, { label }: Answer): string[] =>
  label === '' ? [] : task === 'multilabel' ? classes.filter((one) => label.split('|').includes(one)) : [label];
