import type { BaseSpec } from '../base/index.js';
import { ImageError } from '../errors.js';
import { errorCode } from '../files/index.js';
import { identify, type ReadImage } from '../images/index.js';
import { readImage } from '../sources/index.js';
import { ordered } from './ordered.js';
import { decodeFor, type Pixels, type VectorRunner } from './vectors.js';

/** An image of a stream: its bytes, or the path of its file; null where the row has none. */
export type RowImage = Uint8Array | string | null;

/** What became of a row. */
export interface RowVector {
  /** Null where no bytes could be read. */
  readonly sha256: Buffer | null;
  /** Null where it could not be used. */
  readonly vector: Float32Array | null;
  /** Why, as a sentence about the image: `it is empty`. */
  readonly error: string | null;
}

/** A row with what it is answered by, and whether the rows so far are to be answered without waiting for more. */
export interface RowItem<Context> {
  readonly image: RowImage;
  readonly context: Context;
  readonly isLast: boolean;
}

type Prepared = RowVector & { readonly pixels: Pixels | null };

const unusable = (error: ImageError, sha256 = error.sha256): Prepared => ({
  sha256: sha256 === undefined ? null : Buffer.from(sha256, 'hex'),
  vector: null,
  error: `it ${error.message}`,
  pixels: null,
});

async function prepare(spec: BaseSpec, image: RowImage): Promise<Prepared> {
  let read: ReadImage | null = null;
  try {
    if (image === null) throw new ImageError('read', 'is null: the row has no image');
    const isPath = typeof image === 'string';
    const bytes = isPath ? null : Buffer.from(image.buffer, image.byteOffset, image.length);
    read = bytes ? identify(bytes, 'is no image') : await readImage({ absolute: String(image), path: String(image) });
    if (read === null) throw new ImageError('read', 'is no image');
    const pixels = await decodeFor(spec, read.bytes, read.format);
    return { sha256: Buffer.from(read.sha256, 'hex'), vector: null, error: null, pixels };
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    const isAbsent = errorCode(error.cause) === 'ENOENT';
    const why = isAbsent ? new ImageError('read', 'is not there: there is no such file', { cause: error }) : error;
    return unusable(why, error.sha256 ?? read?.sha256);
  }
}

/**
 * Runs images through a base, in order: those of a batch of rows are given when its last is computed, while later ones are decoded.
 * @param ahead images that are decoded while one batch runs
 * @throws what the source throws; an image that cannot be used is a row with an error
 */
export async function* rowVectors<Context>(
  source: AsyncIterable<RowItem<Context>>,
  runner: VectorRunner,
  spec: BaseSpec,
  ahead: number,
): AsyncGenerator<{ readonly context: Context; readonly found: RowVector }> {
  const work = async (item: RowItem<Context>) => ({ ...item, prepared: await prepare(spec, item.image) });
  let waiting: { readonly context: Context; readonly prepared: Prepared }[] = [];
  let decoded = 0;
  for await (const { context, prepared, isLast } of ordered(source, work, ahead)) {
    waiting.push({ context, prepared });
    if (prepared.pixels !== null) decoded++;
    if (decoded < runner.batchSize && !isLast) continue;
    const pixels = waiting.flatMap((one) => one.prepared.pixels ?? []);
    const vectors = pixels.length === 0 ? [] : await runner.run(pixels as Pixels[]);
    let next = 0;
    for (const one of waiting) {
      const { sha256, error } = one.prepared;
      const vector = one.prepared.pixels === null ? null : (vectors[next++] as Float32Array);
      yield { context: one.context, found: { sha256, vector, error } };
    }
    waiting = [];
    decoded = 0;
  }
}
