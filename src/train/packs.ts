import { Random } from '../random.js';
import { classWeights } from './class-weights.js';
import type { HeadNet } from './head-net.js';
import { endingOf, foldedNet, initialVariables, unitsOf } from './net.js';
import type { PackSpec } from './net-spec.js';
import type { ResolvedOptions } from './options.js';
import type { TrainingData } from './run.js';
import { learningRates } from './schedule.js';
import type { Standardization } from './standardize.js';
import type { PackedHead, Trainer, TrainerMaker } from './trainer.js';

/** Numbers of one pack's kernels: beyond, heads are spread over packs. */
const PACK_NUMBERS = 2 ** 24;

/** Heads that train together, by their places in the list of all heads. */
export interface Pack {
  readonly spec: PackSpec;
  readonly seed: number;
  readonly batchSize: number;
  /** The heads still in it, in the order of the trainer. */
  places: number[];
  readonly trainer: Trainer;
  /** What the vectors go through first. */
  readonly standardization: Standardization | null;
  /** The stream of the dropout, the same for the same seed and shape. */
  readonly noise: () => number;
}

/** @returns the net of a head of a pack, as it is now */
export async function netOf({ spec, trainer, standardization }: Pack, index: number): Promise<HeadNet> {
  return foldedNet(spec, await trainer.variables(index), standardization);
}

/** What heads must share to be trained by one graph, but for what a graph may hold although not every head needs it. */
function specOf(options: ResolvedOptions, data: TrainingData): PackSpec {
  const { hidden, activation, optimizer, momentum, nesterov, scale } = options;
  return {
    d: data.vectors.d,
    hidden,
    activation,
    units: unitsOf(data.task, data.classes.length),
    ending: endingOf(data.task),
    normalize: scale === 'l2',
    standardize: scale === 'standard',
    batchNorm: options.batchNorm,
    dropout: options.dropout > 0,
    optimizer: optimizer === 'sgd' || optimizer === 'rmsprop' ? optimizer : 'adam',
    momentum: momentum > 0,
    nesterov,
    weightDecay: options.weightDecay > 0,
    l1: options.l1 > 0,
    l2: options.l2 > 0,
    classWeight: options.classWeight !== null,
    labelSmoothing: options.labelSmoothing > 0,
  };
}

/** Of these a 0 (or null) changes nothing, so heads with and without go together. */
const OPTIONAL = ['momentum', 'weightDecay', 'l1', 'l2', 'classWeight', 'labelSmoothing'] as const;

/**
 * Groups heads and makes their trainers. Neither the initial weights nor the order depend on the company.
 * @param initial gives the variables to begin with
 */
export async function makePacks(
  data: TrainingData,
  rows: Uint32Array,
  heads: readonly { readonly place: number; readonly options: ResolvedOptions }[],
  standardization: Standardization | null,
  maker: TrainerMaker,
  threads?: number,
  initial: typeof initialVariables = initialVariables,
): Promise<Pack[]> {
  const groups = new Map<string, { place: number; options: ResolvedOptions; spec: PackSpec }[]>();
  for (const { place, options } of heads) {
    const spec = specOf(options, data);
    const { seed, batchSize } = options;
    const shared = { ...spec, ...Object.fromEntries(OPTIONAL.map((name) => [name, null])), seed, batchSize };
    const key = JSON.stringify(shared);
    groups.set(key, [...(groups.get(key) ?? []), { place, options, spec }]);
  }
  const packs: Pack[] = [];
  for (const group of groups.values()) {
    const sizes = [data.vectors.d, ...(group[0]?.spec.hidden ?? []), group[0]?.spec.units ?? 1];
    const numbers = sizes.slice(1).reduce((sum, size, i) => sum + size * (sizes[i] ?? 1), 0);
    const most = Math.max(1, Math.min(maker.most, Math.floor(PACK_NUMBERS / numbers)));
    for (let from = 0; from < group.length; from += most) {
      packs.push(await makePack(data, rows, group.slice(from, from + most), standardization, maker, threads, initial));
    }
  }
  return packs;
}

async function makePack(
  data: TrainingData,
  rows: Uint32Array,
  members: readonly { place: number; options: ResolvedOptions; spec: PackSpec }[],
  fitted: Standardization | null,
  maker: TrainerMaker,
  threads: number | undefined,
  initial: typeof initialVariables,
): Promise<Pack> {
  const [first] = members as [(typeof members)[number]];
  const { seed, batchSize } = first.options;
  const spec: PackSpec = {
    ...first.spec,
    ...Object.fromEntries(OPTIONAL.map((name) => [name, members.some((member) => member.spec[name])])),
  };
  const stepsPerEpoch = Math.ceil(rows.length / batchSize);
  const packed = members.map(({ options }): PackedHead => {
    const { momentum, weightDecay, l1, l2, dropout, labelSmoothing } = options;
    return {
      start: initial(spec, seed),
      learningRate: learningRates(options, stepsPerEpoch),
      classWeights: classWeights(options.classWeight, data, rows),
      ...{ momentum, weightDecay, l1, l2, dropout, labelSmoothing },
    };
  });
  const standardization = spec.standardize ? fitted : null;
  const scaling =
    standardization === null
      ? undefined
      : { mean: standardization.mean, inverse: standardization.scale.map((scale) => 1 / scale) };
  const random = new Random(`dropout ${seed}`);
  return {
    spec,
    seed,
    batchSize,
    places: members.map(({ place }) => place),
    trainer: await maker.create(spec, packed, scaling, threads),
    standardization,
    noise: () => random.uniform(),
  };
}
