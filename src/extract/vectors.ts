import pLimit, { type LimitFunction } from 'p-limit';
import {
  type Base,
  type BaseSpec,
  checkRevision,
  DEFAULT_BATCH_SIZE,
  fittingBatch,
  fittingLanes,
  loadProven,
  type ProofOptions,
} from '../base/index.js';
import type { Engine, Runner } from '../engine/engine.js';
import { EngineError } from '../errors.js';
import { fromFloat16, toFloat16 } from '../float16.js';
import { type DecodeOptions, decodeBoth, decodeImage, type ImageFormat } from '../images/index.js';
import { encodeThumbnail, THUMBNAIL } from '../images/thumbnail.js';

/** The pixels of one image as a base wants them: flat `[height, width, channels]`, 0 to 255. */
export type Pixels = Uint8Array | Float32Array;

function optionsFor({ image: { mode, background }, input }: BaseSpec): DecodeOptions {
  return { mode, ...input, ...(background ? { background } : {}) };
}

/** @returns the image's pixels at the size and in the mode of a spec */
export function decodeFor(spec: BaseSpec, bytes: Uint8Array, format: ImageFormat): Promise<Pixels> {
  return decodeImage(bytes, format, optionsFor(spec));
}

/** @returns the same, and the image's small picture, WebP, decoded once where both take the same pixels */
export async function decodeBothFor(
  spec: BaseSpec,
  bytes: Uint8Array,
  format: ImageFormat,
): Promise<{ readonly pixels: Pixels; readonly webp: Uint8Array }> {
  const { pixels, small } = await decodeBoth(bytes, format, optionsFor(spec), THUMBNAIL.side);
  return { pixels, webp: await encodeThumbnail(small) };
}

/** Images from which on they are many: starting threads takes as long as some dozens of a small base. */
export const MANY_IMAGES = 256;

/** How many images are to come, and in what runs. */
export interface RunOptions {
  /** Images of one run; default: as many as memory takes, `fittingBatch`. */
  readonly batchSize?: number | undefined;
  /** Whether many are to come, so that runs go side by side where that is faster. Default false. */
  readonly many?: boolean;
}

/** A base loaded in an engine: pixels in, vectors out, a batch at a time. */
export class VectorRunner {
  private readonly buffers: Pixels[] = [];
  private readonly size: number;
  private readonly limit: LimitFunction;
  private readonly active = new Set<Promise<unknown>>();
  private isReleased = false;

  private constructor(
    private readonly runner: Runner,
    private readonly spec: BaseSpec,
    private readonly each: number,
  ) {
    const { height, width, channels } = spec.input;
    this.size = height * width * channels;
    this.limit = pLimit(this.lanes);
  }

  /**
   * @throws CacheError where the spec is of another revision of the pixels than this version gives; EngineError where the engine
   *   cannot run the base, or computes something else
   */
  static async open(
    base: Base,
    engine: Engine,
    options: ProofOptions,
    { batchSize: given, many = false }: RunOptions = {},
  ): Promise<VectorRunner> {
    checkRevision(base.name, base.spec);
    const input = floats(base.spec) ? 'float32' : 'uint8';
    const { batchSize, ...lanes } = many
      ? await fittingLanes(base, options, given)
      : { batchSize: given ?? (await fittingBatch(base)) };
    const runner = await loadProven(base, engine, { ...options, ...lanes, input }, batchSize);
    return new VectorRunner(runner, base.spec, batchSize);
  }

  /** Runs that go side by side. */
  get lanes(): number {
    return this.runner.lanes ?? 1;
  }

  /** Images that are run at once. */
  get batchSize(): number {
    return this.each * this.lanes;
  }

  /** @returns one vector an image, in order. It makes as many runs as it takes, side by side where they can be. */
  async run(images: readonly Pixels[]): Promise<Float32Array[]> {
    const each = Math.min(this.each, Math.ceil(images.length / this.lanes));
    const runs: Promise<Float32Array[]>[] = [];
    for (let at = 0; at < images.length; at += each) {
      const batch = images.slice(at, at + each);
      const run = this.limit(() => this.batch(batch));
      this.active.add(run);
      runs.push(run);
    }
    const done = await Promise.allSettled(runs);
    for (const run of runs) this.active.delete(run);
    return done.flatMap((one) => {
      if (one.status === 'rejected') throw one.reason;
      return one.value;
    });
  }

  /** @returns views of one array */
  private async batch(images: readonly Pixels[]): Promise<Float32Array[]> {
    if (this.isReleased) throw new EngineError('the base was let go');
    const length = this.size * this.each;
    const buffer = this.buffers.pop() ?? (floats(this.spec) ? new Float32Array(length) : new Uint8Array(length));
    for (const [i, pixels] of images.entries()) buffer.set(pixels, i * this.size);
    const d = this.spec.features;
    const [computed] = await this.runner.run(buffer.subarray(0, images.length * this.size), images.length);
    this.buffers.push(buffer);
    // As they come back from the store, so that a head sees in `predict` what it was trained on.
    const vectors = this.spec.type === 'float16' ? fromFloat16(toFloat16(computed as Float32Array)) : computed;
    return images.map((_, i) => (vectors as Float32Array).subarray(i * d, (i + 1) * d));
  }

  /** Runs that have not begun are given up, and those that have are waited for. */
  async release(): Promise<void> {
    this.isReleased = true;
    await Promise.allSettled(this.active);
    await this.runner.release();
  }
}

/** A runner that is opened when the first image needs it. The base itself is not kept in memory beside the engine's copy. */
export class LazyRunner {
  private opening: Promise<VectorRunner> | undefined;
  private opened: VectorRunner | undefined;

  constructor(private readonly open: () => Promise<VectorRunner>) {}

  get(): Promise<VectorRunner> {
    this.opening ??= this.open().then((runner) => {
      this.opened = runner;
      return runner;
    });
    return this.opening;
  }

  /** Images that are run at once; of one that is not yet open the usual number. */
  get batchSize(): number {
    return this.opened?.batchSize ?? DEFAULT_BATCH_SIZE;
  }

  async release(): Promise<void> {
    await (await this.opening?.catch(() => undefined))?.release();
  }
}

const floats = (spec: BaseSpec): boolean => spec.image.mode === 'keras-bilinear';
