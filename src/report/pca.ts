import { Random } from '../random.js';

/** Vectors in the plane in which they spread most. */
export interface Projection {
  /** `[n, 2]` */
  readonly points: Float64Array;
  /** Share of the vectors' variance in each of the two directions. */
  readonly shares: readonly [number, number];
}

/** Steps of the iteration; the two largest of many eigenvalues stand long before. */
const STEPS = 40;

/**
 * The first two principal components, by Lanczos's iteration (1950) on the covariance with full reorthogonalization: no matrix of
 * d × d is made. Directions point where their largest weight is positive, so that the same vectors give the same plane.
 * @param x `[n, d]`
 * @returns null of fewer than three vectors, or of vectors that are all the same
 */
export function principalPlane(x: Float32Array, d: number): Projection | null {
  const n = x.length / d;
  if (n < 3) return null;
  const centred = Float64Array.from(x);
  for (let j = 0; j < d; j++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += x[i * d + j] as number;
    for (let i = 0; i < n; i++) (centred[i * d + j] as number) -= sum / n;
  }
  const total = centred.reduce((sum, value) => sum + value * value, 0);
  if (!(total > 0) || !Number.isFinite(total)) return null;
  const { basis, alphas, betas } = lanczos(centred, n, d);
  const { values, vectors } = symmetricEigen(tridiagonal(alphas, betas));
  const order = values.map((_, k) => k).sort((a, b) => (values[b] as number) - (values[a] as number));
  const points = new Float64Array(2 * n);
  const shares = [0, 1].map((axis) => {
    const k = order[axis];
    if (k === undefined) return 0;
    const direction = new Float64Array(d);
    for (const [step, vector] of basis.entries()) {
      const weight = (vectors[step] as number[])[k] as number;
      for (let j = 0; j < d; j++) (direction[j] as number) += weight * (vector[j] as number);
    }
    let largest = 0;
    for (const value of direction) if (Math.abs(value) > Math.abs(largest) + 1e-9) largest = value;
    const sign = largest < 0 ? -1 : 1;
    for (let i = 0; i < n; i++) points[2 * i + axis] = sign * dot(centred.subarray(i * d, (i + 1) * d), direction);
    return Math.max(0, values[k] as number) / total;
  });
  return { points, shares: [shares[0] as number, shares[1] as number] };
}

const dot = (a: Float64Array, b: Float64Array): number => {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += (a[j] as number) * (b[j] as number);
  return sum;
};

/** Of XᵀX, from a seeded direction. */
function lanczos(x: Float64Array, n: number, d: number) {
  const random = new Random('principal plane');
  const basis: Float64Array[] = [];
  const [alphas, betas]: [number[], number[]] = [[], []];
  let next = Float64Array.from({ length: d }, () => random.normal());
  let length = Math.sqrt(dot(next, next));
  for (let step = 0; step < Math.min(STEPS, d, n); step++) {
    const q = next.map((value) => value / length);
    basis.push(q);
    next = new Float64Array(d);
    for (let i = 0; i < n; i++) {
      const row = x.subarray(i * d, (i + 1) * d);
      const weight = dot(row, q);
      for (let j = 0; j < d; j++) (next[j] as number) += weight * (row[j] as number);
    }
    alphas.push(dot(next, q));
    // Twice is enough (Kahan, by Parlett 1980).
    for (let times = 0; times < 2; times++) {
      for (const one of basis) {
        const share = dot(next, one);
        for (let j = 0; j < d; j++) (next[j] as number) -= share * (one[j] as number);
      }
    }
    length = Math.sqrt(dot(next, next));
    if (length <= 1e-10 * Math.abs(alphas[0] as number)) break;
    betas.push(length);
  }
  return { basis, alphas, betas };
}

function tridiagonal(alphas: readonly number[], betas: readonly number[]): number[][] {
  const between = (i: number): number => (i < alphas.length - 1 ? (betas[i] ?? 0) : 0);
  return alphas.map((alpha, i) =>
    alphas.map((_, j) => (i === j ? alpha : j === i + 1 ? between(i) : i === j + 1 ? between(j) : 0)),
  );
}

/** Jacobi's rotations. @returns eigenvalues, and eigenvectors as columns */
function symmetricEigen(matrix: number[][]): { values: number[]; vectors: number[][] } {
  const n = matrix.length;
  const a = matrix.map((row) => [...row]);
  const vectors = matrix.map((_, i) => matrix.map((_, j) => (i === j ? 1 : 0)));
  const at = (m: number[][], i: number, j: number): number => (m[i] as number[])[j] as number;
  const put = (m: number[][], i: number, j: number, value: number): void => {
    (m[i] as number[])[j] = value;
  };
  const turn = (m: number[][], i: number, j: number, k: number, l: number, sine: number, tau: number): void => {
    const [g, h] = [at(m, i, j), at(m, k, l)];
    put(m, i, j, g - sine * (h + g * tau));
    put(m, k, l, h + sine * (g - h * tau));
  };
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0;
    let size = 0;
    for (let p = 0; p < n; p++) {
      for (let q = 0; q < n; q++) size += at(a, p, q) ** 2;
      for (let q = p + 1; q < n; q++) off += at(a, p, q) ** 2;
    }
    if (off <= 1e-28 * size) break;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const apq = at(a, p, q);
        if (apq === 0) continue;
        const theta = (at(a, q, q) - at(a, p, p)) / (2 * apq);
        const tangent = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const cosine = 1 / Math.sqrt(tangent * tangent + 1);
        const sine = tangent * cosine;
        const tau = sine / (1 + cosine);
        put(a, p, p, at(a, p, p) - tangent * apq);
        put(a, q, q, at(a, q, q) + tangent * apq);
        put(a, p, q, 0);
        for (let j = 0; j < p; j++) turn(a, j, p, j, q, sine, tau);
        for (let j = p + 1; j < q; j++) turn(a, p, j, j, q, sine, tau);
        for (let j = q + 1; j < n; j++) turn(a, p, j, q, j, sine, tau);
        for (let j = 0; j < n; j++) turn(vectors, j, p, j, q, sine, tau);
      }
    }
  }
  return { values: a.map((row, i) => row[i] as number), vectors };
}
