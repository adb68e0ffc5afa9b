import { type Base, type BaseSpec, checkRevision, DEFAULT_BATCH_SIZE } from '../base/index.js';
import { openEngine } from '../engine/index.js';
import { EngineError, HeadError } from '../errors.js';
import { type Activation, activationOf, disagreement, type Seen } from '../explain/activation.js';
import { imageBatches, type ReadyImage, type UnusableImage } from '../extract/batches.js';
import type { Pixels } from '../extract/vectors.js';
import { HeadPredictor } from '../heads/head.js';
import type { HeadInfo } from '../heads/head-info.js';
import type { SetFacts } from '../heads/joined-sets.js';
import type { FeatureMaps } from '../maps/picture.js';
import { FileIndex } from '../store/index.js';
import { beforeAveraging, MapRunner } from './feature-maps.js';
import { cachesOf, type FoundHead, matchBase, type PredictOptions } from './predict.js';
import { savedNet } from './saved-net.js';
import { VectorSource } from './vector-source.js';

export type ExplainerOptions = Pick<
  PredictOptions,
  Exclude<keyof PredictOptions, 'head' | 'paths' | 'from' | 'top' | 'minScore' | 'sortInto' | 'onSorted' | 'noStore'>
>;

/** An image, what a head says of it, and where it finds that. */
export interface Explained extends Pick<ReadyImage, 'path' | 'absolute' | 'sha256' | 'error'> {
  /** As `HeadPredictor.predict` gives them, from the stored vector where there is one: what `predict` says too. */
  readonly outputs: readonly number[];
  /** What the base saw, `[height, width, channels]`, flat, 0 to 255; of several bases the one that saw most. */
  readonly pixels: Pixels;
  readonly input: BaseSpec['input'];
  /**
   * @param k which class, in the head's order; 0 of a regression
   * @returns where the head finds it; `mean + bias` is its logit, of a regression the value
   */
  activation(k: number): Activation;
}

/** A linear head on averages of feature maps, and the bases that give the maps. Nothing is stored. */
export interface Explainer {
  readonly info: HeadInfo;
  /** @returns each image in order, or why it cannot be used @throws as `explain` */
  explained(paths: readonly string[]): AsyncGenerator<Explained | UnusableImage>;
  close(): Promise<void>;
}

/** Share of the largest feature by which float32 sums in another order, or float16, may be off. */
const ROUNDING = { float32: 1e-4, float16: 1e-3 } as const;

/** Refuses a head whose answers are no sum over positions. */
function checkLinear({ options }: HeadInfo): void {
  if (options.hidden.length === 0) return;
  throw new HeadError(
    `this head has hidden layers (${options.hidden.join(', ')}), so no map of single positions adds up to what it says: ` +
      'train one without --hidden to see where it looks',
  );
}

/** Refuses bases whose vectors are no averages over positions, and those that saw different pictures. */
function mapBases(bases: readonly Base[]): Base[] {
  const [first, ...others] = bases;
  const other = others.find(({ spec }) => spec.image.mode !== first?.spec.image.mode);
  if (first !== undefined && other !== undefined) {
    throw new HeadError(
      `the bases of this head saw different pixels (--image ${first.spec.image.mode} and ${other.spec.image.mode}), which do not lie over each other: ` +
        'train on sets of one --image to see where it looks',
    );
  }
  return bases.map((base) => {
    const found = beforeAveraging(base);
    if (found !== null) return found;
    throw new HeadError(
      base.spec.pooling === 'max'
        ? `the vectors of ${base.name} are the maxima of its feature maps (--pooling max), which come from one position each and have no mean: ` +
            'extract with --pooling avg and train on that to see where a head looks'
        : `${base.name} gives vectors that are not averages of feature maps, so they do not say where in the image they come from: ` +
            'tap a layer that gives feature maps with --layer and train on that to see where a head looks',
    );
  });
}

/** @throws HeadError for a head whose answers cannot be told by position, and as `predict` */
export async function openExplainer(head: FoundHead, options: ExplainerOptions): Promise<Explainer> {
  const { cache = 'cache', batchSize = DEFAULT_BATCH_SIZE } = options;
  const { info, dir } = head;
  checkLinear(info);
  const net = savedNet(head);
  const facts: SetFacts[] = [{ fingerprint: info.fingerprint, set: info.set }, ...info.joined];
  const caches = cachesOf(dir, cache);
  const bases = new Map<SetFacts, Base>();
  for (const one of facts) {
    const base = await matchBase(one, options, caches, facts.length > 1);
    checkRevision(base.name, base.spec);
    bases.set(one, base);
  }
  const unpooled = mapBases([...bases.values()]);
  const engine = await openEngine(options);
  const open = async (one: SetFacts): Promise<Base> => bases.get(one) as Base;
  const source = await VectorSource.open(facts, engine, { ...options, caches, store: false, open });
  const index = await FileIndex.open(caches.at(-1) ?? cache);
  const predictor = await HeadPredictor.open(head);
  const runners: MapRunner[] = [];
  const { specs } = source;
  const shown = specs.reduce((most, { input }, i) => {
    const { height, width } = specs[most]?.input ?? input;
    return input.height * input.width > height * width ? i : most;
  }, 0);

  async function seen(image: ReadyImage, vector: Float32Array): Promise<Seen> {
    const maps: FeatureMaps[] = [];
    for (const [i, runner] of runners.entries()) maps.push(await runner.run(image.pixels[i] as Pixels, image.path));
    const found = { maps, vector, spacing: runners[0]?.spacing ?? null };
    const limit = Math.max(...specs.map(({ type }) => ROUNDING[type]));
    const off = disagreement(found);
    if (off <= limit) return found;
    throw new EngineError(
      `the feature maps of ${image.path} do not average to its vector (off by ${off.toExponential(1)} of the largest value, and at most ${limit} is rounding): ` +
        'run permafrost cache verify, or use another --engine',
    );
  }

  return {
    info,
    async *explained(paths) {
      for (const base of unpooled.slice(runners.length)) runners.push(await MapRunner.open(base, engine, options));
      for await (const batch of imageBatches(paths, specs, { ...options, batchSize, index })) {
        const usable = batch.filter((image): image is ReadyImage => image.error === undefined);
        const asked = usable.map((image) => (source.isHeld(image.sha256) ? { ...image, pixels: [] } : image));
        const vectors = usable.length === 0 ? new Float32Array() : await source.vectors(asked);
        const all = usable.length === 0 ? vectors : await predictor.predict(vectors, usable.length);
        const columns = all.length / usable.length;
        let i = 0;
        for (const image of batch) {
          if (image.error !== undefined) {
            yield image;
            continue;
          }
          const outputs = Array.from(all.slice(i * columns, (i + 1) * columns));
          const found = await seen(image, vectors.slice(i * net.d, ++i * net.d));
          const { path, absolute, sha256 } = image;
          yield {
            ...{ path, absolute, sha256, outputs },
            pixels: image.pixels[shown] as Pixels,
            input: (specs[shown] as BaseSpec).input,
            activation: (k) =>
              info.task === 'binary' ? activationOf(net, found, 0, k === 0 ? -1 : 1) : activationOf(net, found, k),
          };
        }
      }
    },
    async close() {
      for (const runner of runners) await runner.release();
      await source.close();
      await predictor.release();
    },
  };
}
