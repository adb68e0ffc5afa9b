import type { Targets } from '../labels/targets.js';
import { Random } from '../random.js';
import { Alike, sameValues } from './alike.js';
import { classWeights } from './class-weights.js';
import type { HeadNet } from './head-net.js';
import { endingOf, foldedNet, initialVariables, unitsOf } from './net.js';
import type { PackSpec } from './net-spec.js';
import type { ResolvedOptions } from './options.js';
import type { Examples, PlacedHead, TrainingData, TrainingRun } from './run.js';
import { learningRates } from './schedule.js';
import type { Standardization } from './standardize.js';
import type { PackedHead, Trainer, TrainerMaker } from './trainer.js';
import { allRows } from './vectors.js';

/** Numbers of one pack's kernels: beyond, heads are spread over packs. */
const PACK_NUMBERS = 2 ** 24;
/** Numbers of the vectors that wait for the minibatches of one pack, at most: each rows of their own have one that is not full. */
const MIXED_NUMBERS = 2 ** 24;

/** Heads of one problem. */
export interface Entrants {
  readonly run: TrainingRun;
  readonly heads: readonly PlacedHead[];
}

/** A head that trains with others. */
export interface Member extends PlacedHead {
  readonly run: TrainingRun;
  /** Targets by row of the source, of training and of validation; the very same where they are alike. */
  readonly y: Targets;
  readonly valY: Targets | null;
  /** Number of its validation rows; null without. */
  readonly side: number | null;
  /** 1 for its rows of the source; null where it sees all rows of the pack. */
  readonly seen: Uint8Array | null;
}

/** Heads that train together: of one shape, on the same rows in the same order, or each on its own of the same vectors. */
export interface Pack {
  readonly spec: PackSpec;
  /** Number of the order of its rows. Packs of one order see the same blocks of vectors. */
  readonly order: number;
  /** Those that any of its heads sees, ascending. */
  readonly rows: Uint32Array;
  readonly seed: number;
  readonly batchSize: number;
  /** The heads still in it, in the order of the trainer. */
  members: readonly Member[];
  readonly trainer: Trainer;
  /** What the vectors go through first. */
  readonly standardization: Standardization | null;
  /** The stream of the dropout, the same for the same seed and shape. */
  readonly noise: () => number;
}

/** @returns the targets of heads as trainers take them: one for all where they are the same */
export const targetsOf = (all: readonly Targets[]): readonly Targets[] =>
  all.every((one) => one === all[0]) ? all.slice(0, 1) : all;

/** @returns the net of a head of a pack, as it is now */
export async function netOf(
  { spec, trainer, standardization }: Pick<Pack, 'spec' | 'trainer' | 'standardization'>,
  index: number,
): Promise<HeadNet> {
  return foldedNet(spec, await trainer.variables(index), standardization);
}

/** What heads must share to be trained by one graph, but for what a graph may hold although not every head needs it. */
export function specOf(
  options: ResolvedOptions,
  data: Pick<TrainingData, 'task' | 'classes'> & { readonly vectors: Pick<TrainingData['vectors'], 'd'> },
): PackSpec {
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

/** @returns what tells heads apart that cannot be trained by one graph */
export const shapeOf = (spec: PackSpec): string =>
  JSON.stringify({ ...spec, ...Object.fromEntries(OPTIONAL.map((name) => [name, null])) });

/** @returns numbers of one head's kernels and biases */
export function numbersOf(options: ResolvedOptions, data: TrainingData): number {
  const { d, hidden, units } = specOf(options, data);
  return [...hidden, units].reduce((sum, out, i, sizes) => sum + out * ((sizes[i - 1] ?? d) + 1), 0);
}

type Rows = Pick<Required<Examples>, 'vectors' | 'rows'> & Pick<Examples, 'marks'>;
const sameRows = (a: Rows, b: Rows): boolean => a.vectors === b.vectors && sameValues(a.rows, b.rows);
const sameMarks = (a: Rows, b: Rows): boolean => a.vectors === b.vectors && sameValues(a.marks ?? [], b.marks ?? []);
/** Rows that are the same, and come in the same order. */
const sameOrder = (a: Rows, b: Rows): boolean => sameRows(a, b) && sameMarks(a, b);

/** Targets of a task's rows. */
interface Answers extends Rows {
  readonly y: Targets;
  readonly width: number;
}
const sameAnswers = (a: Answers, b: Answers): boolean => {
  if (a.width !== b.width || !sameRows(a, b)) return false;
  if (a.y === b.y) return true;
  for (const row of a.rows) {
    for (let k = row * a.width; k < (row + 1) * a.width; k++) if (a.y[k] !== b.y[k]) return false;
  }
  return true;
};

/**
 * Groups heads and makes their trainers. Neither the initial weights nor the order depend on the company.
 * @param initial gives the variables to begin with
 */
export async function makePacks(
  entrants: readonly Entrants[],
  maker: TrainerMaker,
  threads?: number,
  initial: typeof initialVariables = initialVariables,
): Promise<Pack[]> {
  const rows = new Alike(sameOrder);
  const marks = new Alike(sameMarks);
  const sides = new Alike(sameRows);
  const answers = new Alike(sameAnswers);
  const orders = new Alike<string>((a, b) => a === b);
  const groups = new Map<string, Grouped>();
  for (const { run, heads } of entrants) {
    const { data, val } = run;
    const width = data.task === 'multilabel' ? data.classes.length : 1;
    const { y } = answers.first({ ...data, width });
    const valY = val === null ? null : answers.first({ ...val, width }).y;
    const [train, mark, side] = [rows.number(data), marks.number(data), val === null ? null : sides.number(val)];
    for (const { place, options } of heads) {
      const { seed, batchSize } = options;
      const spec = specOf(options, data);
      const order = orders.number(JSON.stringify([train, seed, batchSize]));
      const shape = shapeOf(spec);
      const key = JSON.stringify([shape, order, side]);
      const walk = JSON.stringify([shape, mark, seed, batchSize]);
      const group = groups.get(key) ?? { members: [], spec, order, walk };
      group.members.push({ place, options, run, y, valY, side, seen: null });
      groups.set(key, group);
    }
  }
  const packs: Pack[] = [];
  try {
    for (const { members, ...what } of mixed([...groups.values()], maker, orders)) {
      const [first] = members as [Member];
      const most = Math.max(
        1,
        Math.min(maker.most, Math.floor(PACK_NUMBERS / numbersOf(first.options, first.run.data))),
      );
      for (let from = 0; from < members.length; from += most) {
        packs.push(await makePack(members.slice(from, from + most), what, maker, threads, initial));
      }
    }
  } catch (error) {
    await Promise.all(packs.map(({ trainer }) => trainer.release()));
    throw error;
  }
  return packs;
}

/** Members of one pack, before it is made. */
interface Grouped {
  readonly members: Member[];
  readonly spec: PackSpec;
  readonly order: number;
  /** What tells whether others see rows of the same vectors, in an order that is the same where both have them. */
  readonly walk: string;
  /** Where members have rows of their own: those of any of them. */
  readonly rows?: Uint32Array;
}

/** @returns the groups, those that train faster together as one */
function mixed(groups: readonly Grouped[], maker: TrainerMaker, orders: Alike<string>): Grouped[] {
  const walks = new Map<string, Grouped[]>();
  const alone: Grouped[] = [];
  for (const group of groups) {
    const [{ options, run }] = group.members as [Member];
    const isWhole = run.data.vectors.isWhole === true;
    if (!isWhole || !maker.mixes(group.spec, group.members.length, options.batchSize)) alone.push(group);
    else walks.set(group.walk, [...(walks.get(group.walk) ?? []), group]);
  }
  const parts = [...walks.values()].flatMap((all) => {
    const [{ options, run }] = (all[0] as Grouped).members as [Member];
    const most = Math.max(1, Math.floor(MIXED_NUMBERS / (options.batchSize * run.data.vectors.d)));
    return Array.from({ length: Math.ceil(all.length / most) }, (_, i) => all.slice(i * most, (i + 1) * most));
  });
  const together = parts.map((all): Grouped => {
    const [first] = all as [Grouped];
    if (all.every(({ order }) => order === first.order))
      return { ...first, members: all.flatMap(({ members }) => members) };
    const { n } = (first.members[0] as Member).run.data.vectors;
    const any = new Uint8Array(n);
    const masks = new Map<number, Uint8Array>();
    const members = all.flatMap(({ members, order }) => {
      const seen = masks.get(order) ?? new Uint8Array(n);
      masks.set(order, seen);
      for (const row of (members[0] as Member).run.data.rows) {
        seen[row] = 1;
        any[row] = 1;
      }
      return members.map((member) => ({ ...member, seen }));
    });
    const rows = allRows(n).filter((row) => any[row] === 1);
    return { ...first, members, rows, order: orders.number(`${first.walk} of ${all.map(({ order }) => order)}`) };
  });
  return [...alone, ...together];
}

async function makePack(
  members: readonly Member[],
  { spec: shape, order, rows }: Pick<Grouped, 'spec' | 'order' | 'rows'>,
  maker: TrainerMaker,
  threads: number | undefined,
  initial: typeof initialVariables,
): Promise<Pack> {
  const [first] = members as [Member];
  const { seed, batchSize } = first.options;
  const specs = members.map(({ options, run }) => specOf(options, run.data));
  const spec: PackSpec = {
    ...shape,
    ...Object.fromEntries(OPTIONAL.map((name) => [name, specs.some((one) => one[name])])),
  };
  const packed = members.map(({ options, run: { data } }): PackedHead => {
    const { momentum, weightDecay, l1, l2, dropout, labelSmoothing } = options;
    return {
      start: initial(spec, seed),
      learningRate: learningRates(options, Math.ceil(data.rows.length / batchSize)),
      classWeights: classWeights(options.classWeight, data, data.rows),
      ...{ momentum, weightDecay, l1, l2, dropout, labelSmoothing },
    };
  });
  const standardization = spec.standardize ? first.run.standardization : null;
  const scaling =
    standardization === null
      ? undefined
      : { mean: standardization.mean, inverse: standardization.scale.map((scale) => 1 / scale) };
  const isInPlace = first.run.data.vectors.isShared === true && maker.mixes(spec, members.length, batchSize);
  const isMixed = rows !== undefined || isInPlace;
  const random = new Random(`dropout ${seed}`);
  return {
    ...{ spec, order, seed, batchSize, members, rows: rows ?? first.run.data.rows },
    trainer: await maker.create(spec, packed, { isMixed, scaling, threads }),
    standardization,
    noise: () => random.uniform(),
  };
}
