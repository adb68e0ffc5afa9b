import { type Matrix, matrix, type Products } from './products.js';
import { centre, type Rows, squaresOf } from './rows.js';
import { cholesky, solveFactored } from './spd.js';
import { type LeftOut, type Share, Spectrum } from './spectrum.js';

/** What a ridge regression is fitted to. */
export interface RidgeProblem {
  readonly rows: Rows;
  /** `[n, targets]` */
  readonly y: Matrix;
  /** What each row counts; null: all one. */
  readonly weights: Float64Array | null;
  /** Places that are left out together. */
  readonly groups: readonly Uint32Array[];
}

export interface RidgeFit {
  /** The penalty that was chosen. */
  readonly alpha: number;
  /** Mean squared error of rows whose group was left out, for each penalty of the list; infinite where one is too small for float64. */
  readonly errors: Float64Array;
  /** `[targets, d]` */
  readonly kernel: Matrix;
  readonly bias: Float64Array;
  /** What rows get from a fit without their group, at that penalty. */
  readonly leftOut: LeftOut;
}

/**
 * Ridge regressions of all targets with one penalty, `sum(weights (y - x w - b)²) + alpha |w|²`, the intercept free, by one decomposition for
 * all penalties (Rifkin and Lippert 2007). The penalty is that of the lowest squared error of rows whose group is left out, which
 * is `(I - H_gg)⁻¹ r_g` with the whole fit's residuals `r` and hat matrix `H`; with groups of one it is the choice of scikit-learn's
 * `RidgeCV`. The first of equals is taken.
 * @param lists penalties to choose from, for one fit each
 * @param sample groups whose rows' scores are given back
 * @returns for each list its fit; null where all of its penalties are too small for float64 to tell from none
 */
export async function fitRidge(
  products: Products,
  { rows, y, weights, groups }: RidgeProblem,
  lists: readonly (readonly number[])[],
  sample: readonly Uint32Array[] = [],
): Promise<(RidgeFit | null)[]> {
  const { n, d } = rows;
  const k = y.columns;
  const root = (place: number): number => Math.sqrt(weights?.[place] ?? 1);
  const total = weights?.reduce((sum, one) => sum + one, 0) ?? n;
  const mean = matrix(1, d);
  const level = new Float64Array(k);
  for await (const { places, x } of rows.blocks()) {
    for (const [i, place] of places.entries()) {
      const share = (weights?.[place] ?? 1) / total;
      for (let j = 0; j < d; j++) mean.values[j] = (mean.values[j] as number) + share * (x.values[i * d + j] as number);
      for (let c = 0; c < k; c++) level[c] = (level[c] as number) + share * (y.values[place * k + c] as number);
    }
  }
  const centred = matrix(n, k);
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < k; c++) {
      centred.values[i * k + c] = root(i) * ((y.values[i * k + c] as number) - (level[c] as number));
    }
  }
  const take = async (places: Uint32Array): Promise<Matrix> => {
    const x = await rows.take(places);
    centre(
      x,
      mean,
      () => 0,
      (i) => root(places[i] as number),
    );
    return x;
  };
  const few = n <= d ? await take(Uint32Array.from({ length: n }, (_, i) => i)) : null;
  const columns = matrix(d, k); // Z'y
  const addTo = async (z: Matrix, places: Uint32Array): Promise<void> => {
    const part = matrix(places.length, k);
    for (const [i, place] of places.entries()) {
      part.values.set(centred.values.subarray(place * k, (place + 1) * k), i * k);
    }
    const found = await products.multiply(z, part, 'turnA');
    for (let i = 0; i < columns.values.length; i++) {
      columns.values[i] = (columns.values[i] as number) + (found.values[i] as number);
    }
  };
  const all = Uint32Array.from({ length: n }, (_, i) => i);
  async function* blocks(): AsyncGenerator<Matrix> {
    for (let from = 0; from < n; from += rows.most) {
      const places = all.subarray(from, from + rows.most);
      const z = await take(places);
      await addTo(z, places);
      yield z;
    }
  }
  if (few !== null) await addTo(few, all);
  const square = few === null ? await products.gram(blocks(), d) : await products.multiply(few, few, 'turnB');
  const alphas = [...new Set(lists.flat())];
  const spectrum = await Spectrum.of(products, rows, { square, few, isOne: alphas.length === 1 }, take);
  const errors = new Float64Array(alphas.length);
  /** Errors of a group in a fit without it, `[s, targets]`, times the roots of the rows' weights. */
  const errorsOf = ({ group, own, across }: Share): Float64Array => {
    const s = group.length;
    const left = new Float64Array(s * k);
    for (const [i, place] of group.entries()) {
      for (let c = 0; c < k; c++) {
        left[i * k + c] = (centred.values[place * k + c] as number) - (across[i * k + c] as number);
      }
    }
    const rest = own.map((one, at) => {
      const [i, j] = [Math.floor(at / s), at % s];
      return (i === j ? 1 : 0) - one - (root(group[i] as number) * root(group[j] as number)) / total;
    });
    if (cholesky(rest, s)) solveFactored(rest, s, left, k);
    else left.fill(Number.NaN);
    return left;
  };
  const told = await spectrum.leaveOut({ columns, penalties: alphas, groups }, (index, _, share) => {
    errors[index] = (errors[index] as number) + squaresOf(errorsOf(share)) / (n * k);
  });
  for (const [i, one] of told.entries()) {
    if (one === null || Number.isNaN(errors[i])) errors[i] = Number.POSITIVE_INFINITY;
  }
  const chosen = lists.map((list) => {
    const own = Float64Array.from(list, (alpha) => errors[alphas.indexOf(alpha)] as number);
    const best = own.indexOf(Math.min(...own));
    return { errors: own, alpha: Number.isFinite(own[best]) ? (list[best] as number) : null };
  });
  const penalties = [...new Set(chosen.flatMap(({ alpha }) => alpha ?? []))];
  const leftOut = penalties.map(() => ({ places: [] as number[], scores: [] as number[] }));
  await spectrum.leaveOut({ columns, penalties, groups: sample }, (index, _, share) => {
    const { places, scores } = leftOut[index] as (typeof leftOut)[number];
    const left = errorsOf(share);
    for (const [i, place] of share.group.entries()) {
      if (root(place) === 0) continue;
      places.push(place);
      for (let c = 0; c < k; c++) {
        scores.push((y.values[place * k + c] as number) - (left[i * k + c] as number) / root(place));
      }
    }
  });
  const fits: (RidgeFit | null)[] = [];
  for (const { errors, alpha } of chosen) {
    if (alpha === null) {
      fits.push(null);
      continue;
    }
    const solved = spectrum.isFew ? await spectrum.solveFew(alpha, centred) : await spectrum.solve(alpha, columns);
    const kernel = matrix(k, d);
    const bias = level.slice();
    for (let c = 0; c < k; c++) {
      for (let j = 0; j < d; j++) {
        const weight = solved?.values[j * k + c] as number;
        kernel.values[c * d + j] = weight;
        bias[c] = (bias[c] as number) - weight * (mean.values[j] as number);
      }
    }
    const { places, scores } = leftOut[penalties.indexOf(alpha)] as (typeof leftOut)[number];
    fits.push({ alpha, errors, kernel, bias, leftOut: { places, scores: Float64Array.from(scores) } });
  }
  return fits;
}
