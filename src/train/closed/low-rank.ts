import { CacheError } from '../../errors.js';
import { type Matrix, matrix, type Products } from './products.js';
import { solveSpd } from './spd.js';

/** Rows of one block of a scatter. */
const BLOCK = 2048;

export const dot = (a: Float64Array, b: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
};

export const subtract = (from: Float64Array, times: number, of: Float64Array): void => {
  for (let i = 0; i < from.length; i++) from[i] = (from[i] as number) - times * (of[i] as number);
};

/** A symmetric matrix by one vector, or by two in the same pass. */
export function timesTwo(
  a: Float64Array,
  d: number,
  u: Float64Array,
  v: Float64Array | null,
  au: Float64Array,
  av: Float64Array | null,
): void {
  const other = v ?? u;
  for (let i = 0; i < d; i++) {
    const from = i * d;
    let one = 0;
    let two = 0;
    for (let j = 0; j < d; j++) {
      const entry = a[from + j] as number;
      one += entry * (u[j] as number);
      two += entry * (other[j] as number);
    }
    au[i] = one;
    if (av !== null) av[i] = two;
  }
}

/** Takes `share q q'` from a matrix, of one `q` or of two in the same pass. */
export function subtractTwo(
  a: Float64Array,
  d: number,
  shares: readonly number[],
  vectors: readonly Float64Array[],
): void {
  const q = vectors[0] as Float64Array;
  const r = vectors[1] ?? q;
  const [share = 0, more = 0] = shares;
  for (let i = 0; i < d; i++) {
    const from = i * d;
    const one = share * (q[i] as number);
    const two = more * (r[i] as number);
    for (let j = 0; j < d; j++) a[from + j] = (a[from + j] as number) - one * (q[j] as number) - two * (r[j] as number);
  }
}

/** @returns `(Z'Z + penalty I)⁻¹` */
export async function inverseOf(
  products: Products,
  take: (from: number, to: number) => Matrix,
  n: number,
  d: number,
  penalty: number,
): Promise<Float64Array> {
  const identity = matrix(d, d);
  if (n <= d) {
    for (let j = 0; j < d; j++) identity.values[j * d + j] = 1 / penalty;
    if (n === 0) return identity.values;
    const z = take(0, n);
    const square = await products.multiply(z, z, 'turnB');
    for (let i = 0; i < n; i++) square.values[i * n + i] = (square.values[i * n + i] as number) + penalty;
    const solved = (await solveSpd(products, square, z)) as Matrix;
    const inside = await products.multiply(z, solved, 'turnA');
    return identity.values.map((one, at) => one - (inside.values[at] as number) / penalty);
  }
  for (let j = 0; j < d; j++) identity.values[j * d + j] = 1;
  async function* blocks(): AsyncGenerator<Matrix> {
    for (let from = 0; from < n; from += BLOCK) yield take(from, Math.min(n, from + BLOCK));
  }
  const square = await products.gram(blocks(), d);
  for (let j = 0; j < d; j++) square.values[j * d + j] = (square.values[j * d + j] as number) + penalty;
  return ((await solveSpd(products, square, identity)) as Matrix).values;
}

/** @returns the variance of all features together */
export function varianceOf(x: Float32Array, d: number): number {
  const n = x.length / d;
  const mean = new Float64Array(d);
  for (let at = 0; at < x.length; at++) mean[at % d] = (mean[at % d] as number) + (x[at] as number) / n;
  let sum = 0;
  for (let at = 0; at < x.length; at++) sum += ((x[at] as number) - (mean[at % d] as number)) ** 2;
  return sum / n || 1;
}

/** @throws CacheError for vectors `[n, d]` of which one is not finite */
export function checkFinite(x: Float32Array, d: number): void {
  const at = x.findIndex((one) => !Number.isFinite(one));
  if (at < 0) return;
  throw new CacheError(`feature ${at % d} of vector ${Math.floor(at / d)} is ${x[at]}: extract these vectors again`);
}
