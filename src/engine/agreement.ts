/** What two computations of the same vectors may differ by. */
export type Tolerance =
  | { readonly kind: 'largest' /** Of the largest value. */; readonly limit: number }
  | { readonly kind: 'cosine' /** Of each pair of vectors. */; readonly least: number };

/** How far two computations of the same vectors agree. */
export interface Agreement {
  /** The largest difference over the largest value. */
  readonly difference: number;
  /** The lowest cosine of a pair of vectors. */
  readonly cosine: number;
}

/** Below this a vector counts as one of zeros: what little is left is noise. */
const ZERO = 1e-6;

/**
 * Compares vectors with their references, `[n, d]` each. Values that are not finite must be so in both.
 * @returns a difference of infinity and a cosine of -1 where one has finite values and the other has not
 */
export function agreement(reference: Float32Array, got: Float32Array, d: number): Agreement {
  let largest = ZERO;
  for (const value of reference) if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  let difference = 0;
  let cosine = 1;
  for (let start = 0; start < reference.length; start += d) {
    let [dot, a2, b2] = [0, 0, 0];
    for (let i = start; i < start + d; i++) {
      const a = reference[i] as number;
      const b = got[i] ?? Number.NaN;
      if (Number.isFinite(a) !== Number.isFinite(b)) return { difference: Number.POSITIVE_INFINITY, cosine: -1 };
      if (!Number.isFinite(a)) continue;
      difference = Math.max(difference, Math.abs(a - b));
      dot += a * b;
      a2 += a * a;
      b2 += b * b;
    }
    if (Math.max(a2, b2) > ZERO * ZERO) cosine = Math.min(cosine, dot / Math.max(Math.sqrt(a2 * b2), Number.MIN_VALUE));
  }
  return { difference: difference / largest, cosine };
}

export const within = ({ difference, cosine }: Agreement, tolerance: Tolerance): boolean =>
  tolerance.kind === 'largest' ? difference <= tolerance.limit : cosine >= tolerance.least;

/** @returns what was found and what is allowed, in words */
export function inWords({ difference, cosine }: Agreement, tolerance: Tolerance): string {
  const share = (value: number): string => `${Number((100 * value).toPrecision(2))} %`;
  return tolerance.kind === 'largest'
    ? `by ${difference === Number.POSITIVE_INFINITY ? 'values that are not finite' : `${share(difference)} of the largest value`}, where ${share(tolerance.limit)} is allowed`
    : `with a cosine of ${Number(cosine.toPrecision(4))}, where ${tolerance.least} is the least`;
}
