import { type Matrix, matrix, type Products, rowsOf } from './products.js';
import type { Rows } from './rows.js';
import { FactoredSpd } from './spd.js';
import { reduce } from './tridiagonal.js';

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

/** A symmetric matrix and a penalty, in coordinates `Q'x`, factored. */
interface Factor {
  /** @returns the solutions of columns `[m, k]` */
  solve(columns: Matrix): Matrix | Promise<Matrix>;
  /** @returns `r A⁻¹ r'` of each row `[n, m]` */
  quadratic(rows: Matrix): Float64Array | Promise<Float64Array>;
  /** @returns rows `s` with `s s' = r A⁻¹ r'`, of rows `[n, m]` */
  halves(rows: Matrix): Matrix | Promise<Matrix>;
}

/**
 * A matrix `Z` of rows, `[n, d]`: `(Z'Z + penalty I)⁻¹` for any penalty, and how much of each answer is a row's own. For several penalties
 * `Z'Z` is decomposed once; for one it is factored, which is a fraction of the work. Where there are fewer rows than features,
 * `ZZ'` stands in the place of `Z'Z`.
 */
export class Spectrum {
  private constructor(
    private readonly products: Products,
    /** Null where float64 cannot tell the matrix from a singular one. */
    private readonly factored: (penalty: number) => Factor | null | Promise<Factor | null>,
    /** `[m, m]`; null where coordinates are left as they are. */
    private readonly q: Matrix | null,
    /** All of `Z` where its rows are fewer than the features. */
    private readonly few: Matrix | null,
    /** Some rows of `Z`; their places ascend. */
    private readonly take: (places: Uint32Array) => Promise<Matrix>,
    private readonly rows: Rows,
  ) {}

  /**
   * @param square `Z'Z`, or `ZZ'` where `few` is given
   * @param few `Z`
   * @param isOne whether one penalty is all that will be asked for
   */
  static async of(
    products: Products,
    rows: Rows,
    { square, few, isOne }: { readonly square: Matrix; readonly few: Matrix | null; readonly isOne: boolean },
    take: (places: Uint32Array) => Promise<Matrix>,
  ): Promise<Spectrum> {
    if (!isOne) {
      const { t, q } = await reduce(products, square);
      return new Spectrum(products, (penalty) => t.factored(penalty), q, few, take, rows);
    }
    const known = new Map<number, Promise<Factor | null>>();
    const factored = (penalty: number): Promise<Factor | null> => {
      const factor = known.get(penalty) ?? FactoredSpd.of(products, plusDiagonal(square, penalty));
      known.set(penalty, factor);
      return factor;
    };
    return new Spectrum(products, factored, null, few, take, rows);
  }

  /** @returns `(Z'Z + penalty I)⁻¹ b` for columns `[d, k]`; null where float64 cannot tell the matrix from a singular one */
  async solve(penalty: number, columns: Matrix): Promise<Matrix | null> {
    const { products, few } = this;
    const found =
      few === null
        ? await this.solved(penalty, columns)
        : await this.solveFew(penalty, await products.multiply(few, columns));
    if (few === null || found === null) return found;
    for (let i = 0; i < found.values.length; i++) {
      found.values[i] = ((columns.values[i] as number) - (found.values[i] as number)) / penalty;
    }
    return found;
  }

  /** @returns `Z' (ZZ' + penalty I)⁻¹ y` for columns `[n, k]`, where the rows are few: what `solve` gives for `Z'y`, more exactly */
  async solveFew(penalty: number, y: Matrix): Promise<Matrix | null> {
    const solved = await this.solved(penalty, y);
    if (this.few === null || solved === null) return null;
    return this.products.multiply(this.few, solved, 'turnA');
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
    const { products, few } = this;
    const k = columns.columns;
    const asked = await this.turned(few === null ? columns : await products.multiply(few, columns)); // [m, k]
    const m = asked.rows;
    const factors: { index: number; factor: Factor; solutions: Solutions }[] = [];
    const all = matrix(m, k * penalties.length);
    for (const [index, penalty] of penalties.entries()) {
      const factor = await this.factored(penalty);
      if (factor === null) continue;
      const solved = await factor.solve(asked);
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
        const alone = singles ? await factor.quadratic(rows) : null;
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
            const half = await factor.halves(rowsOf(rows, at, at + s));
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

  /** @returns `Q'x` of columns `[m, k]` */
  private async turned(columns: Matrix): Promise<Matrix> {
    return this.q === null ? columns : this.products.multiply(this.q, columns, 'turnA');
  }

  /** @returns the solutions of columns `[m, k]`; null where float64 cannot tell the matrix from a singular one */
  private async solved(penalty: number, columns: Matrix): Promise<Matrix | null> {
    const factor = await this.factored(penalty);
    if (factor === null) return null;
    const inside = await factor.solve(await this.turned(columns));
    return this.q === null ? inside : this.products.multiply(this.q, inside);
  }

  /** Rows of `Z Q`, or of `Q`, in any order. */
  private async rotated(places: readonly number[]): Promise<Matrix> {
    const { q, few, products } = this;
    if (few !== null) {
      const found = matrix(places.length, few.rows);
      for (const [to, place] of places.entries()) {
        if (q === null) found.values[to * few.rows + place] = 1;
        else found.values.set(rowsOf(q, place, place + 1).values, to * few.rows);
      }
      return found;
    }
    const order = places.map((_, i) => i).sort((a, b) => (places[a] as number) - (places[b] as number));
    const ascending = Uint32Array.from(order, (i) => places[i] as number);
    const rows = await this.take(ascending);
    const given = q === null ? rows : await products.multiply(rows, q);
    const found = matrix(given.rows, given.columns);
    for (const [from, to] of order.entries()) {
      found.values.set(rowsOf(given, from, from + 1).values, to * found.columns);
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

/** @returns `a + penalty I` */
function plusDiagonal({ values, rows: m }: Matrix, penalty: number): Matrix {
  const found = matrix(m, m, values.slice());
  for (let j = 0; j < m; j++) found.values[j * m + j] = (found.values[j * m + j] as number) + penalty;
  return found;
}
