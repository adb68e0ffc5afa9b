import path from 'node:path';
import {
  type Base,
  type BaseSpec,
  isKept,
  keepBase,
  moveToCache,
  type OpenHooks,
  type ProofOptions,
} from '../base/index.js';
import { sha256Hex } from '../canonical.js';
import type { EngineOptions } from '../engine/engine.js';
import { openEngine } from '../engine/index.js';
import { DataError, ImageError } from '../errors.js';
import { errorCode } from '../files/index.js';
import { thumbnail } from '../images/thumbnail.js';
import type { Int8Report } from '../quantize/index.js';
import { type FoundFile, readImage, walk } from '../sources/index.js';
import { FileIndex } from '../store/index-file.js';
import type { FeatureSet, SetOptions } from '../store/set.js';
import { version } from '../version.js';
import { Claims } from './claims.js';
import { type Counted, counted } from './counted.js';
import { ordered } from './ordered.js';
import { isMine, type Shard } from './shard.js';
import { openThumbnails } from './thumbnails.js';
import { decodeBothFor, decodeFor, LazyRunner, type Pixels, VectorRunner } from './vectors.js';

/** Batches that are being read and decoded while one runs. */
export const BATCHES_AHEAD = 4;

export interface FeaturesProgress {
  /** Files looked at so far. */
  readonly done: number;
  /** All that the folder holds; while each is known they are not counted, and it is `done`. */
  readonly total: number;
  readonly extracted: number;
  readonly reused: number;
  readonly quarantined: number;
}

/** How images become vectors, whatever the base is. */
export interface ExtractOptions extends EngineOptions, OpenHooks, SetOptions {
  /** Folder of images. */
  readonly data: string;
  /** Default `cache`. */
  readonly cache?: string;
  /** Images a batch; it does not change the vectors. Default 8, fewer where feature maps are large. */
  readonly batchSize?: number;
  /** Try images again that are in quarantine. Default false. */
  readonly retryFailed?: boolean;
  /** Take only images whose content falls to this one of `count` shares, for jobs side by side. `index` begins at 1. */
  readonly shard?: Shard;
  /** Keep a small picture of each image in `cache/thumbnails`, for people. Default false. */
  readonly thumbnails?: boolean;
  /** Read and hash every file, also those whose size, time and inode say that they have not changed. Default false. */
  readonly verifyHashes?: boolean;
  /** After it was aborted: how many of the images that it extracted are stored. */
  readonly onStopped?: (stored: number) => void;
  readonly onStart?: (set: { readonly name: string; readonly dir: string; readonly features: number }) => void;
  readonly onProgress?: (progress: FeaturesProgress) => void;
  /** Something that costs nothing but should be known: an image in quarantine, a damaged part. */
  readonly onWarning?: (message: string) => void;
}

export interface FeaturesResult {
  /** Name of the set's folder. */
  readonly set: string;
  /** Its absolute path. */
  readonly dir: string;
  /** Length of a vector. */
  readonly dim: number;
  /** Image files found, quarantined ones too. */
  readonly images: number;
  /** Image files that fall to other shards. */
  readonly elsewhere: number;
  /** Other files, which were left alone. */
  readonly ignored: number;
  /** Distinct contents. */
  readonly extracted: number;
  readonly reused: number;
  readonly quarantined: number;
  /** The whole command. */
  readonly seconds: number;
  /** Extracted images over the time from the first decode to the last part in place; 0 where nothing was extracted. */
  readonly imagesPerSecond: number;
  /** With int8. */
  readonly int8?: Int8Report;
}

export interface Decoded {
  readonly sha256: string;
  readonly pixels: Pixels;
}

/**
 * Runs every image of a folder that a set lacks through its base.
 * @param options `started`: when the command began
 * @param open the base of the set, when it is needed
 * @throws as `features`
 */
export async function extract(
  set: FeatureSet,
  options: ExtractOptions & Pick<ProofOptions, 'pictures'> & { readonly started?: number },
  open: () => Promise<Base>,
): Promise<FeaturesResult> {
  const { started = performance.now() } = options;
  for (;;) {
    const result = await pass(set, { ...options, started }, open);
    if (result !== null) return result;
    options.onWarning?.(`${set.dir} lost vectors meanwhile, to cache gc: their images are extracted again`);
  }
}

/** What a set holds, whatever takes parts or the set itself away meanwhile. */
async function holdings(set: FeatureSet, { onWarning, shard }: Pick<ExtractOptions, 'onWarning' | 'shard'>) {
  // A machine of many holds the keys of its own share only.
  const isWanted = shard === undefined ? undefined : (key: Uint8Array) => isMine(key, shard);
  for (let tries = 1; ; tries++) {
    await set.hold();
    try {
      const parts = await set.partNames();
      return {
        parts,
        held: await set.keys((error) => onWarning?.(`${error.message}: its images are extracted again`), isWanted),
      };
    } catch (error) {
      if (errorCode((error as Error).cause ?? error) !== 'ENOENT' || tries === 5) throw error;
    }
  }
}

/** @returns null where vectors that it counted on were taken out of the set meanwhile */
async function pass(
  set: FeatureSet,
  options: ExtractOptions & Pick<ProofOptions, 'pictures'> & { readonly started?: number },
  open: () => Promise<Base>,
): Promise<FeaturesResult | null> {
  const { started = performance.now(), retryFailed = false, signal } = options;
  const { data, cache = 'cache' } = options;
  const spec = set.spec as unknown as BaseSpec;
  const engine = await openEngine(options);
  const { parts, held } = await holdings(set, options);
  const quarantine = await set.quarantine();
  for (const name of quarantine.damaged) {
    options.onWarning?.(`${path.join(set.dir, name)} is damaged: the images that it names are tried again`);
  }
  if (retryFailed) await quarantine.forget();
  const index = await FileIndex.open(cache, options);
  const small = options.thumbnails
    ? await openThumbnails(cache, { ...options, onDamaged: ({ message }) => options.onWarning?.(message) })
    : null;
  const writer = set.writer({ engine: engine.name, engineVersion: engine.version, version });
  // As its own function: what `open` gives, weights and all, is let go when it is done.
  const kept = async (): Promise<Base> => moveToCache(cache, await open(), options);
  const runner = new LazyRunner(async () =>
    VectorRunner.open(await kept(), engine, { ...options, cache }, { batchSize: options.batchSize, many: true }),
  );

  const claimed = new Claims(held);
  const count = { done: 0, images: 0, elsewhere: 0, ignored: 0, extracted: 0, reused: 0, quarantined: 0 };
  let firstDecode = 0;

  /** Counts a content whose fate is known; false where it must be extracted, by whoever asks first. */
  const settled = (sha256: string, place = held.find(sha256)): boolean => {
    const isHeld = place >= 0;
    const isBad = !isHeld && quarantine.has(sha256);
    if (!claimed.add(sha256, place)) return true;
    if (isHeld) count.reused++;
    if (isBad) count.quarantined++;
    return isHeld || isBad;
  };

  const putAside = (file: FoundFile, error: ImageError): void => {
    const sha256 = error.sha256 ?? null;
    quarantine.add({ sha256, path: file.path, stage: error.stage, message: error.message });
    count.quarantined++;
    options.onWarning?.(`${file.path} is put aside: it ${error.message}`);
  };

  /** Counts a file of which the index and the set say all; false where it must be read. */
  const isKnown = (file: FoundFile): boolean => {
    const known = options.verifyHashes ? null : index.lookup(file);
    if (known === null) return false;
    if ('other' in known) {
      count.ignored++;
    } else if (!isMine(known.sha256, options.shard)) {
      count.elsewhere++;
    } else {
      const place = held.find(known.sha256);
      const isHeld = place >= 0;
      if (!isHeld && !quarantine.has(known.sha256)) return false;
      if (isHeld && small?.has(known.sha256) === false) return false;
      count.images++;
      settled(known.sha256, place);
    }
    count.done++;
    return true;
  };

  let total: Counted | null = null;
  /**
   * Known files are passed over here, without the machinery of those that are read side by side. The first that is not makes
   * the run a long one, which is worth counting the files for: that lists every folder once more.
   */
  async function* unknown(): AsyncGenerator<FoundFile> {
    for await (const file of walk(data, { onLinkOut: (message) => options.onWarning?.(message), signal })) {
      if (!isKnown(file)) {
        total ??= await counted(data);
        yield file;
      } else if (count.done % 64 === 0) report();
      signal?.throwIfAborted();
    }
  }

  /** Reads and decodes a file that may be new; null where there is nothing to extract. */
  const prepare = async (file: FoundFile): Promise<Decoded | null> => {
    let sha256: string | undefined;
    try {
      const readAt = index.now();
      const image = await readImage(file, signal);
      if (image === null) {
        count.ignored++;
        index.remember(file, { other: true }, readAt);
        return null;
      }
      index.remember(file, { sha256: image.sha256 }, readAt);
      if (!isMine(image.sha256, options.shard)) {
        count.elsewhere++;
        return null;
      }
      count.images++;
      sha256 = image.sha256;
      if (settled(sha256)) {
        if (held.has(sha256) && small?.has(sha256) === false) {
          await small.add(sha256, await thumbnail(image.bytes, image.format));
        }
        return null;
      }
      await runner.get();
      if (firstDecode === 0) firstDecode = performance.now();
      if (small === null) return { sha256, pixels: await decodeFor(spec, image.bytes, image.format) };
      const both = await decodeBothFor(spec, image.bytes, image.format);
      await small.add(sha256, both.webp);
      return { sha256, pixels: both.pixels };
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      const failed = sha256 ?? error.sha256;
      if (sha256 === undefined) {
        if (failed !== undefined) index.remember(file, { sha256: failed });
        // What cannot be read falls to a shard by its name.
        if (!isMine(failed ?? sha256Hex(file.path), options.shard)) {
          count.elsewhere++;
          return null;
        }
        count.images++;
        if (failed !== undefined && settled(failed)) return null;
      }
      putAside(file, failed === undefined ? error : error.withSha256(failed));
      return null;
    } finally {
      count.done++;
    }
  };

  let batch: Decoded[] = [];
  /** Batches that are run, in order: the next is there when one is done. */
  const running: { readonly batch: readonly Decoded[]; readonly vectors: Promise<Float32Array[]> }[] = [];
  const store = async (): Promise<void> => {
    const first = running.shift();
    if (first === undefined) return;
    const vectors = await first.vectors;
    for (const [i, { sha256 }] of first.batch.entries()) {
      await writer.add(Buffer.from(sha256, 'hex'), vectors[i] as Float32Array);
      count.extracted++;
    }
  };
  const runBatch = async (): Promise<void> => {
    if (batch.length === 0) return;
    const opened = await runner.get();
    const vectors = opened.run(batch.map(({ pixels }) => pixels));
    vectors.catch(() => {}); // handled when its turn comes
    running.push({ batch, vectors });
    batch = [];
    // One more than is run, so that no lane waits for its images.
    if (running.length > (opened.lanes > 1 ? 1 : 0)) await store();
  };
  const report = (): void => options.onProgress?.({ ...count, total: Math.max(total?.files ?? 0, count.done) });

  const ahead = (): number => runner.batchSize * BATCHES_AHEAD;

  try {
    for await (const decoded of ordered(unknown(), prepare, ahead)) {
      signal?.throwIfAborted();
      if (decoded) batch.push(decoded);
      if (batch.length >= runner.batchSize) await runBatch();
      report();
    }
    await runBatch();
    while (running.length > 0) await store();
    if (count.images + count.elsewhere === 0) {
      throw new DataError(`${data} holds no images (${count.ignored} other files): give --data a folder of images`);
    }
    if (!(await isKept(cache, spec, options))) await runner.get();
    // Where it was opened long ago it may have been taken out since.
    if (!(await isKept(cache, spec, options))) await keepBase(cache, await open(), options);
  } finally {
    await writer.close();
    await small?.flush();
    if (signal?.aborted) options.onStopped?.(writer.stored);
    await set.hold();
    await quarantine.flush();
    await index.save();
    await runner.release();
  }
  const finished = performance.now();
  report();
  const left = new Set(await set.partNames().catch(() => []));
  if (![...parts, ...writer.names].every((name) => left.has(name))) {
    const { held: now } = await holdings(set, options);
    for (const key of claimed) if (!now.has(key) && !quarantine.has(Buffer.from(key).toString('hex'))) return null;
  }
  const { images, elsewhere, ignored, extracted, reused, quarantined } = count;
  const seconds = (finished - started) / 1000;
  const imagesPerSecond = extracted === 0 ? 0 : extracted / ((finished - firstDecode) / 1000);
  const folder = path.basename(set.dir);
  return {
    set: folder,
    dir: set.dir,
    dim: spec.features,
    images,
    elsewhere,
    ignored,
    extracted,
    reused,
    quarantined,
    seconds,
    imagesPerSecond,
  };
}
