import { type Base, type BaseSpec, checkRevision } from '../base/index.js';
import type { Engine, EngineOptions } from '../engine/engine.js';
import { PermafrostError } from '../errors.js';
import type { ReadyImage } from '../extract/batches.js';
import { MANY_IMAGES, type Pixels, VectorRunner } from '../extract/vectors.js';
import { realSystem, tryFolder } from '../files/index.js';
import type { SetFacts } from '../heads/joined-sets.js';
import { FeatureSet, HeldKeys, type PartWriter } from '../store/index.js';
import { version } from '../version.js';
import { specOf } from './train.js';

export interface SourceOptions extends EngineOptions {
  /** Caches whose sets are looked into, the first that has one of a fingerprint counts. */
  readonly caches: readonly string[];
  /** Images of one run. Default: as many as memory takes, at most 8. */
  readonly batchSize?: number;
  /** Whether vectors that are computed go into the set of their fingerprint, where it is there and takes them. */
  readonly store: boolean;
  /** Opens the base of one of the facts. Called when a vector must be computed, once for each. */
  readonly open: (facts: SetFacts) => Promise<Base>;
  readonly onWarning?: (message: string) => void;
}

/** One of the sets whose vectors are joined, and the base that makes them. */
interface Part {
  readonly facts: SetFacts;
  readonly spec: BaseSpec;
  readonly set: FeatureSet | null;
  readonly held: HeldKeys;
  writer: PartWriter | null;
  runner: VectorRunner | undefined;
}

/**
 * Gives the vectors that a head takes, those of several bases joined: out of the sets where they are stored, else computed by the
 * bases, which are opened when the first is needed.
 */
export class VectorSource {
  private images = 0;

  private constructor(
    private readonly parts: readonly Part[],
    private readonly engine: Engine,
    private readonly options: SourceOptions,
  ) {}

  /** @throws CacheError for a set that is damaged */
  static async open(facts: readonly SetFacts[], engine: Engine, options: SourceOptions): Promise<VectorSource> {
    const parts: Part[] = [];
    for (const one of facts) {
      let set: FeatureSet | null = null;
      for (const cache of options.caches) set ??= await FeatureSet.find(cache, one.fingerprint);
      if (options.store) await set?.markUsed();
      const held = set === null ? new HeldKeys() : await set.keys((error) => options.onWarning?.(error.message));
      const maker = { engine: engine.name, engineVersion: engine.version, version };
      const writer = set !== null && options.store && (await isWritable(set)) ? set.writer(maker) : null;
      parts.push({ facts: one, spec: specOf(one.set), set, held, writer, runner: undefined });
    }
    return new VectorSource(parts, engine, options);
  }

  /** @param images that are to come */
  expect(images: number): void {
    this.images = images;
  }

  /** What images must be decoded for that are not held. */
  get specs(): readonly BaseSpec[] {
    return this.parts.map(({ spec }) => spec);
  }

  /** Whether any of its sets is there. */
  get isStored(): boolean {
    return this.parts.some(({ set }) => set !== null);
  }

  /** Whether all vectors of a content are stored, so that it need not be decoded. */
  isHeld(sha256: string): boolean {
    return this.parts.every(({ held }) => held.has(sha256));
  }

  /** @returns `[n, d]` @throws as `SourceOptions.open` and `VectorRunner.open` */
  async vectors(batch: readonly ReadyImage[]): Promise<Float32Array> {
    const d = this.parts.reduce((sum, { spec }) => sum + spec.features, 0);
    const flat = new Float32Array(batch.length * d);
    const isComputed = ({ pixels }: ReadyImage): boolean => pixels.length > 0;
    const computed = batch.flatMap((one, i) => (isComputed(one) ? [i] : []));
    const stored = batch.flatMap((one, i) => (isComputed(one) ? [] : [i]));
    if (computed.length > 0) await this.openBases(computed.map((i) => (batch[i] as ReadyImage).pixels));
    let left = 0;
    for (const [b, part] of this.parts.entries()) {
      const put = (i: number, vector: Float32Array): void => flat.set(vector, i * d + left);
      await readStored(
        part,
        stored.map((i) => (batch[i] as ReadyImage).sha256),
        (at, vector) => put(stored[at] as number, vector),
      );
      const vectors = await part.runner?.run(computed.map((i) => (batch[i] as ReadyImage).pixels[b] as Pixels));
      for (const [k, vector] of vectors?.entries() ?? []) {
        const i = computed[k] as number;
        put(i, vector);
        await this.keep(part, (batch[i] as ReadyImage).sha256, vector);
      }
      left += part.spec.features;
    }
    return flat;
  }

  /** @param shown pixels of images that are to be computed, one for each base */
  private async openBases(shown: readonly (readonly Pixels[])[]): Promise<void> {
    for (const [b, part] of this.parts.entries()) {
      if (part.runner !== undefined) continue;
      const base = await this.options.open(part.facts);
      checkRevision(base.name, base.spec);
      const cache = this.options.caches.at(-1) as string; // where the head lies, and its base
      const pictures = async (): Promise<Pixels[]> => shown.map((pixels) => pixels[b] as Pixels);
      const options = { ...this.options, cache, pictures };
      part.runner = await VectorRunner.open(base, this.engine, options, {
        batchSize: this.options.batchSize,
        many: this.images >= MANY_IMAGES && this.parts.length === 1,
      });
    }
  }

  /** What cannot be stored costs no prediction. */
  private async keep(part: Part, sha256: string, vector: Float32Array): Promise<void> {
    if (part.writer === null || part.held.has(sha256)) return;
    try {
      part.held.add(sha256);
      await part.writer.add(Buffer.from(sha256, 'hex'), vector);
    } catch (error) {
      this.notKept(part, error);
    }
  }

  private notKept(part: Part, error: unknown): void {
    if (!(error instanceof PermafrostError)) throw error;
    part.writer = null;
    this.options.onWarning?.(`vectors are not stored: ${error.message}`);
  }

  /** Puts what was computed into its sets, and lets the bases go. */
  async close(): Promise<void> {
    for (const part of this.parts) {
      await part.writer?.close().catch((error: unknown) => this.notKept(part, error));
      await part.runner?.release();
    }
  }
}

/** @param put is given each vector, by the place of its key */
async function readStored(
  { set, spec }: Part,
  keys: readonly string[],
  put: (at: number, vector: Float32Array) => void,
): Promise<void> {
  if (keys.length === 0 || set === null) return;
  const distinct = [...new Set(keys)];
  const { vectors, found } = await set.read(distinct);
  const rows = new Map(Array.from(found, (place, row) => [distinct[place] as string, row]));
  const d = spec.features;
  for (const [at, key] of keys.entries()) {
    const row = rows.get(key) ?? 0;
    put(at, vectors.subarray(row * d, (row + 1) * d));
  }
}

const isWritable = (set: FeatureSet): Promise<boolean> =>
  tryFolder(realSystem, set.dir).then(
    () => true,
    () => false,
  );
