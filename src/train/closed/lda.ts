import { HeadError } from '../../errors.js';
import type { SHRINKAGES } from '../../options/choices.js';
import { type Candidate, leaveOutScores } from './lda-leave-out.js';
import { ledoitWolf } from './ledoit-wolf.js';
import { type LdaProblem, type Moments, momentsOf, type Scatter, takeCentred } from './moments.js';
import { sharpness, smoothed } from './probabilities.js';
import { type Matrix, matrix, type Products } from './products.js';
import { squaresOf } from './rows.js';
import { solveSpd } from './spd.js';
import { type LeftOut, Spectrum } from './spectrum.js';

/** How far the covariance goes to a multiple of the identity: by a rule, or a share. */
export type Shrinkage = (typeof SHRINKAGES)[number] | number;

export interface LdaFit {
  /** `[classes, d]`; of two classes `[1, d]`, the second's less the first's. */
  readonly kernel: Matrix;
  readonly bias: Float64Array;
  /** Share of the mean variance that was mixed in; null where each class has its own. */
  readonly shrinkage: number | null;
  /** What was added to the scatter on its diagonal; null as above. */
  readonly penalty: number | null;
  /** Scores of rows by fits without their groups; null where the rule asks for none. */
  readonly leftOut: LeftOut | null;
}

/** Shares that `loo` chooses from, as parts of what stays: from a thousandth to a thousand times as much, two a decade. */
const LEAVE_OUT_RATIOS = Array.from({ length: 13 }, (_, i) => 10 ** (i / 2 - 3));

/**
 * Linear discriminants with one covariance for all classes: log posterior of each class but for what they share, with the classes'
 * shares of the training images as priors (Duda, Hart and Stork 2001, 2.6.2).
 *
 * With `S` the covariance within the classes, weighted by the priors: `trace` takes `d ((n - 1) S' + tr(S') I)⁻¹`, `S' = n S / (n - 1)`,
 * for its inverse (Kubokawa and Srivastava 2008; Wang et al., ICLR 2024); a share `s` that of `(1 - s) S + s tr(S) / d I`; `auto`
 * shrinks each class on standardised features by Ledoit and Wolf's share, as scikit-learn's
 * `LinearDiscriminantAnalysis(solver='lsqr', shrinkage='auto')`; `loo` the largest share whose scores of groups that are left out
 * have a log loss within a standard error of the lowest.
 * @throws HeadError where no two images of a class differ, or the covariance is singular
 */
export async function fitLda(
  products: Products,
  problem: LdaProblem,
  shrinkages: readonly Shrinkage[],
): Promise<LdaFit[]> {
  const moments = await momentsOf(problem);
  const { rows } = problem;
  const { n, d } = rows;
  const pooled = shrinkages.some((one) => one !== 'auto') ? await pooledScatter(products, problem, moments) : null;
  const fits: LdaFit[] = [];
  for (const asked of shrinkages) {
    if (asked === 'auto') {
      const found = await ledoitWolf(products, problem, moments);
      const solved = await solveShrunk(products, found, differences(moments));
      if (solved === null) throw singular();
      fits.push({ ...discriminants(moments, solved), shrinkage: null, penalty: null, leftOut: null });
      continue;
    }
    const { scatter, trace } = pooled as Pooled;
    if (!(trace > 0)) {
      throw new HeadError('lda needs a class with two images that differ: label more images, or take lbfgs');
    }
    const candidate = (ratio: number): Candidate => ({ penalty: (ratio * trace) / d, scale: n * (1 + ratio) });
    let chosen: Candidate;
    let shrinkage: number;
    let leftOut: LeftOut | null = null;
    let spectrum: Spectrum | null = null;
    if (typeof asked === 'number') {
      shrinkage = asked;
      chosen = candidate(asked / (1 - asked));
    } else {
      spectrum = await spectrumOf(products, problem, moments, scatter, asked === 'trace');
      const candidates = asked === 'trace' ? [{ penalty: trace / (n - 1), scale: d }] : LEAVE_OUT_RATIOS.map(candidate);
      const scores = await leaveOutScores(spectrum, problem, moments, candidates);
      const best = chosenOf(scores.map((one) => sharpness(one, smoothed(problem, one))));
      chosen = candidates[best] ?? (candidates[0] as Candidate);
      leftOut = scores[best] ?? null;
      const ratio = (chosen.penalty * d) / trace;
      shrinkage = ratio / (1 + ratio);
    }
    const b = differences(moments);
    const solved =
      shrinkage === 1
        ? scaled(b, (d * n) / trace)
        : spectrum !== null
          ? await spectrum.solve(chosen.penalty, b)
          : await solveShrunk(products, { ...scatter, diagonal: new Float64Array(d).fill(chosen.penalty) }, b);
    if (solved === null) throw singular();
    const kernel = shrinkage === 1 ? solved : scaled(solved, chosen.scale);
    fits.push({ ...discriminants(moments, kernel), shrinkage, penalty: chosen.penalty, leftOut });
  }
  return fits;
}

/** @returns the last, and so the strongest, of those whose loss is no more than a standard error above the lowest (Breiman et al. 1984) */
function chosenOf(losses: readonly { readonly loss: number; readonly error: number }[]): number {
  const [lowest] = [...losses].sort((a, b) => a.loss - b.loss);
  const most = (lowest?.loss ?? 0) + (lowest?.error ?? 0);
  return Math.max(
    0,
    losses.findLastIndex(({ loss }) => loss <= most),
  );
}

const singular = (): HeadError =>
  new HeadError('the covariance of these vectors is singular: give a larger --shrinkage, or trace');

const scaled = ({ rows, columns, values }: Matrix, by: number): Matrix =>
  matrix(
    rows,
    columns,
    values.map((one) => one * by),
  );

interface Pooled {
  readonly scatter: Scatter;
  readonly trace: number;
}

async function pooledScatter(products: Products, problem: LdaProblem, moments: Moments): Promise<Pooled> {
  const { n, d } = problem.rows;
  const all = Uint32Array.from({ length: n }, (_, i) => i);
  if (n <= d) {
    const few = await takeCentred(problem, moments, all);
    return { scatter: { square: null, few }, trace: squaresOf(few.values) };
  }
  async function* blocks(): AsyncGenerator<Matrix> {
    const { most } = problem.rows;
    for (let from = 0; from < n; from += most) {
      yield await takeCentred(problem, moments, all.subarray(from, from + most));
    }
  }
  const square = await products.gram(blocks(), d);
  let trace = 0;
  for (let j = 0; j < d; j++) trace += square.values[j * d + j] as number;
  return { scatter: { square, few: null }, trace };
}

async function spectrumOf(
  products: Products,
  problem: LdaProblem,
  moments: Moments,
  { square, few }: Scatter,
  isOne: boolean,
): Promise<Spectrum> {
  const own = few === null ? (square as Matrix) : await products.multiply(few, few, 'turnB');
  const take = (places: Uint32Array): Promise<Matrix> => takeCentred(problem, moments, places);
  return Spectrum.of(products, problem.rows, { square: own, few, isOne }, take);
}

/** @returns the means as columns `[d, classes]`; of two classes the second's less the first's */
function differences({ means: { values, rows: classes, columns: d } }: Moments): Matrix {
  const found = matrix(d, classes === 2 ? 1 : classes);
  for (let j = 0; j < d; j++) {
    if (classes === 2) found.values[j] = (values[d + j] as number) - (values[j] as number);
    else for (let k = 0; k < classes; k++) found.values[j * classes + k] = values[k * d + j] as number;
  }
  return found;
}

/** @returns the discriminants of `P b`, `[d, units]` */
function discriminants({ means, priors }: Moments, solved: Matrix): Pick<LdaFit, 'kernel' | 'bias'> {
  const { rows: d, columns: units } = solved;
  const kernel = matrix(units, d);
  const bias = new Float64Array(units);
  for (let u = 0; u < units; u++) {
    let half = 0;
    for (let j = 0; j < d; j++) {
      const weight = solved.values[j * units + u] as number;
      kernel.values[u * d + j] = weight;
      const mean =
        units === 1 ? (means.values[j] as number) + (means.values[d + j] as number) : means.values[u * d + j];
      half += ((mean as number) * weight) / 2;
    }
    const prior = units === 1 ? (priors[1] as number) / (priors[0] as number) : (priors[u] as number);
    bias[u] = Math.log(prior) - half;
  }
  return { kernel, bias };
}

/**
 * @returns `(Z'Z + diagonal)⁻¹ b` for columns `[d, k]`; null where that is singular. By Woodbury's identity where the rows are few
 */
async function solveShrunk(
  products: Products,
  { square, few, diagonal }: Scatter & { readonly diagonal: Float64Array },
  b: Matrix,
): Promise<Matrix | null> {
  const d = b.rows;
  if (few === null) {
    const a = matrix(d, d, (square as Matrix).values.slice());
    for (let j = 0; j < d; j++) a.values[j * d + j] = (a.values[j * d + j] as number) + (diagonal[j] as number);
    return solveSpd(products, a, b);
  }
  if (diagonal.some((one) => !(one > 0))) return null;
  const over = ({ rows, columns, values }: Matrix): Matrix =>
    matrix(
      rows,
      columns,
      values.map((one, at) => one / (diagonal[Math.floor(at / columns)] as number)),
    );
  const scaledRows = matrix(
    few.rows,
    d,
    few.values.map((one, at) => one / (diagonal[at % d] as number)),
  );
  const inside = await products.multiply(scaledRows, few, 'turnB');
  for (let i = 0; i < inside.rows; i++) {
    inside.values[i * inside.rows + i] = (inside.values[i * inside.rows + i] as number) + 1;
  }
  const x = await solveSpd(products, inside, await products.multiply(scaledRows, b));
  if (x === null) return null;
  return over(await products.multiply(few, x, 'turnA', { c: b, factor: -1 }));
}
