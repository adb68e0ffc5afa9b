import type { LdaProblem, Moments, Scatter } from './moments.js';
import { type Matrix, matrix, type Products } from './products.js';
import { squaresOf } from './rows.js';

/**
 * The covariance within the classes, each shrunk by itself on standardised features by Ledoit and Wolf's share (2004), and weighted by the
 * priors: what scikit-learn's `LinearDiscriminantAnalysis(shrinkage='auto')` takes, a variance of 1 in the place of none included.
 * @returns the covariance as `Z'Z + diagonal`
 */
export async function ledoitWolf(
  products: Products,
  { rows, y, classes }: LdaProblem,
  { means, counts, priors }: Moments,
): Promise<Scatter & { readonly diagonal: Float64Array }> {
  const { n, d } = rows;
  const diagonal = new Float64Array(d);
  const few = n <= d ? matrix(n, d) : null;
  let square: Matrix | null = null;
  let filled = 0;
  for (let k = 0; k < classes; k++) {
    const count = counts[k] as number;
    if (count === 0) continue;
    const places = Uint32Array.from(y.keys()).filter((place) => y[place] === k);
    const mean = means.values.subarray(k * d, (k + 1) * d);
    const centred = async function* (): AsyncGenerator<Matrix> {
      for await (const { x } of rows.blocks(places)) {
        for (let at = 0; at < x.values.length; at++) {
          x.values[at] = (x.values[at] as number) - (mean[at % d] as number);
        }
        yield x;
      }
    };
    const variance = new Float64Array(d);
    for await (const { values } of centred()) {
      for (let at = 0; at < values.length; at++) {
        const j = at % d;
        variance[j] = (variance[j] as number) + (values[at] as number) ** 2 / count;
      }
    }
    const scale = variance.map((one, j) => (isConstant(one, mean[j] as number, count) ? 1 : Math.sqrt(one)));
    const spread = variance.map((one, j) => one / (scale[j] as number) ** 2);
    const level = spread.reduce((sum, one) => sum + one, 0) / d;
    // Fourth moments, and the squared length of the standardised covariance, from the smaller of its two products.
    let fourth = 0;
    for await (const { values } of centred()) {
      for (let from = 0; from < values.length; from += d) {
        let length = 0;
        for (let j = 0; j < d; j++) length += ((values[from + j] as number) / (scale[j] as number)) ** 2;
        fourth += length * length;
      }
    }
    const whole = count <= d ? await first(centred()) : null;
    const scatter = count <= d ? null : await products.gram(centred(), d);
    let length: number;
    if (whole !== null) {
      const standard = matrix(
        whole.rows,
        d,
        whole.values.map((one, at) => one / (scale[at % d] as number)),
      );
      length = squaresOf((await products.multiply(standard, standard, 'turnB')).values);
    } else {
      const found = (scatter as Matrix).values;
      length = 0;
      for (let at = 0; at < found.length; at++) {
        const [i, j] = [Math.floor(at / d), at % d];
        length += ((found[at] as number) / ((scale[i] as number) * (scale[j] as number))) ** 2;
      }
    }
    const share = shareOf(fourth, length / count ** 2, level, count, d);
    const weight = ((priors[k] as number) * (1 - share)) / count;
    for (let j = 0; j < d; j++) {
      const added = (priors[k] as number) * share * level * (scale[j] as number) ** 2;
      diagonal[j] = (diagonal[j] as number) + added;
    }
    if (few !== null) {
      const root = Math.sqrt(weight);
      few.values.set(
        (whole as Matrix).values.map((one) => one * root),
        filled,
      );
      filled += count * d;
      continue;
    }
    square ??= matrix(d, d);
    const found = scatter ?? (await products.gram(of(whole as Matrix), d));
    for (let at = 0; at < found.values.length; at++) {
      square.values[at] = (square.values[at] as number) + weight * (found.values[at] as number);
    }
  }
  return { square, few, diagonal };
}

/** scikit-learn's rule for what is constant but for rounding errors. */
function isConstant(variance: number, mean: number, n: number): boolean {
  const bound = n * Number.EPSILON * variance + (n * mean * Number.EPSILON) ** 2;
  return variance <= bound;
}

/** @returns Ledoit and Wolf's share */
function shareOf(fourth: number, length: number, level: number, n: number, d: number): number {
  if (d === 1) return 0;
  const delta = (length - 2 * level * level * d + d * level * level) / d;
  const beta = Math.min((fourth / n - length) / (d * n), delta);
  return beta === 0 ? 0 : beta / delta;
}

async function first(blocks: AsyncIterable<Matrix>): Promise<Matrix> {
  const parts: Matrix[] = [];
  for await (const part of blocks) parts.push(part);
  if (parts.length === 1) return parts[0] as Matrix;
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const whole = matrix(rows, parts[0]?.columns ?? 0);
  let at = 0;
  for (const { values } of parts) {
    whole.values.set(values, at);
    at += values.length;
  }
  return whole;
}

async function* of(block: Matrix): AsyncGenerator<Matrix> {
  yield block;
}
