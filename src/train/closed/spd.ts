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

/** The Cholesky factor `L` of a symmetric positive definite matrix, in blocks. */
export class FactoredSpd {
  private constructor(
    private readonly products: Products,
    private readonly m: number,
    /** Of the blocks on the diagonal. */
    private readonly inverses: readonly Matrix[],
    /** Of each block of columns what stands below its diagonal block. */
    private readonly panels: readonly Matrix[],
  ) {}

  /**
   * Blocks of 64 are factored here, all else is products in the engine.
   * @param a `[m, m]`; written over
   * @returns null where `a` is not positive definite
   */
  static async of(products: Products, a: Matrix): Promise<FactoredSpd | null> {
    const { rows: m } = a;
    const inverses: Matrix[] = [];
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
    return new FactoredSpd(products, m, inverses, panels);
  }

  /** @returns `A⁻¹ b` for columns `[m, k]` */
  async solve(b: Matrix): Promise<Matrix> {
    const { products, m } = this;
    const x = await this.forward(b);
    for (let i = this.inverses.length - 1; i >= 0; i--) {
      const inverse = this.inverses[i] as Matrix;
      const [at, end] = [i * BLOCK, i * BLOCK + inverse.rows];
      let own = rowsOf(x, at, end);
      if (end < m) {
        own = await products.multiply(this.panels[i] as Matrix, rowsOf(x, end, m), 'turnA', { c: own, factor: -1 });
      }
      x.values.set((await products.multiply(inverse, own, 'turnA')).values, at * b.columns);
    }
    return x;
  }

  /** @returns `r A⁻¹ r'` of each row `[n, m]` */
  async quadratic(rows: Matrix): Promise<Float64Array> {
    const found = new Float64Array(rows.rows);
    const { values } = await this.forward(turned(rows));
    for (let at = 0; at < values.length; ) {
      for (let r = 0; r < found.length; r++, at++) found[r] = (found[r] as number) + (values[at] as number) ** 2;
    }
    return found;
  }

  /** @returns rows `s` with `s s' = r A⁻¹ r'`, of rows `[n, m]` */
  async halves(rows: Matrix): Promise<Matrix> {
    return turned(await this.forward(turned(rows)));
  }

  /** @returns `L⁻¹ b`, `[m, k]`: each block from all before it, so that what is found is written once */
  private async forward(b: Matrix): Promise<Matrix> {
    const { products, inverses } = this;
    const found = matrix(this.m, b.columns);
    for (const [i, inverse] of inverses.entries()) {
      const [at, end] = [i * BLOCK, i * BLOCK + inverse.rows];
      let own = rowsOf(b, at, end);
      if (i > 0) own = await products.multiply(this.before(i), rowsOf(found, 0, at), 'none', { c: own, factor: -1 });
      found.values.set((await products.multiply(inverse, own)).values, at * b.columns);
    }
    return found;
  }

  /** @returns a block of rows of `L` before its diagonal block */
  private before(block: number): Matrix {
    const at = block * BLOCK;
    const size = (this.inverses[block] as Matrix).rows;
    const row = matrix(size, at);
    for (let j = 0; j < block; j++) {
      const { values } = this.panels[j] as Matrix;
      const top = at - (j + 1) * BLOCK;
      for (let i = 0; i < size; i++) {
        row.values.set(values.subarray((top + i) * BLOCK, (top + i + 1) * BLOCK), i * at + j * BLOCK);
      }
    }
    return row;
  }
}

/** Rows and columns in each other's place, a block of them at a time so that both sides stay in the cache. */
function turned({ values, rows, columns }: Matrix): Matrix {
  const found = matrix(columns, rows);
  for (let top = 0; top < rows; top += BLOCK) {
    for (let left = 0; left < columns; left += BLOCK) {
      for (let i = top; i < Math.min(top + BLOCK, rows); i++) {
        for (let j = left; j < Math.min(left + BLOCK, columns); j++) {
          found.values[j * rows + i] = values[i * columns + j] as number;
        }
      }
    }
  }
  return found;
}

/**
 * Solves `A x = b` for symmetric positive definite `A`.
 * @param a `[m, m]`; written over
 * @param b `[m, k]`
 * @returns `[m, k]`; null where `A` is not positive definite
 */
export async function solveSpd(products: Products, a: Matrix, b: Matrix): Promise<Matrix | null> {
  const factor = await FactoredSpd.of(products, a);
  return factor === null ? null : factor.solve(b);
}
