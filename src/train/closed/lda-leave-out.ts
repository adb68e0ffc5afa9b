import { type LdaProblem, type Moments, priorsOf, rowWeight } from './moments.js';
import { matrix } from './products.js';
import { cholesky, solveFactored } from './spd.js';
import type { LeftOut, Share, Spectrum } from './spectrum.js';

/** One inverse covariance, `scale (Z'Z + penalty I)⁻¹`. */
export interface Candidate {
  readonly penalty: number;
  readonly scale: number;
}

/**
 * Discriminants of rows by fits without their groups, penalty and scale staying as they are: class means and the scatter without
 * the group are the whole ones less a matrix of a rank no larger than the group.
 * @returns for each candidate scores `[places, classes]`, of two classes `[places]`, the second's less the first's; rows whose class
 * has no image without them are left out
 */
export async function leaveOutScores(
  spectrum: Spectrum,
  { y, classes, weights, sample, rows }: LdaProblem,
  moments: Moments,
  candidates: readonly Candidate[],
): Promise<LeftOut[]> {
  const { d } = rows;
  const { means, counts, priors } = moments;
  // Discriminants do not depend on where the origin is: near the data, less is lost.
  const columns = matrix(d, classes);
  for (let j = 0; j < d; j++) {
    let origin = 0;
    for (let k = 0; k < classes; k++) origin += (priors[k] as number) * (means.values[k * d + j] as number);
    for (let k = 0; k < classes; k++) columns.values[j * classes + k] = (means.values[k * d + j] as number) - origin;
  }
  const root = counts.map((_, k) => Math.sqrt(rowWeight(moments, rows.n, k)));
  const found = candidates.map(() => ({ places: [] as number[], scores: [] as number[] }));
  const groups = sample.filter((group) => group.some((place) => (counts[y[place] as number] as number) > 1));
  await spectrum.leaveOut(
    { columns, penalties: candidates.map(({ penalty }) => penalty), groups },
    (index, { inner }, share) => {
      const { scale } = candidates[index] as Candidate;
      const classOf = Uint32Array.from(share.group, (place) => y[place] as number);
      const without = Float64Array.from(counts);
      for (const k of classOf) without[k] = (without[k] as number) - 1;
      const scores = scoresWithout({
        inner,
        share,
        classOf,
        counts,
        without,
        root,
        scale,
        priors: priorsOf(without, weights),
      });
      const { places, scores: all } = found[index] as (typeof found)[number];
      for (const [i, place] of share.group.entries()) {
        if (scores === null || without[classOf[i] as number] === 0) continue;
        places.push(place);
        const row = scores.subarray(i * classes, (i + 1) * classes);
        if (classes === 2) all.push((row[1] as number) - (row[0] as number));
        else all.push(...row);
      }
    },
  );
  return found.map(({ places, scores }) => ({ places, scores: Float64Array.from(scores) }));
}

interface Without {
  /** `m' A⁻¹ m` of the means. */
  readonly inner: Float64Array;
  readonly share: Share;
  readonly classOf: Uint32Array;
  readonly counts: Float64Array;
  /** Rows of each class without the group. */
  readonly without: Float64Array;
  /** Root of what a row of each class counts. */
  readonly root: Float64Array;
  readonly scale: number;
  readonly priors: Float64Array;
}

/**
 * Without a group the scatter is `A - Z' B Z`, `Z` its rows and `B⁻¹ = I - 11' / n` within each class, so the products with the new
 * inverse are the old ones and `(z A⁻¹ a)' (B⁻¹ - Z A⁻¹ Z')⁻¹ (z A⁻¹ b)`.
 * @returns `[s, classes]`; null where the rest is singular
 */
function scoresWithout({ inner, share, classOf, counts, without, root, scale, priors }: Without): Float64Array | null {
  const { own, across } = share;
  const s = classOf.length;
  const classes = counts.length;
  const core = own.map((one, at) => {
    const [i, j] = [Math.floor(at / s), at % s];
    const same = classOf[i] === classOf[j] ? 1 / (counts[classOf[i] as number] as number) : 0;
    return (i === j ? 1 : 0) - same - one;
  });
  if (!cholesky(core, s)) return null;
  // [s, s + classes]: the group's rows, then the means.
  const width = s + classes;
  const solved = new Float64Array(s * width);
  for (let i = 0; i < s; i++) {
    solved.set(own.subarray(i * s, (i + 1) * s), i * width);
    solved.set(across.subarray(i * classes, (i + 1) * classes), i * width + s);
  }
  const given = solved.slice();
  solveFactored(core, s, solved, width);
  const more = (a: number, b: number): number => {
    let sum = 0;
    for (let i = 0; i < s; i++) sum += (given[i * width + a] as number) * (solved[i * width + b] as number);
    return sum;
  };
  const rowRow = (i: number, j: number): number => (own[i * s + j] as number) + more(i, j);
  const rowMean = (i: number, k: number): number => (across[i * classes + k] as number) + more(i, s + k);
  const meanMean = (k: number, l: number): number => (inner[k * classes + l] as number) + more(s + k, s + l);
  /** Rows of the group of a class, and by how much of each its mean moves. */
  const members = Array.from({ length: classes }, (_, k) => [...classOf.keys()].filter((i) => classOf[i] === k));
  const move = (k: number): number => 1 / ((without[k] as number) * (root[k] as number));
  const squares = Array.from({ length: classes }, (_, k) => {
    const moved = members[k] as number[];
    let sum = meanMean(k, k);
    if (moved.length === 0 || without[k] === 0) return sum;
    for (const i of moved) {
      sum -= 2 * move(k) * rowMean(i, k);
      for (const j of moved) sum += move(k) ** 2 * rowRow(i, j);
    }
    return sum;
  });
  const scores = new Float64Array(s * classes);
  for (let i = 0; i < s; i++) {
    const own1 = classOf[i] as number;
    for (let k = 0; k < classes; k++) {
      let along = meanMean(own1, k) + rowMean(i, k) / (root[own1] as number);
      if (without[k] !== 0) {
        for (const j of members[k] as number[]) {
          along -= move(k) * (rowMean(j, own1) + rowRow(i, j) / (root[own1] as number));
        }
      }
      scores[i * classes + k] = scale * (along - (squares[k] as number) / 2) + Math.log(priors[k] as number);
    }
  }
  return scores;
}
