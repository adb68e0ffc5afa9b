import { type Matrix, matrix, type Products, rowsOf } from './products.js';

/** Columns that are reduced between two updates of the rest. */
const PANEL = 32;

/** A symmetric matrix as `Q T Q'`, `T` with three diagonals. */
export interface Reduced {
  readonly t: Tridiagonal;
  /** `[m, m]`, orthogonal. */
  readonly q: Matrix;
}

interface Panel {
  /** First row of its reflectors but one: the reflector of column `i` of the panel begins at row `at + i + 1`. */
  readonly at: number;
  /** Reflectors `I - tau v v'`, each `[m - at]`. */
  readonly v: Float64Array[];
  readonly tau: number[];
}

const dot = (a: Float64Array, b: Float64Array, from: number): number => {
  let sum = 0;
  for (let i = from; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
};

const subtract = (from: Float64Array, times: number, of: Float64Array, start: number): void => {
  for (let i = start; i < from.length; i++) from[i] = (from[i] as number) - times * (of[i] as number);
};

/** Columns side by side, from a row on: `[rows, columns]`. */
function beside(columns: readonly Float64Array[], from: number): Matrix {
  const rows = (columns[0]?.length ?? from) - from;
  const { values } = matrix(rows, columns.length);
  for (const [k, column] of columns.entries()) {
    for (let i = 0; i < rows; i++) values[i * columns.length + k] = column[from + i] as number;
  }
  return matrix(rows, columns.length, values);
}

/**
 * Householder's reduction to three diagonals, in panels as LAPACK's `dsytrd` (Dongarra, Sorensen and Hammarling 1989): half of the
 * work is products of the rest by a vector, half of it one product a panel, both in the engine.
 * @param a `[m, m]`, symmetric
 */
export async function reduce(products: Products, a: Matrix): Promise<Reduced> {
  const { rows: m } = a;
  const diagonal = new Float64Array(m);
  const beside1 = new Float64Array(Math.max(0, m - 1));
  const panels: Panel[] = [];
  let rest = a;
  for (let at = 0; at < m; ) {
    const left = m - at;
    const width = Math.min(PANEL, left);
    const panel: Panel = { at, v: [], tau: [] };
    const w: Float64Array[] = [];
    for (let j = 0; j < width; j++) {
      const column = rest.values.slice(j * left, (j + 1) * left);
      for (const [k, v] of panel.v.entries()) {
        const other = w[k] as Float64Array;
        subtract(column, other[j] as number, v, j);
        subtract(column, v[j] as number, other, j);
      }
      diagonal[at + j] = column[j] as number;
      if (j + 1 >= left) break;
      const { v, tau, beta } = reflector(column, j + 1);
      beside1[at + j] = beta;
      const product = await products.column(rest, v);
      for (const [k, earlier] of panel.v.entries()) {
        const other = w[k] as Float64Array;
        const [along, across] = [dot(other, v, j + 1), dot(earlier, v, j + 1)];
        subtract(product, along, earlier, j + 1);
        subtract(product, across, other, j + 1);
      }
      for (let i = 0; i < left; i++) product[i] = i <= j ? 0 : tau * (product[i] as number);
      subtract(product, (tau / 2) * dot(product, v, j + 1), v, j + 1);
      panel.v.push(v);
      panel.tau.push(tau);
      w.push(product);
    }
    panels.push(panel);
    at += width;
    if (at < m) {
      const c = matrix(left - width, left - width);
      for (let i = 0; i < c.rows; i++) {
        const from = (i + width) * left + width;
        c.values.set(rest.values.subarray(from, from + c.columns), i * c.columns);
      }
      const [one, other] = [beside([...panel.v, ...w], width), beside([...w, ...panel.v], width)];
      rest = await products.multiply(one, other, 'turnB', { c, factor: -1 });
    }
  }
  return { t: new Tridiagonal(diagonal, beside1), q: await product(products, panels, m) };
}

/** @returns `v` and `tau` with `(I - tau v v') x = beta e`, `x` being the column from a row on */
function reflector(column: Float64Array, from: number): { v: Float64Array; tau: number; beta: number } {
  const v = new Float64Array(column.length);
  const first = column[from] as number;
  let squares = 0;
  for (let i = from + 1; i < column.length; i++) squares += (column[i] as number) ** 2;
  v[from] = 1;
  if (squares === 0) return { v, tau: 0, beta: first };
  const beta = -Math.sign(first || 1) * Math.sqrt(first * first + squares);
  for (let i = from + 1; i < column.length; i++) v[i] = (column[i] as number) / (first - beta);
  return { v, tau: (beta - first) / beta, beta };
}

/** @returns all reflectors as one matrix, a panel at a time as `I - V S V'` (Schreiber and Van Loan 1989) */
async function product(products: Products, panels: readonly Panel[], m: number): Promise<Matrix> {
  const q = matrix(m, m);
  for (let i = 0; i < m; i++) q.values[i * m + i] = 1;
  for (const { at, v, tau } of panels.toReversed()) {
    const k = v.length;
    if (k === 0) continue;
    const s = matrix(k, k);
    for (let i = 0; i < k; i++) {
      const along = Array.from({ length: i }, (_, j) => dot(v[j] as Float64Array, v[i] as Float64Array, i + 1));
      s.values[i * k + i] = tau[i] as number;
      for (let r = 0; r < i; r++) {
        let sum = 0;
        for (let j = r; j < i; j++) sum += (s.values[r * k + j] as number) * (along[j] as number);
        s.values[r * k + i] = -(tau[i] as number) * sum;
      }
    }
    const reflectors = beside(v, 0);
    const rows = rowsOf(q, at, m);
    const along = await products.multiply(s, await products.multiply(reflectors, rows, 'turnA'));
    q.values.set((await products.multiply(reflectors, along, 'none', { c: rows, factor: -1 })).values, at * m);
  }
  return q;
}

/** A symmetric matrix of three diagonals. */
export class Tridiagonal {
  constructor(
    readonly diagonal: Float64Array,
    /** Beside the diagonal, `[m - 1]`. */
    readonly beside: Float64Array,
  ) {}

  /** @returns the factors of `T + penalty I`; null where it is not positive definite */
  factored(penalty: number): FactoredTridiagonal | null {
    const m = this.diagonal.length;
    const inverse = new Float64Array(m);
    const below = new Float64Array(m);
    for (let j = 0, pivot = 0; j < m; j++) {
      const left = j === 0 ? 0 : (this.beside[j - 1] as number);
      below[j] = j === 0 ? 0 : left / pivot;
      pivot = (this.diagonal[j] as number) + penalty - (below[j] as number) * left;
      if (!(pivot > 0)) return null;
      inverse[j] = 1 / pivot;
    }
    return new FactoredTridiagonal(inverse, below);
  }
}

/** `T + penalty I` as `L D L'`. */
export class FactoredTridiagonal {
  constructor(
    /** Of `D`. */
    private readonly inverse: Float64Array,
    /** Below the diagonal of `L`, from the second row on. */
    private readonly below: Float64Array,
  ) {}

  /** @returns the solutions of columns `[m, k]` */
  solve({ values, rows: m, columns: k }: Matrix): Matrix {
    const x = values.slice();
    const { inverse, below } = this;
    for (let i = 1; i < m; i++) {
      const times = below[i] as number;
      for (let c = 0, at = i * k; c < k; c++, at++) x[at] = (x[at] as number) - times * (x[at - k] as number);
    }
    for (let i = m - 1; i >= 0; i--) {
      const [by, times] = [inverse[i] as number, i + 1 < m ? (below[i + 1] as number) : 0];
      for (let c = 0, at = i * k; c < k; c++, at++) {
        const later = i + 1 < m ? times * (x[at + k] as number) : 0;
        x[at] = (x[at] as number) * by - later;
      }
    }
    return matrix(m, k, x);
  }

  /** @returns `r (T + penalty I)⁻¹ r'` of each row `[n, m]`, four rows at a time, as each waits for its own last step */
  quadratic({ values, rows, columns: m }: Matrix): Float64Array {
    const { inverse, below } = this;
    const found = new Float64Array(rows);
    for (let r = 0; r < rows; r += 4) {
      const last = rows - 1;
      const [a0, b0, c0, d0] = [r, Math.min(r + 1, last), Math.min(r + 2, last), Math.min(r + 3, last)];
      let [a, b, c, d] = [0, 0, 0, 0];
      let [sa, sb, sc, sd] = [0, 0, 0, 0];
      for (let j = 0, pa = a0 * m, pb = b0 * m, pc = c0 * m, pd = d0 * m; j < m; j++) {
        const times = below[j] as number;
        const by = inverse[j] as number;
        a = (values[pa++] as number) - times * a;
        b = (values[pb++] as number) - times * b;
        c = (values[pc++] as number) - times * c;
        d = (values[pd++] as number) - times * d;
        sa += a * a * by;
        sb += b * b * by;
        sc += c * c * by;
        sd += d * d * by;
      }
      found[d0] = sd;
      found[c0] = sc;
      found[b0] = sb;
      found[a0] = sa;
    }
    return found;
  }

  /** @returns rows `s` with `s s' = r (T + penalty I)⁻¹ r'`, of rows `[n, m]` */
  halves({ values, rows, columns: m }: Matrix): Matrix {
    const half = matrix(rows, m);
    const roots = this.inverse.map(Math.sqrt);
    for (let r = 0, at = 0; r < rows; r++) {
      for (let j = 0, last = 0; j < m; j++, at++) {
        last = (values[at] as number) - (this.below[j] as number) * last;
        half.values[at] = last * (roots[j] as number);
      }
    }
    return half;
  }
}
