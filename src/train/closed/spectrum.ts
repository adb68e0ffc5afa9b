import { type Matrix, matrix, type Products, rowsOf } from './products.js';
import type { Rows } from './rows.js';
import { type FactoredTridiagonal, reduce, type Tridiagonal } from './tridiagonal.js';

/** Columns for which answers of all rows are asked for, at several penalties. */
export interface Asked {
  /** `b`, `[d, k]` */
  readonly columns: Matrix;
  readonly penalties: readonly number[];
  /** Places that are left out together. */
  readonly groups: readonly Uint32Array[];
}

/** What leaving out one group needs to know, at one penalty; `A` is `Z'Z + penalty I`. */
export interface Share {
  readonly group: Uint32Array;
  /** `z A⁻¹ z'` of the rows of the group, `[s, s]`. */
  readonly own: Float64Array;
  /** `z A⁻¹ b`, `[s, k]`. */
  readonly across: Float64Array;
}

/** What some rows get from fits without their groups. */
export interface LeftOut {
  /** Their places. */
  readonly places: readonly number[];
  /** `[places, units]` */
  readonly scores: Float64Array;
}

/** Solutions for one penalty, that do not depend on what is left out. */
export interface Solutions {
  readonly penalty: number;
  /** `b' A⁻¹ b`, `[k, k]`. */
  readonly inner: Float64Array;
}

/**
 * A matrix `Z` of rows, `[n, d]`, once decomposed: `(Z'Z + penalty I)⁻¹` for any penalty, and how much of each answer is a row's own.
 * Where there are fewer rows than features, `ZZ'` is decomposed in the place of `Z'Z`.
 */
export class Spectrum {
  private constructor(
    private readonly products: Products,
    private readonly t: Tridiagonal,
    private readonly q: Matrix,
    /** All of `Z` where its rows are fewer than the features. */
    private readonly few: Matrix | null,
    /** Some rows of `Z`; their places ascend. */
    private readonly take: (places: Uint32Array) => Promise<Matrix>,
    private readonly rows: Rows,
  ) {}

  /**
   * @param square `Z'Z`, or `ZZ'` where `few` is given; written over
   * @param few `Z`
   */
  static async of(
    products: Products,
    rows: Rows,
    square: Matrix,
    few: Matrix | null,
    take: (places: Uint32Array) => Promise<Matrix>,
  ): Promise<Spectrum> {
    const { t, q } = await reduce(products, square);
    return new Spectrum(products, t, q, few, take, rows);
  }

  /** @returns `(Z'Z + penalty I)⁻¹ b` for columns `[d, k]`; null where float64 cannot tell the matrix from a singular one */
  async solve(penalty: number, columns: Matrix): Promise<Matrix | null> {
    const factor = this.t.factored(penalty);
    if (factor === null) return null;
    const { products, q, few } = this;
    if (few === null) return products.multiply(q, factor.solve(await products.multiply(q, columns, 'turnA')));
    const inside = await products.multiply(q, await products.multiply(few, columns), 'turnA');
    const found = await products.multiply(few, await products.multiply(q, factor.solve(inside)), 'turnA');
    for (let i = 0; i < found.values.length; i++) {
      found.values[i] = ((columns.values[i] as number) - (found.values[i] as number)) / penalty;
    }
    return found;
  }

  /** @returns `Z' (ZZ' + penalty I)⁻¹ y` for columns `[n, k]`, where the rows are few: what `solve` gives for `Z'y`, more exactly */
  async solveFew(penalty: number, y: Matrix): Promise<Matrix | null> {
    const { products, q, few } = this;
    const factor = this.t.factored(penalty);
    if (few === null || factor === null) return null;
    const inside = factor.solve(await products.multiply(q, y, 'turnA'));
    return products.multiply(few, await products.multiply(q, inside), 'turnA');
  }

  get isFew(): boolean {
    return this.few !== null;
  }

  /**
   * Goes through the groups at every penalty that float64 can tell from none.
   * @param visit called with the place of the penalty in the list
   * @returns for each penalty what holds for all groups; null where it is too small
   */
  async leaveOut(
    { columns, penalties, groups }: Asked,
    visit: (penalty: number, solutions: Solutions, share: Share) => void,
  ): Promise<(Solutions | null)[]> {
    const { products, q, few } = this;
    const k = columns.columns;
    const asked =
      few === null
        ? await products.multiply(q, columns, 'turnA')
        : await products.multiply(q, await products.multiply(few, columns), 'turnA'); // [m, k]
    const m = asked.rows;
    const factors: { index: number; factor: FactoredTridiagonal; solutions: Solutions }[] = [];
    const all = matrix(m, k * penalties.length);
    for (const [index, penalty] of penalties.entries()) {
      const factor = this.t.factored(penalty);
      if (factor === null) continue;
      const solved = factor.solve(asked);
      for (let i = 0; i < m; i++) {
        all.values.set(solved.values.subarray(i * k, (i + 1) * k), i * all.columns + index * k);
      }
      const inner = (await products.multiply(asked, solved, 'turnA')).values;
      if (few !== null) {
        const whole = (await products.multiply(columns, columns, 'turnA')).values;
        for (let i = 0; i < inner.length; i++) {
          inner[i] = ((whole[i] as number) - (inner[i] as number)) / penalty;
        }
      }
      factors.push({ index, factor, solutions: { penalty, inner } });
    }
    for (const part of inParts(groups, this.rows.most)) {
      const places = part.flatMap((group) => Array.from(group));
      const rows = await this.rotated(places);
      const answers = await products.multiply(rows, all);
      const singles = part.every(({ length }) => length === 1);
      for (const { index, factor, solutions } of factors) {
        const alone = singles ? factor.quadratic(rows) : null;
        let at = 0;
        for (const [i, group] of part.entries()) {
          const s = group.length;
          const across = new Float64Array(s * k);
          for (let r = 0; r < s; r++) {
            const from = (at + r) * answers.columns + index * k;
            across.set(answers.values.subarray(from, from + k), r * k);
          }
          let own: Float64Array;
          if (alone !== null) own = alone.slice(i, i + 1);
          else {
            const half = factor.halves(rowsOf(rows, at, at + s));
            own = (await products.multiply(half, half, 'turnB')).values;
          }
          if (few !== null) {
            for (let r = 0; r < own.length; r++) {
              own[r] = (r % (s + 1) === 0 ? 1 : 0) - solutions.penalty * (own[r] as number);
            }
          }
          visit(index, solutions, { group, own, across });
          at += s;
        }
      }
    }
    return penalties.map((_, index) => factors.find((one) => one.index === index)?.solutions ?? null);
  }

  /** Rows of `Z Q`, or of `Q`, in any order. */
  private async rotated(places: readonly number[]): Promise<Matrix> {
    const { q, few, products } = this;
    const order = places.map((_, i) => i).sort((a, b) => (places[a] as number) - (places[b] as number));
    const ascending = Uint32Array.from(order, (i) => places[i] as number);
    const given = few === null ? await products.multiply(await this.take(ascending), q) : null;
    const found = matrix(places.length, q.columns);
    for (const [from, to] of order.entries()) {
      const row =
        given === null
          ? rowsOf(q, ascending[from] as number, (ascending[from] as number) + 1)
          : rowsOf(given, from, from + 1);
      found.values.set(row.values, to * found.columns);
    }
    return found;
  }
}

/** Whole groups, as many together as come to so many rows. */
function* inParts(groups: readonly Uint32Array[], most: number): Generator<Uint32Array[]> {
  let part: Uint32Array[] = [];
  let count = 0;
  for (const group of groups) {
    if (part.length > 0 && count + group.length > most) {
      yield part;
      [part, count] = [[], 0];
    }
    part.push(group);
    count += group.length;
  }
  if (part.length > 0) yield part;
}
