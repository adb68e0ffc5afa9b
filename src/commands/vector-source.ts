import { type Base, type BaseSpec, checkRevision, superseded } from '../base/index.js';
import type { Engine, EngineOptions } from '../engine/engine.js';
import type { ReadyImage } from '../extract/batches.js';
import { type Pixels, VectorRunner } from '../extract/vectors.js';
import type { SetFacts } from '../heads/joined-sets.js';
import { FeatureSet, KeySet } from '../store/index.js';

/** Gives the vectors of images: those of several bases, joined. */
export interface VectorSource {
  /** What images must be decoded for. */
  readonly specs: readonly BaseSpec[];
  /** @returns `[n, d]` */
  vectors(batch: readonly ReadyImage[]): Promise<Float32Array>;
  release(): Promise<void>;
}

/**
 * @returns what gives the vectors that a head takes: its bases, or, where their pixels are outdated, the sets that it was trained on
 * @throws as `VectorRunner.open`
 */
export async function vectorSource(
  bases: readonly Base[],
  facts: readonly SetFacts[],
  engine: Engine,
  options: EngineOptions & { readonly cache: string; readonly batchSize: number },
): Promise<VectorSource> {
  if (bases.some(({ spec }) => superseded(spec) !== null)) return storedVectors(bases, facts, options.cache);
  const runners: VectorRunner[] = [];
  const release = async (): Promise<void> => {
    for (const runner of runners) await runner.release();
  };
  try {
    for (const base of bases) runners.push(await VectorRunner.open(base, engine, options, options.batchSize));
  } catch (error) {
    await release();
    throw error;
  }
  const parts = (batch: readonly ReadyImage[]) =>
    runners.map((runner, b) => async () => runner.run(batch.map(({ pixels }) => pixels[b] as Pixels)));
  return {
    specs: bases.map(({ spec }) => spec),
    vectors: (batch) => joined(parts(batch), bases, batch.length),
    release,
  };
}

async function storedVectors(bases: readonly Base[], facts: readonly SetFacts[], cache: string): Promise<VectorSource> {
  const sets: FeatureSet[] = [];
  const held: KeySet[] = [];
  for (const { fingerprint } of facts) {
    const set = await FeatureSet.find(cache, fingerprint);
    held.push(set ? await set.keys() : new KeySet());
    if (set) sets.push(set);
  }
  return {
    specs: [],
    async vectors(batch) {
      if (!batch.every(({ sha256 }) => held.every((keys) => keys.has(sha256)))) {
        for (const { name, spec } of bases) checkRevision(name, spec);
      }
      const keys = batch.map(({ sha256 }) => sha256);
      const parts = sets.map((set) => async () => {
        const distinct = [...new Set(keys)];
        const { vectors, found } = await set.read(distinct);
        const rows = new Map(Array.from(found, (place, row) => [distinct[place] as string, row]));
        const d = set.spec.features;
        return keys.map((key) => vectors.subarray((rows.get(key) ?? 0) * d, ((rows.get(key) ?? 0) + 1) * d));
      });
      return joined(parts, bases, batch.length);
    },
    release: async () => {},
  };
}

async function joined(
  parts: readonly (() => Promise<readonly Float32Array[]>)[],
  bases: readonly Base[],
  n: number,
): Promise<Float32Array> {
  const d = bases.reduce((sum, { spec }) => sum + spec.features, 0);
  const flat = new Float32Array(n * d);
  let left = 0;
  for (const [b, part] of parts.entries()) {
    for (const [i, vector] of (await part()).entries()) flat.set(vector, i * d + left);
    left += bases[b]?.spec.features ?? 0;
  }
  return flat;
}
