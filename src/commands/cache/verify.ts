import { createHash } from 'node:crypto';
import path from 'node:path';
import type { EngineOptions } from '../../engine/engine.js';
import { CacheError } from '../../errors.js';
import { extract, type FeaturesProgress } from '../../extract/extract.js';
import { hashedFiles } from '../../extract/hashes.js';
import { errorCode, realSystem, type StoreSystem, storeError } from '../../files/index.js';
import { checkOptions } from '../../options/check.js';
import { type FeatureSet, FileIndex, firstUnstorable, KeySet, type StoreOptions } from '../../store/index.js';
import { listParts, Part } from '../../store/part.js';
import { openParts } from '../../store/parts.js';
import { checkThumbnails, THUMBNAILS, thumbnailParts } from '../../store/thumbnails.js';
import { chooseSets } from './list.js';
import type { CacheProgressHook } from './progress.js';
import { baseOf, type Known, pick, type Recomputed, recompute } from './recompute.js';

/** What `cache verify` found in one set, or in the small pictures of the cache (`set` is `thumbnails`), of which none is ever lost. */
export interface Verified {
  readonly set: string;
  readonly dir: string;
  readonly parts: number;
  /** Rows of sound parts. */
  readonly rows: number;
  readonly damaged: readonly DamagedPart[];
  /** Images to be extracted again, because no sound part holds them; with `data` those that lie there, sorted by path. */
  readonly lost: readonly LostImage[];
  /** Rows of damaged parts whose keys cannot be read, so that their images are not known but by looking through `data`. */
  readonly unknown: number;
  /** With `sample`. */
  readonly recomputed: Recomputed | null;
  /** Whether the damaged parts have been deleted. */
  readonly repaired: boolean;
  /** Images that were extracted again, with `repair` and `data`. */
  readonly extracted: number;
}

export interface DamagedPart {
  /** File name; of the quarantine too. */
  readonly part: string;
  readonly reason: string;
}

export interface LostImage {
  /** Below the data folder; null without one. */
  readonly path: string | null;
  readonly sha256: string;
}

export interface VerifyOptions extends StoreOptions, EngineOptions, CacheProgressHook {
  /** Names or folders of sets. Default: all of the cache. */
  readonly sets?: readonly string[];
  /** Folder of the images. */
  readonly data?: string;
  /** So many vectors are computed again and compared; needs `data`. Default 0. */
  readonly sample?: number;
  /** Picks the sample. Default 0. */
  readonly seed?: number;
  /** Delete damaged parts and, with `data`, extract their images again; without, the next `features` does. Default false. */
  readonly repair?: boolean;
  /** Images a batch of those that are extracted again. Default 8, fewer where feature maps are large. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
  readonly onWarning?: (message: string) => void;
}

const PIECE = 2 ** 20;

/** @returns the SHA-256 of a file's bytes in hex */
async function sha256(set: FeatureSet, name: string): Promise<string> {
  const file = path.join(set.dir, name);
  const hash = createHash('sha256');
  try {
    const open = await set.system.open(file, 'read');
    try {
      const piece = new Uint8Array(PIECE);
      for (let at = 0, read = PIECE; read === PIECE; at += read) {
        read = await open.read(piece, at);
        hash.update(piece.subarray(0, read));
      }
    } finally {
      await open.close();
    }
  } catch (error) {
    throw errorCode(error) === 'ENOENT' ? error : storeError(error, 'to read a part', file);
  }
  return hash.digest('hex');
}

/** @returns the keys of a sound part, or why it is not sound */
async function check(set: FeatureSet, name: string): Promise<Uint8Array[] | string> {
  const id = (await sha256(set, name)).slice(0, 32);
  if (name !== `part-${id}.arrow`) return `its bytes hash to ${id}, so they are not those that were written`;
  const part = await Part.open(set.system, set.dir, name, set);
  try {
    const keys: Uint8Array[] = [];
    let scratch = new ArrayBuffer(0);
    for (let batch = 0; batch < part.batches; batch++) {
      keys.push(await part.keys(batch));
      const vectors = await part.vectors(batch, scratch);
      scratch = vectors.buffer as ArrayBuffer;
      const bad = firstUnstorable(vectors, set.spec.type);
      if (bad >= 0) return `row ${Math.floor(bad / set.spec.features)} of batch ${batch} holds ${vectors[bad]}`;
    }
    return keys;
  } finally {
    await part.close();
  }
}

/** @returns the keys of a damaged part that belongs to the set, null where they cannot be trusted */
async function salvage(set: FeatureSet, name: string): Promise<Uint8Array[] | null> {
  try {
    const part = await Part.open(set.system, set.dir, name, set);
    try {
      const keys: Uint8Array[] = [];
      for (let batch = 0; batch < part.batches; batch++) keys.push(await part.keys(batch));
      return keys;
    } finally {
      await part.close();
    }
  } catch (error) {
    if (error instanceof CacheError) return null;
    throw error;
  }
}

/**
 * Checks every part of the sets of a cache, or of the sets given: that its bytes are those it is named after, that it reads to
 * its end, belongs to the set, and that every value is finite. Says which images are lost with damaged parts; with `sample`
 * computes vectors anew and compares.
 * @throws UsageError for a sample without `data`; CacheError for a folder that is no set, or where a base is needed and not kept;
 *   DataError about `data`
 */
export async function verifySets(cache: string, options: VerifyOptions = {}): Promise<Verified[]> {
  checkOptions('cache verify', options);
  const { sets = [] } = options;
  const results: Verified[] = [];
  const chosen: { readonly set: FeatureSet; readonly parts: readonly string[] }[] = [];
  for (const set of await chooseSets(cache, sets, options))
    chosen.push({ set, parts: await listParts(set.system, set.dir) });
  const pictures = sets.length === 0 ? await thumbnailParts(cache, options.system) : [];
  const total = chosen.reduce((sum, { parts }) => sum + parts.length, pictures.length);
  let done = 0;
  const onPart = (): void => options.onProgress?.({ done: ++done, total, what: 'parts' });
  for (const { set, parts } of chosen) results.push(await verifySet(cache, set, parts, options, onPart));
  if (pictures.length > 0) results.push(await verifyThumbnails(cache, pictures, options, onPart));
  return results;
}

/** Damaged parts of small pictures are deleted with `repair`: what they held is made again when it is needed. */
async function verifyThumbnails(
  cache: string,
  names: readonly string[],
  { system = realSystem, repair = false, signal }: VerifyOptions,
  onPart: () => void,
): Promise<Verified> {
  const dir = path.resolve(cache, THUMBNAILS);
  const damaged: DamagedPart[] = [];
  let [parts, rows] = [0, 0];
  for (const part of names) {
    signal?.throwIfAborted();
    const found = await checkThumbnails(system, path.join(dir, part));
    if (found !== null) parts++;
    if (typeof found === 'number') rows += found;
    if (typeof found === 'string') damaged.push({ part, reason: found });
    onPart();
  }
  if (repair) for (const { part } of damaged) await removePart(system, path.join(dir, part));
  const nothing = { lost: [], unknown: 0, recomputed: null, extracted: 0 };
  return { set: THUMBNAILS, dir, parts, rows, damaged, ...nothing, repaired: repair && damaged.length > 0 };
}

async function verifySet(
  cache: string,
  set: FeatureSet,
  names: readonly string[],
  options: VerifyOptions,
  onPart: () => void,
): Promise<Verified> {
  const { data, sample = 0, seed = 0, repair = false } = options;
  const damaged: DamagedPart[] = [];
  const broken = new KeySet();
  let parts = 0;
  let rows = 0;
  let unknown = 0;
  for (const part of names) {
    options.signal?.throwIfAborted();
    try {
      const found = await check(set, part).catch((error: unknown) => {
        if (error instanceof CacheError) return error.message;
        throw error;
      });
      const keys = typeof found === 'string' ? await salvage(set, part) : found;
      parts++;
      if (typeof found === 'string') damaged.push({ part, reason: found });
      if (keys === null) unknown++;
      for (const flat of keys ?? []) {
        if (typeof found !== 'string') rows += flat.length / 32;
        else for (let row = 0; row < flat.length / 32; row++) broken.addRow(flat, row);
      }
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error; // merged away meanwhile
    }
    onPart();
  }
  const here = data === undefined || (damaged.length === 0 && sample === 0) ? [] : await imagesOf(cache, data, options);
  const sound = await soundOf(set, damaged, broken, here);
  const unusable = await set.quarantine();
  for (const part of unusable.damaged) {
    damaged.push({
      part,
      reason: 'its bytes are not those that it is named after, so the images that it names are tried again',
    });
  }
  const usable = here.filter(({ sha256 }) => !unusable.has(sha256));
  const lost = lostImages(sound, broken, unknown > 0, data === undefined ? null : usable);
  const recomputed =
    sample === 0
      ? null
      : await recompute(
          cache,
          set,
          pick(
            here.filter((image) => sound.has(image.sha256)),
            sample,
            seed,
          ),
          options,
        );
  if (repair) for (const { part } of damaged) await removePart(set.system, path.join(set.dir, part));
  const again = repair && data !== undefined && lost.length > 0 ? await extractAgain(cache, set, data, options) : 0;
  return {
    set: path.basename(set.dir),
    dir: set.dir,
    parts,
    rows,
    damaged,
    lost,
    unknown,
    recomputed,
    repaired: repair && damaged.length > 0,
    extracted: again,
  };
}

/** @returns those of the broken keys, and of the images, that a sound part holds */
async function soundOf(
  set: FeatureSet,
  damaged: readonly DamagedPart[],
  broken: KeySet,
  here: readonly Known[],
): Promise<KeySet> {
  const sound = new KeySet();
  if (broken.size + here.length === 0) return sound;
  const asked = new KeySet(here.map(({ sha256 }) => sha256));
  for (let i = 0; i < broken.size; i++) asked.add(broken.at(i));
  const without = damaged.map(({ part }) => part);
  for await (const part of openParts(set, () => {}, without)) {
    try {
      for (let batch = 0; batch < part.batches; batch++) {
        const flat = await part.keys(batch);
        for (let row = 0; row < flat.length / 32; row++) if (asked.indexOfRow(flat, row) >= 0) sound.addRow(flat, row);
      }
    } catch (error) {
      if (!(error instanceof CacheError)) throw error; // damaged meanwhile
    }
  }
  return sound;
}

/** The images of a folder, each content once. */
async function imagesOf(cache: string, data: string, options: VerifyOptions): Promise<Known[]> {
  const index = await FileIndex.open(cache, options);
  const seen = new KeySet();
  const images: Known[] = [];
  for await (const file of hashedFiles(data, index, options.signal)) {
    const size = seen.size;
    if (file.sha256 === null || seen.add(file.sha256) < size) continue;
    images.push({ path: file.path, absolute: file.absolute, sha256: file.sha256 });
  }
  await index.save();
  return images;
}

/** @param guess whether some keys are not known, so that any image without a sound row may be lost */
function lostImages(sound: KeySet, broken: KeySet, guess: boolean, here: readonly Known[] | null): LostImage[] {
  if (here !== null) {
    return here
      .filter((image) => !sound.has(image.sha256) && (guess || broken.has(image.sha256)))
      .map(({ path, sha256 }) => ({ path, sha256 }));
  }
  const lost: LostImage[] = [];
  for (let i = 0; i < broken.size; i++) {
    const key = broken.at(i);
    if (!sound.has(key)) lost.push({ path: null, sha256: Buffer.from(key).toString('hex') });
  }
  return lost;
}

async function removePart(system: StoreSystem, file: string): Promise<void> {
  await system.unlink(file).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw storeError(error, 'to remove a damaged part', file);
  });
}

/** @returns how many images of the folder were extracted: those that the set lacks */
async function extractAgain(cache: string, set: FeatureSet, data: string, options: VerifyOptions): Promise<number> {
  const { sets: _, sample: _sample, seed: _seed, repair: _repair, onProgress, ...rest } = options;
  const onImage = ({ done, total }: FeaturesProgress): void => onProgress?.({ done, total, what: 'images' });
  const done = await extract(set, { ...rest, data, cache, onProgress: onImage }, () => baseOf(cache, set));
  return done.extracted;
}
