import {
  type BaseOptions,
  type BaseSpec,
  checkPrecision,
  keepBase,
  nameBase,
  type OpenHooks,
  openNamed,
  type PrecisionOptions,
} from '../base/index.js';
import type { EngineOptions } from '../engine/engine.js';
import { openEngine } from '../engine/index.js';
import { DataError, PermafrostError } from '../errors.js';
import { BATCHES_AHEAD } from '../extract/extract.js';
import { type RowItem, rowVectors } from '../extract/rows.js';
import { type Pixels, VectorRunner } from '../extract/vectors.js';
import { checkOptions } from '../options/check.js';
import { walk } from '../sources/index.js';
import { encodePart } from '../store/encode-part.js';
import { MOST_HELD } from '../store/held-keys.js';
import { PART_MS, partCapacity } from '../store/part-writer.js';
import { fingerprint, type SetSpec } from '../store/spec.js';
import { version } from '../version.js';

/** What is to be estimated. */
export interface EstimateOptions extends BaseOptions, PrecisionOptions, EngineOptions, OpenHooks {
  /** How many images, each of another content. */
  readonly images: number;
  /** Machines like this one that share the work. Default 1. */
  readonly machines?: number;
  /** Folder of images to measure on, reading and decoding included; without it made pixels go through the base alone. */
  readonly data?: string;
  /** Where the base is kept once it was opened. Default `cache`. */
  readonly cache?: string;
  /** Images a run of the base. Default 8. */
  readonly batchSize?: number;
}

export interface Estimate {
  readonly base: string;
  /** Length of a vector. */
  readonly dim: number;
  readonly images: number;
  readonly machines: number;
  /** What was measured here: images, in how many seconds, whether they were read and decoded, and the mean bytes of a file. */
  readonly measured: {
    readonly images: number;
    readonly seconds: number;
    readonly decoded: boolean;
    readonly bytesPerImage: number | null;
  };
  /** Of one machine. */
  readonly imagesPerSecond: number;
  /** Of `features`, all machines at once, without opening the base. */
  readonly seconds: number;
  /** Of all parts. */
  readonly bytes: number;
  /** As the machines write them, and after `cache compact`. */
  readonly parts: { readonly written: number; readonly compact: number };
  /** Bytes of memory that one machine takes for the keys of its share, and for the index of all files. */
  readonly memory: { readonly keys: number; readonly index: number };
  /** Bytes of all image files; null where none were measured. */
  readonly imageBytes: number | null;
  /** What this does not know. */
  readonly unknown: readonly string[];
}

/** How long is measured, and how long the first runs, which are slower, go by before. */
const MEASURED_MS = 5000;
const WARM_MS = 1000;
/** Files of a folder, spread over the first ones, that are measured again and again. */
const SAMPLED = 256;
const WALKED = 16_384;
/** Bytes of memory for a key of a set that is held, and for one in a key file; for a file in the index, at most for so many: docs/scale.md. */
const KEY_BYTES = 48;
const FILED_BYTES = 0.75;
const INDEX_BYTES = 110;
const INDEXED = 8_000_000;

/** @returns bytes of memory for the keys of a share of a set */
const keyMemory = (share: number, images: number): number =>
  Math.ceil(Math.min(share, MOST_HELD) * KEY_BYTES + (share > MOST_HELD ? images * FILED_BYTES : 0));

/**
 * What `features` will take for so many images: measured here for some seconds, nothing is stored but the base.
 * @throws as `features` about the base and the engine; DataError for a folder without an image that can be used
 */
export async function estimate(options: EstimateOptions): Promise<Estimate> {
  checkOptions('estimate', options);
  checkPrecision(options);
  const { images, machines = 1, data, cache = 'cache', signal } = options;
  const files = data === undefined ? null : await someFiles(data, signal);
  const hooks = { ...options, makesCache: true };
  const { name, spec } = await nameBase(cache, options, hooks);
  const engine = await openEngine(options);
  const base = await openNamed(cache, name, spec, options, hooks);
  await keepBase(cache, base).catch((error: unknown) => {
    if (!(error instanceof PermafrostError)) throw error;
    options.onWarning?.(`the base is not kept: ${error.message}`);
  });
  const runner = await VectorRunner.open(
    base,
    engine,
    { ...options, cache },
    { batchSize: options.batchSize, many: true },
  );
  const { batchSize } = runner;
  try {
    const { done, seconds } =
      files === null
        ? await measureMade(runner, spec, batchSize, signal)
        : await measureFiles(runner, spec, files, batchSize, signal);
    const imagesPerSecond = done / seconds;
    const bytesPerImage = files === null ? null : files.reduce((sum, { size }) => sum + size, 0) / files.length;
    const share = Math.ceil(images / machines);
    const set = { spec: spec as unknown as SetSpec, fingerprint: fingerprint(spec as unknown as SetSpec) };
    const capacity = partCapacity(set.spec);
    const rows = Math.max(1, Math.min(capacity, Math.floor((imagesPerSecond * PART_MS) / 1000)));
    const written = machines * Math.ceil(share / rows);
    const maker = { engine: engine.name, engineVersion: engine.version, version };
    return {
      base: name,
      dim: spec.features,
      images,
      machines,
      measured: { images: done, seconds, decoded: files !== null, bytesPerImage },
      imagesPerSecond,
      seconds: share / imagesPerSecond,
      bytes: bytesOf(set, maker, images, written),
      parts: { written, compact: Math.ceil(images / capacity) },
      memory: { keys: keyMemory(share, images), index: Math.min(images, INDEXED) * INDEX_BYTES },
      imageBytes: bytesPerImage === null ? null : Math.round(images * bytesPerImage),
      unknown: [
        ...(files === null ? ['reading and decoding: give --data a folder of such images'] : []),
        ...(files === null ? [] : ['whether all images are like those measured, which lie in the cache of the system']),
        'how fast the disk or network gives and takes the files',
        ...(machines > 1 ? ['whether the machines are like this one'] : []),
      ],
    };
  } finally {
    await runner.release();
  }
}

/** @returns the bytes of so many rows in so many parts, as the parts are written */
function bytesOf(
  set: { readonly spec: SetSpec; readonly fingerprint: string },
  maker: Parameters<typeof encodePart>[1],
  rows: number,
  parts: number,
): number {
  const { features, type } = set.spec;
  const row = 32 + features * (type === 'float16' ? 2 : 4);
  const one = encodePart(set, maker, new Uint8Array(32), new Float32Array(features)).bytes.length;
  return Math.round(rows * row + parts * (one - row));
}

interface SomeFile {
  readonly path: string;
  readonly size: number;
}

/** @returns files spread over the first 16,384 by name, so that not all are of one class */
async function someFiles(data: string, signal?: AbortSignal): Promise<readonly SomeFile[]> {
  const all: SomeFile[] = [];
  for await (const { absolute, size } of walk(data, { signal })) {
    signal?.throwIfAborted();
    if (typeof absolute === 'string') all.push({ path: absolute, size });
    if (all.length === WALKED) break;
  }
  if (all.length === 0) throw new DataError(`${data} holds no files: give --data a folder of images`);
  const step = Math.max(1, all.length / SAMPLED);
  return Array.from({ length: Math.min(SAMPLED, all.length) }, (_, i) => all[Math.floor(i * step)] as SomeFile);
}

interface Speed {
  readonly done: number;
  readonly seconds: number;
}

/** Counts what is done once the first second is over, until five more are. */
class Watch {
  private readonly began = performance.now();
  private from = 0;
  private done = 0;

  /** @param images that were done just now @returns whether enough is measured */
  tick(images: number): boolean {
    const now = performance.now();
    if (this.from > 0) this.done += images;
    else if (now - this.began >= WARM_MS) this.from = now;
    return this.from > 0 && this.done > 0 && now - this.from >= MEASURED_MS;
  }

  get speed(): Speed {
    return { done: this.done, seconds: (performance.now() - this.from) / 1000 };
  }
}

/** Made pixels through the base alone. */
async function measureMade(
  runner: VectorRunner,
  { input: { height, width, channels }, image: { mode } }: BaseSpec,
  batchSize: number,
  signal?: AbortSignal,
): Promise<Speed> {
  const values = Array.from({ length: height * width * channels }, (_, i) => (i * 37) % 251);
  const pixels: Pixels = mode === 'keras-bilinear' ? Float32Array.from(values) : Uint8Array.from(values);
  const batch = Array.from({ length: batchSize }, () => pixels);
  const watch = new Watch();
  do {
    signal?.throwIfAborted();
    await runner.run(batch);
  } while (!watch.tick(batchSize));
  return watch.speed;
}

/** Files through all of it, in turns. */
async function measureFiles(
  runner: VectorRunner,
  spec: BaseSpec,
  files: readonly SomeFile[],
  batchSize: number,
  signal?: AbortSignal,
): Promise<Speed> {
  async function* rows(): AsyncGenerator<RowItem<null>> {
    for (let i = 0; ; i++)
      yield { image: files[i % files.length]?.path ?? null, context: null, isLast: i % batchSize === batchSize - 1 };
  }
  const watch = new Watch();
  let failed = 0;
  let error: string | null = null;
  for await (const { found } of rowVectors(rows(), runner, spec, batchSize * BATCHES_AHEAD)) {
    signal?.throwIfAborted();
    failed = found.vector === null ? failed + 1 : 0;
    error ??= found.error;
    if (failed === files.length) {
      throw new DataError(
        `none of the files looked at is an image that can be used (the first ${error}): give --data a folder of images`,
      );
    }
    if (watch.tick(1)) break;
  }
  return watch.speed;
}
