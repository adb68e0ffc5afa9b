import { type Matrix, matrix, type Products, rowsOf } from './products.js';

/** Rows of a block that is factored by itself; the rest is products in the engine. */
const BLOCK = 64;

/**
 * Cholesky's factor of a small matrix, in place: `L` below and on the diagonal, above it nothing is looked at.
 * @returns whether the matrix is positive definite
 */
export function cholesky(a: Float64Array, m: number, stride = m, start = 0): boolean {
  for (let j = 0; j < m; j++) {
    const row = start + j * stride;
    let pivot = a[row + j] as number;
    for (let k = 0; k < j; k++) pivot -= (a[row + k] as number) ** 2;
    if (!(pivot > 0)) return false;
    const root = Math.sqrt(pivot);
    a[row + j] = root;
    for (let i = j + 1; i < m; i++) {
      const at = start + i * stride;
      let sum = a[at + j] as number;
      for (let k = 0; k < j; k++) sum -= (a[at + k] as number) * (a[row + k] as number);
      a[at + j] = sum / root;
    }
  }
  return true;
}

/** Solves `L L' x = b` for columns of `b`, `[m, k]`, in place, with the factor of a small matrix. */
export function solveFactored(factor: Float64Array, m: number, b: Float64Array, k: number): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < i; j++) subtractRow(b, i, j, k, factor[i * m + j] as number);
    divideRow(b, i, k, factor[i * m + i] as number);
  }
  for (let i = m - 1; i >= 0; i--) {
    for (let j = i + 1; j < m; j++) subtractRow(b, i, j, k, factor[j * m + i] as number);
    divideRow(b, i, k, factor[i * m + i] as number);
  }
}

function subtractRow(b: Float64Array, i: number, j: number, k: number, times: number): void {
  for (let c = 0; c < k; c++) b[i * k + c] = (b[i * k + c] as number) - times * (b[j * k + c] as number);
}

function divideRow(b: Float64Array, i: number, k: number, by: number): void {
  for (let c = 0; c < k; c++) b[i * k + c] = (b[i * k + c] as number) / by;
}

/** @returns the inverse of the lower triangle of a factored block */
function inverseOf({ values, columns }: Matrix, at: number, m: number): Matrix {
  const inverse = matrix(m, m);
  for (let j = 0; j < m; j++) {
    for (let i = j; i < m; i++) {
      const row = (at + i) * columns + at;
      let sum = i === j ? 1 : 0;
      for (let k = j; k < i; k++) sum -= (values[row + k] as number) * (inverse.values[k * m + j] as number);
      inverse.values[i * m + j] = sum / (values[row + i] as number);
    }
  }
  return inverse;
}

/** @returns rows and columns of a matrix as one of their own */
function part({ values, columns }: Matrix, [top, bottom]: [number, number], [left, right]: [number, number]): Matrix {
  const copy = matrix(bottom - top, right - left);
  for (let i = top; i < bottom; i++) {
    copy.values.set(values.subarray(i * columns + left, i * columns + right), (i - top) * copy.columns);
  }
  return copy;
}

/**
 * Solves `A x = b` for symmetric positive definite `A` by a blocked Cholesky factorisation: blocks of 64 are factored here, all
 * else is products in the engine.
 * @param a `[m, m]`; written over
 * @param b `[m, k]`
 * @returns `[m, k]`; null where `A` is not positive definite
 */
export async function solveSpd(products: Products, a: Matrix, b: Matrix): Promise<Matrix | null> {
  const { rows: m } = a;
  const inverses: Matrix[] = [];
  /** Of each block of columns what stands below its diagonal block. */
  const panels: Matrix[] = [];
  let rest = a;
  for (let at = 0; at < m; at += BLOCK) {
    const size = Math.min(BLOCK, m - at);
    const left = rest.rows;
    if (!cholesky(rest.values, size, left)) return null;
    const inverse = inverseOf(rest, 0, size);
    const below = part(rest, [size, left], [0, size]);
    const panel = await products.multiply(below, inverse, 'turnB');
    inverses.push(inverse);
    panels.push(panel);
    if (left > size) {
      const c = part(rest, [size, left], [size, left]);
      rest = await products.multiply(panel, panel, 'turnB', { c, factor: -1 });
    }
  }
  const x = matrix(m, b.columns, b.values.slice());
  const take = (at: number, found: Matrix): void => x.values.set(found.values, at * b.columns);
  for (const [i, inverse] of inverses.entries()) {
    const at = i * BLOCK;
    const end = at + inverse.rows;
    const solved = await products.multiply(inverse, rowsOf(x, at, end));
    take(at, solved);
    if (end < m) {
      take(end, await products.multiply(panels[i] as Matrix, solved, 'none', { c: rowsOf(x, end, m), factor: -1 }));
    }
  }
  for (let i = inverses.length - 1; i >= 0; i--) {
    const inverse = inverses[i] as Matrix;
    const at = i * BLOCK;
    const end = at + inverse.rows;
    let own = rowsOf(x, at, end);
    if (end < m) {
      own = await products.multiply(panels[i] as Matrix, rowsOf(x, end, m), 'turnA', { c: own, factor: -1 });
    }
    take(at, await products.multiply(inverse, own, 'turnA'));
  }
  return x;
}
