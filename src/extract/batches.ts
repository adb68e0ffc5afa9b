import { stat } from 'node:fs/promises';
import type { BaseSpec } from '../base/index.js';
import { DataError, ImageError } from '../errors.js';
import { errorCode, whyUnreadable } from '../files/index.js';
import type { SystemPath } from '../images/index.js';
import { type FoundFile, isObjectAddress, notUtf8, readImage, shownAs, walk } from '../sources/index.js';
import type { FileIndex } from '../store/index-file.js';
import { counting } from './counted.js';
import { ordered } from './ordered.js';
import { decodeFor, type Pixels } from './vectors.js';

export interface ReadyImage {
  /** As given; in a folder, below it. */
  readonly path: string;
  /** For the system. */
  readonly absolute: SystemPath;
  readonly sha256: string;
  /** One for each spec; none of an image whose vectors are stored. */
  readonly pixels: readonly Pixels[];
  readonly error?: undefined;
}

/** An image that cannot be used. */
export interface UnusableImage {
  readonly path: string;
  /** A sentence about the file, without its name: `it is empty`. */
  readonly error: string;
}

/** How far files are gone through. */
export interface FilesProgress {
  readonly done: number;
  /** Null until they are counted. */
  readonly total: number | null;
}

export interface BatchOptions {
  readonly batchSize: number;
  readonly signal?: AbortSignal;
  /** A link that is not followed. */
  readonly onWarning?: (message: string) => void;
  /** Whether the vectors of a content are stored, so that it need not be decoded. Default: none are. */
  readonly isHeld?: (sha256: string) => boolean;
  /** Knows files that need not be read, and gets to know others. */
  readonly index?: FileIndex;
  /** After each file. */
  readonly onProgress?: (progress: FilesProgress) => void;
}

/** Images of a batch that need not be decoded. */
const HELD = 1024;

type Shown = FoundFile & { readonly shown: string };

async function* found(
  paths: readonly string[],
  { onWarning, signal }: Pick<BatchOptions, 'onWarning' | 'signal'>,
): AsyncGenerator<Shown> {
  for (const given of paths) {
    const isFolder = !isObjectAddress(given) && (await isFolderAt(given));
    const walking = { onLinkOut: (message: string) => onWarning?.(`${given}: ${message}`), signal };
    for await (const file of walk(given, walking)) yield { ...file, shown: shownAs(given, isFolder, file) };
  }
}

const isFolderAt = (given: string): Promise<boolean> =>
  stat(given).then(
    (s) => s.isDirectory(),
    (error: unknown) => {
      if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) {
        throw new DataError(`${given}: there is no such file or folder${notUtf8(given)}`, { cause: error });
      }
      throw new DataError(`${given} ${whyUnreadable(error)}: give image files or folders`, { cause: error });
    },
  );

/**
 * Reads and decodes the images among files and folders, for the bases of some specs; an image is used by all of them or by none.
 * @returns batches of images in order, none of them empty, of at most `batchSize` that were decoded, those that cannot be used among
 *   them; files that are no images are passed over
 * @throws DataError where a path does not exist; the signal's reason when it is aborted
 */
export async function* imageBatches(
  paths: readonly string[],
  specs: readonly BaseSpec[],
  { batchSize, signal, onWarning, onProgress, isHeld = () => false, index }: BatchOptions,
): AsyncGenerator<(ReadyImage | UnusableImage)[]> {
  const prepare = async (file: Shown): Promise<ReadyImage | UnusableImage | null> => {
    const { absolute, shown: path } = file;
    signal?.throwIfAborted();
    try {
      const known = index?.lookup(file) ?? null;
      if (known !== null && 'other' in known) return null;
      if (known !== null && isHeld(known.sha256)) return { path, absolute, sha256: known.sha256, pixels: [] };
      const readAt = index?.now();
      const image = await readImage(file, signal);
      index?.remember(file, image === null ? { other: true } : { sha256: image.sha256 }, readAt);
      if (image === null) return null;
      if (isHeld(image.sha256)) return { path, absolute, sha256: image.sha256, pixels: [] };
      const pixels: Pixels[] = [];
      for (const spec of specs) pixels.push(await decodeFor(spec, image.bytes, image.format));
      return { path, absolute, sha256: image.sha256, pixels };
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      return { path, error: `it ${error.message}` };
    }
  };
  const total = onProgress === undefined ? null : counting(paths);
  let done = 0;
  let batch: (ReadyImage | UnusableImage)[] = [];
  let decoded = 0;
  for await (const ready of ordered(
    found(paths, { ...(onWarning ? { onWarning } : {}), ...(signal ? { signal } : {}) }),
    prepare,
    batchSize * 4,
  )) {
    onProgress?.({ done: ++done, total: total?.files ?? null });
    if (ready) batch.push(ready);
    if (ready && ready.error === undefined && ready.pixels.length > 0) decoded++;
    if (decoded < batchSize && batch.length - decoded < HELD) continue;
    yield batch;
    batch = [];
    decoded = 0;
  }
  if (batch.length > 0) yield batch;
}
