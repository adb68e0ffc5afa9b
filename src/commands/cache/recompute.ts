import { type BaseSpec, keptBase } from '../../base/index.js';
import { sha256Hex } from '../../canonical.js';
import type { EngineOptions } from '../../engine/engine.js';
import { openEngine } from '../../engine/index.js';
import { CacheError, ImageError } from '../../errors.js';
import { decodeFor, type Pixels, VectorRunner } from '../../extract/vectors.js';
import type { SystemPath } from '../../images/index.js';
import { readImage } from '../../sources/index.js';
import type { FeatureSet } from '../../store/index.js';

/** What the vectors of other engines, versions and processors may differ by, of the largest value: docs/format.md, "What counts as equal". */
export const TOLERANCE = 1e-4;
/** Half a step of float16, relative to the value. */
const HALF_STEP = 2 ** -11;
const BATCH = 8;

/** An image of the set that lies in the data folder. */
export interface Known {
  /** Below the data folder. */
  readonly path: string;
  readonly absolute: SystemPath;
  readonly sha256: string;
}

/** What recomputing some vectors gave. */
export interface Recomputed {
  /** Images whose vectors were computed again. */
  readonly images: number;
  /** Of those: the same bits as stored. */
  readonly identical: number;
  /** Not the same bits, but within 1e-4 of the vector's largest value. */
  readonly close: number;
  readonly different: readonly { readonly path: string; readonly sha256: string; readonly difference: number }[];
  /** Whether all parts were made by this engine and version, so that on the machine that made them bits should be the same. */
  readonly sameEngine: boolean;
}

/** @returns `count` of the images, whichever a hash of the seed and their content picks */
export function pick(images: readonly Known[], count: number, seed: number): Known[] {
  return images
    .map((image) => ({ image, draw: sha256Hex(`${seed} ${image.sha256}`) }))
    .sort((a, b) => (a.draw < b.draw ? -1 : 1))
    .slice(0, count)
    .map(({ image }) => image);
}

/** The base of a set out of `cache/bases`. @throws CacheError where the cache does not keep it */
export async function baseOf(
  cache: string,
  set: FeatureSet,
): Promise<NonNullable<Awaited<ReturnType<typeof keptBase>>>> {
  const spec = set.spec as unknown as BaseSpec;
  const base = typeof spec.graph === 'string' ? await keptBase(cache, spec) : null;
  if (base !== null) return base;
  throw new CacheError(
    `${cache} does not keep the base of ${set.dir}, so no vector can be computed again: run features with its base once`,
  );
}

/**
 * Computes the vectors of images anew and compares them with those stored.
 * @throws CacheError where the base is not kept, or pixels are made otherwise than when the set was
 */
export async function recompute(
  cache: string,
  set: FeatureSet,
  images: readonly Known[],
  options: EngineOptions = {},
): Promise<Recomputed> {
  const base = await baseOf(cache, set);
  const engine = await openEngine(options);
  const { makers } = await set.info(() => {});
  const sameEngine = makers.every((maker) => maker.engine === engine.name && maker.engineVersion === engine.version);
  const pictures = async (): Promise<Pixels[]> =>
    (await decoded(images.slice(0, BATCH), base.spec)).map(({ pixels }) => pixels);
  const runner = await VectorRunner.open(base, engine, { ...options, cache, pictures }, { batchSize: BATCH });
  const d = set.spec.features;
  const count = { images: 0, identical: 0, close: 0 };
  const different: { path: string; sha256: string; difference: number }[] = [];
  try {
    for (let start = 0; start < images.length; start += BATCH) {
      const batch = await decoded(images.slice(start, start + BATCH), base.spec);
      if (batch.length === 0) continue;
      const stored = await set.read(batch.map(({ image }) => image.sha256));
      const computed = await runner.run(batch.map(({ pixels }) => pixels));
      for (const [row, at] of stored.found.entries()) {
        const { path, sha256 } = (batch[at] as (typeof batch)[number]).image;
        const difference = distance(stored.vectors.subarray(row * d, (row + 1) * d), computed[at] as Float32Array);
        count.images++;
        if (difference === 0) count.identical++;
        else if (difference <= TOLERANCE + (set.spec.type === 'float16' ? 2 * HALF_STEP : 0)) count.close++;
        else different.push({ path, sha256, difference });
      }
    }
  } finally {
    await runner.release();
  }
  return { ...count, different, sameEngine };
}

async function decoded(images: readonly Known[], spec: BaseSpec): Promise<{ image: Known; pixels: Pixels }[]> {
  const found: { image: Known; pixels: Pixels }[] = [];
  for (const image of images) {
    try {
      const read = await readImage(image);
      if (read?.sha256 !== image.sha256) continue; // it has changed meanwhile
      found.push({ image, pixels: await decodeFor(spec, read.bytes, read.format) });
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
    }
  }
  return found;
}

/** The largest difference over the largest value; 0 only for the same bits. */
function distance(a: Float32Array, b: Float32Array): number {
  let difference = 0;
  let largest = 0;
  let same = true;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] as number;
    const y = b[i] as number;
    same &&= Object.is(x, y);
    difference = Math.max(difference, Math.abs(x - y));
    largest = Math.max(largest, Math.abs(x), Math.abs(y));
  }
  return same ? 0 : Math.max(difference / Math.max(largest, Number.MIN_VALUE), Number.MIN_VALUE);
}
