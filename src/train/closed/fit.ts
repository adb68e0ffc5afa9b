import { HeadError } from '../../errors.js';
import { classWeights } from '../class-weights.js';
import { measureNets } from '../measure.js';
import { endingOf, foldedNet, unitsOf } from '../net.js';
import type { ResolvedOptions } from '../options.js';
import type { ClosedForm, Outcome, PlacedHead, TrainingRun } from '../run.js';
import { fitLda, type Shrinkage } from './lda.js';
import { platt, sharpness, smoothed } from './probabilities.js';
import { type Matrix, matrix, Products } from './products.js';
import { fitRidge } from './ridge.js';
import { gathered, Rows } from './rows.js';

/** Rows whose scores without their groups scale probabilities, and choose the shrinkage of `loo`; of more, evenly drawn. */
const SAMPLE = 4096;

/** Multiplications of a decomposition for which a second thread takes longer to be made than it helps. */
const LITTLE = 2 ** 26;

/** A head as solved. */
interface Solved {
  /** `[units, d]` */
  readonly kernel: Matrix;
  readonly bias: Float64Array;
  readonly closedForm: ClosedForm;
}

/** Trains heads that have a closed form: `lda` and `ridge`. Those that differ in the penalty alone share what is decomposed. */
export async function trainClosed(run: TrainingRun, heads: readonly PlacedHead[]): Promise<Outcome[]> {
  const shared = new Map<string, PlacedHead[]>();
  for (const head of heads) {
    const { optimizer, scale, classWeight } = head.options;
    const key = JSON.stringify([optimizer, scale, classWeight]);
    shared.set(key, [...(shared.get(key) ?? []), head]);
  }
  const [n, d] = [run.data.rows.length, run.data.vectors.d];
  const products = new Products(
    run.hooks.threads ?? (n * d * Math.min(n, d) < LITTLE ? 1 : undefined),
    run.hooks.signal,
  );
  try {
    const outcomes: Outcome[] = [];
    for (const group of shared.values()) outcomes.push(...(await trainOrFail(products, run, group)));
    return outcomes;
  } finally {
    await products.release();
  }
}

/** Where one of several heads has no solution, the others are solved by themselves. */
async function trainOrFail(products: Products, run: TrainingRun, heads: readonly PlacedHead[]): Promise<Outcome[]> {
  try {
    return await trainGroup(products, run, heads);
  } catch (error) {
    if (!(error instanceof HeadError)) throw error;
    const [only, ...others] = heads as [PlacedHead, ...PlacedHead[]];
    if (others.length === 0) return [{ place: only.place, outcome: null, failure: error }];
    const outcomes: Outcome[] = [];
    for (const head of heads) outcomes.push(...(await trainOrFail(products, run, [head])));
    return outcomes;
  }
}

async function trainGroup(products: Products, run: TrainingRun, heads: readonly PlacedHead[]): Promise<Outcome[]> {
  const { data, standardization, hooks } = run;
  const { options } = heads[0] as PlacedHead;
  const { task, classes } = data;
  const scaling = {
    normalize: options.scale === 'l2',
    standardization: options.scale === 'standard' ? standardization : null,
  };
  const rows = new Rows(data.vectors, data.rows, scaling, () => hooks.signal?.throwIfAborted());
  const groups = gathered(
    data.groups === undefined ? null : data.rows.map((row) => data.groups?.[row] as number),
    rows.n,
  );
  const solve = options.optimizer === 'lda' ? solveLda : solveRidge;
  const solved = await solve(products, run, rows, groups, heads);
  const spec = {
    ...{
      d: rows.d,
      units: unitsOf(task, classes.length),
      ending: endingOf(task),
      hidden: [],
      activation: 'relu' as const,
    },
    ...{ normalize: scaling.normalize, batchNorm: false },
  };
  const nets = solved.map(({ kernel, bias }) =>
    foldedNet(
      spec,
      new Map([
        ['kernel0', kernel.values],
        ['bias0', bias],
      ]),
      scaling.standardization,
    ),
  );
  const [onTraining = [], onValidation = []] = await measureNets(spec, nets, [data, run.val], hooks.threads);
  return heads.map(({ place }, i): Outcome => {
    const { loss = Number.NaN } = onTraining[i] ?? {};
    if (!Number.isFinite(loss)) return { place, outcome: null };
    const held = onValidation[i];
    const record = { epoch: 1, loss, valLoss: held?.loss ?? null, valAccuracy: held?.accuracy ?? null };
    hooks.onEpoch?.(place, record);
    const { closedForm } = solved[i] as Solved;
    const net = nets[i] as (typeof nets)[number];
    return { place, outcome: { net, history: [record], bestEpoch: 1, end: 'converged', closedForm } };
  });
}

/** @returns some of the groups, evenly drawn, that come to no more than so many rows, the first one in any case */
function sampleOf(groups: readonly Uint32Array[]): Uint32Array[] {
  const total = groups.reduce((sum, { length }) => sum + length, 0);
  const every = Math.max(1, Math.ceil(total / SAMPLE));
  return groups.filter((_, i) => i % every === 0);
}

type Solve = (
  products: Products,
  run: TrainingRun,
  rows: Rows,
  groups: readonly Uint32Array[],
  heads: readonly PlacedHead[],
) => Promise<Solved[]>;

const solveLda: Solve = async (products, { data }, rows, groups, heads) => {
  const { classes, y } = data;
  const problem = {
    ...{ rows, groups, classes: classes.length, sample: sampleOf(groups) },
    y: data.rows.map((row) => y[row] as number),
    weights: weightsOf((heads[0] as PlacedHead).options, data),
  };
  const fits = await fitLda(
    products,
    problem,
    heads.map(({ options }) => options.shrinkage as Shrinkage),
  );
  return fits.map(({ kernel, bias, shrinkage, leftOut }) => {
    const factor = leftOut === null ? 1 : sharpness(leftOut, smoothed(problem, leftOut)).factor;
    return {
      ...multiplied(withoutCommon(kernel, bias), [factor]),
      closedForm: { alpha: null, shrinkage, slopes: [factor], offsets: [0] },
    };
  });
};

const solveRidge: Solve = async (products, { data }, rows, groups, heads) => {
  const { task, classes, y: targets } = data;
  const units = unitsOf(task, classes.length);
  const y = matrix(rows.n, units);
  const isYes = (place: number, unit: number): boolean => {
    const row = data.rows[place] as number;
    if (task === 'multiclass') return targets[row] === unit;
    return targets[row * units + unit] === 1;
  };
  for (let place = 0; place < rows.n; place++) {
    for (let u = 0; u < units; u++) {
      const value = task === 'regression' ? (targets[data.rows[place] as number] as number) : isYes(place, u) ? 1 : -1;
      y.values[place * units + u] = value;
    }
  }
  const each = weightsOf((heads[0] as PlacedHead).options, data);
  const weights = each && Float64Array.from(data.rows, (row) => each[targets[row] as number] as number);
  if (groups.length < 2) {
    throw new HeadError(
      'ridge chooses by leaving out one group of images at a time, and all training images are of the same group: ' +
        'give another --group-column, or images of other groups, or take lbfgs',
    );
  }
  const sample = task === 'regression' ? [] : sampleOf(groups);
  const lists = heads.map(({ options }) => options.alphas);
  const fits = await fitRidge(products, { rows, y, weights, groups }, lists, sample);
  return fits.map((fit, i): Solved => {
    if (fit === null) {
      throw new HeadError(`ridge finds no solution with --alphas ${lists[i]?.join(',')}: give larger ones`);
    }
    const { kernel, bias, alpha, leftOut } = fit;
    if (task === 'regression') {
      return { kernel, bias, closedForm: { alpha, shrinkage: null, slopes: [1], offsets: [0] } };
    }
    if (task === 'multiclass') {
      const problem = { y: data.rows.map((row) => targets[row] as number), classes: units };
      const { factor } = sharpness(leftOut, smoothed(problem, leftOut));
      const closedForm = { alpha, shrinkage: null, slopes: [factor], offsets: [0] };
      return { ...multiplied({ kernel, bias }, [factor]), closedForm };
    }
    const sigmoids = Array.from({ length: units }, (_, u) => {
      const scores = Float64Array.from(leftOut.places, (_, at) => leftOut.scores[at * units + u] as number);
      return platt(
        scores,
        leftOut.places.map((place) => isYes(place, u)),
      );
    });
    const [slopes, offsets] = [sigmoids.map(({ slope }) => slope), sigmoids.map(({ offset }) => offset)];
    return {
      ...multiplied({ kernel, bias }, slopes, offsets),
      closedForm: { alpha, shrinkage: null, slopes, offsets },
    };
  });
};

/** @returns scores times a slope, one for all units or one each, and moved */
function multiplied(
  { kernel, bias }: Pick<Solved, 'kernel' | 'bias'>,
  slopes: readonly number[],
  offsets: readonly number[] = [],
): Pick<Solved, 'kernel' | 'bias'> {
  const of = (list: readonly number[], unit: number, otherwise: number): number => list[unit] ?? list[0] ?? otherwise;
  const { rows, columns, values } = kernel;
  return {
    kernel: matrix(
      rows,
      columns,
      values.map((one, at) => one * of(slopes, Math.floor(at / columns), 1)),
    ),
    bias: bias.map((one, unit) => one * of(slopes, unit, 1) + of(offsets, unit, 0)),
  };
}

/** What all classes share changes no probability, and would cost digits in float32. */
function withoutCommon(kernel: Matrix, bias: Float64Array): Pick<Solved, 'kernel' | 'bias'> {
  const { rows: units, columns: d } = kernel;
  if (units === 1) return { kernel, bias };
  const less = matrix(units, d, kernel.values.slice());
  for (let j = 0; j < d; j++) {
    let mean = 0;
    for (let u = 0; u < units; u++) mean += (kernel.values[u * d + j] as number) / units;
    for (let u = 0; u < units; u++) less.values[u * d + j] = (less.values[u * d + j] as number) - mean;
  }
  const level = bias.reduce((sum, one) => sum + one, 0) / units;
  return { kernel: less, bias: bias.map((one) => one - level) };
}

/** What an image of each class counts. */
function weightsOf({ classWeight }: ResolvedOptions, data: TrainingRun['data']): Float64Array | null {
  const weights = classWeights(classWeight, data, data.rows);
  return weights && Float64Array.from(weights);
}
