import { type Base, type BaseSpec, checkRevision, fittingBatch, loadProven, type ProofOptions } from '../base/index.js';
import type { Engine, Runner } from '../engine/engine.js';
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

/** A base loaded in an engine: pixels in, vectors out, a batch at a time. */
export class VectorRunner {
  private readonly buffer: Pixels;
  private readonly size: number;

  private constructor(
    private readonly runner: Runner,
    private readonly spec: BaseSpec,
    readonly batchSize: number,
  ) {
    const { height, width, channels } = spec.input;
    this.size = height * width * channels;
    const length = this.size * batchSize;
    this.buffer = floats(spec) ? new Float32Array(length) : new Uint8Array(length);
  }

  /**
   * @param given images of one run; default: as many as memory takes, `fittingBatch`
   * @throws CacheError where the spec is of another revision of the pixels than this version gives; EngineError where the engine
   *   cannot run the base, or computes something else
   */
  static async open(base: Base, engine: Engine, options: ProofOptions, given?: number): Promise<VectorRunner> {
    checkRevision(base.name, base.spec);
    const batchSize = given ?? (await fittingBatch(base));
    const input = floats(base.spec) ? 'float32' : 'uint8';
    const runner = await loadProven(base, engine, { ...options, input }, batchSize);
    return new VectorRunner(runner, base.spec, batchSize);
  }

  /** @returns one vector an image, in order. Of more images than a batch takes it makes several. */
  async run(images: readonly Pixels[]): Promise<Float32Array[]> {
    const vectors: Float32Array[] = [];
    for (let at = 0; at < images.length; at += this.batchSize)
      vectors.push(...(await this.batch(images.slice(at, at + this.batchSize))));
    return vectors;
  }

  /** @returns views of one array */
  private async batch(images: readonly Pixels[]): Promise<Float32Array[]> {
    for (const [i, pixels] of images.entries()) this.buffer.set(pixels, i * this.size);
    const d = this.spec.features;
    const [computed] = await this.runner.run(this.buffer.subarray(0, images.length * this.size), images.length);
    // As they come back from the store, so that a head sees in `predict` what it was trained on.
    const vectors = this.spec.type === 'float16' ? fromFloat16(toFloat16(computed as Float32Array)) : computed;
    return images.map((_, i) => (vectors as Float32Array).subarray(i * d, (i + 1) * d));
  }

  release(): Promise<void> {
    return this.runner.release();
  }
}

/** A runner that is opened when the first image needs it. The base itself is not kept in memory beside the engine's copy. */
export class LazyRunner {
  private opened: Promise<VectorRunner> | undefined;

  constructor(private readonly open: () => Promise<VectorRunner>) {}

  get(): Promise<VectorRunner> {
    this.opened ??= this.open();
    return this.opened;
  }

  async release(): Promise<void> {
    await (await this.opened?.catch(() => undefined))?.release();
  }
}

const floats = (spec: BaseSpec): boolean => spec.image.mode === 'keras-bilinear';
