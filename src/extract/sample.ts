import type { BaseSpec } from '../base/index.js';
import { DataError, ImageError } from '../errors.js';
import { type FoundFile, readImage, walk } from '../sources/index.js';
import type { FileIndex } from '../store/index-file.js';
import { ordered } from './ordered.js';
import { decodeFor, type Pixels } from './vectors.js';

/** Files, by name, among which the images of a calibration are found. */
const POOL = 4096;
/** Images that a calibration measures, and others that it is judged by. */
const CALIBRATED = 256;
const HELD_OUT = 64;
/** Of fewer images than both, the share that it is judged by. */
const HELD_SHARE = 0.2;
/** Fewer images say too little. */
const LEAST = 16;
/** Files that are read side by side. */
const DEPTH = 16;

/** Pixels of images, those of the lowest content hashes first. */
export interface Sample {
  readonly calibrated: readonly Pixels[];
  readonly held: readonly Pixels[];
}

export interface SampleOptions {
  readonly data: string;
  readonly index: FileIndex;
  readonly signal?: AbortSignal;
}

/** @returns the images of a folder's first files with their hashes, the lowest first, each content once */
async function pool({ data, index, signal }: SampleOptions): Promise<{ file: FoundFile; sha256: string }[]> {
  async function* first(): AsyncGenerator<FoundFile> {
    let files = 0;
    for await (const file of walk(data, { signal })) {
      if (files++ === POOL) return;
      yield file;
    }
  }
  const hash = async (file: FoundFile): Promise<{ file: FoundFile; sha256: string } | null> => {
    signal?.throwIfAborted();
    const known = index.lookup(file);
    if (known !== null) return 'other' in known ? null : { file, sha256: known.sha256 };
    try {
      const image = await readImage(file, signal);
      return image && { file, sha256: image.sha256 };
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      return null;
    }
  };
  const found = new Map<string, FoundFile>();
  for await (const one of ordered(first(), hash, DEPTH))
    if (one && !found.has(one.sha256)) found.set(one.sha256, one.file);
  return [...found].map(([sha256, file]) => ({ file, sha256 })).sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
}

/** Decodes images in order; those that cannot be are left out. */
async function* decoded(spec: BaseSpec, files: readonly { file: FoundFile }[], signal: AbortSignal | undefined) {
  const work = async ({ file }: { file: FoundFile }): Promise<Pixels | null> => {
    signal?.throwIfAborted();
    try {
      const image = await readImage(file, signal);
      return image && (await decodeFor(spec, image.bytes, image.format));
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      return null;
    }
  };
  async function* each() {
    yield* files;
  }
  for await (const pixels of ordered(each(), work, DEPTH)) if (pixels) yield pixels;
}

/**
 * The images that an int8 calibration is made from: of the first 4,096 files by name, those with the 256 lowest content hashes, and the 64
 * next to judge it by; of fewer, a fifth.
 * @throws DataError for fewer than 16
 */
export async function calibrationSample(spec: BaseSpec, options: SampleOptions): Promise<Sample> {
  const pixels: Pixels[] = [];
  for await (const one of decoded(spec, await pool(options), options.signal)) {
    pixels.push(one);
    if (pixels.length === CALIBRATED + HELD_OUT) break;
  }
  if (pixels.length < LEAST) {
    throw new DataError(
      `an int8 calibration needs at least ${LEAST} images, and ${options.data} holds ${pixels.length}: give more, or another --calibration`,
    );
  }
  const held = Math.min(HELD_OUT, Math.ceil(pixels.length * HELD_SHARE));
  return { calibrated: pixels.slice(0, pixels.length - held), held: pixels.slice(pixels.length - held) };
}

/** @returns some images of a folder, for a look at what a base gives */
export async function someImages(spec: BaseSpec, count: number, data: string, signal?: AbortSignal): Promise<Pixels[]> {
  async function* files() {
    for await (const file of walk(data, { signal })) yield { file };
  }
  const pixels: Pixels[] = [];
  const list: { file: FoundFile }[] = [];
  for await (const one of files()) if (list.push(one) === POOL) break;
  for await (const one of decoded(spec, list, signal)) if (pixels.push(one) === count) break;
  return pixels;
}
