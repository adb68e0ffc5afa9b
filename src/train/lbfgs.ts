/** A value of the objective and its gradient at a point. */
export interface Evaluation {
  readonly value: number;
  readonly gradient: Float64Array;
}

/** A point whose value and gradient are asked for. */
export interface Query {
  readonly point: Float64Array;
  /** Whether they must be as good as float64 gives them; else float32 will do. */
  readonly exact: boolean;
}

export interface LbfgsOptions {
  /** Ends when no component of the gradient is larger. */
  readonly tolerance: number;
  readonly maxIterations: number;
}

export interface LbfgsResult {
  readonly point: Float64Array;
  readonly value: number;
  /** Largest component of the gradient. */
  readonly gradientNorm: number;
  readonly iterations: number;
  /** Whether the gradient came below the tolerance, or the value cannot be lowered any more in float64. */
  readonly converged: boolean;
}

/** Pairs of steps and gradient changes that stand for the curvature; scipy's default too. */
const MEMORY = 10;
/** Constants of the strong Wolfe conditions for quasi-Newton steps, Nocedal & Wright 2006, section 3.1. */
const DECREASE = 1e-4;
const CURVATURE = 0.9;
/** Evaluations of one line search. */
const MOST_TRIALS = 30;
/**
 * The way down is found in float32 until the gradient is this share of the first one, or the value changes by no larger a share:
 * a hundred times what float32 can tell.
 */
const COARSE_GRADIENT = 1e-4;
const COARSE_STALL = 1e-6;
/** Relative change of the value below which float64 cannot tell two points apart, as scipy's `ftol` for scikit-learn. */
const STALL = 64 * Number.EPSILON;

const dot = (a: Float64Array, b: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
};

const largest = (a: Float64Array): number => {
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] as number));
  return most;
};

/** @returns `x + t p` */
const along = (x: Float64Array, t: number, p: Float64Array): Float64Array => {
  const moved = new Float64Array(x.length);
  for (let i = 0; i < x.length; i++) moved[i] = (x[i] as number) + t * (p[i] as number);
  return moved;
};

interface Trial extends Evaluation {
  readonly step: number;
  readonly point: Float64Array;
  /** Derivative along the direction. */
  readonly slope: number;
}

/** The minimum of the cubic through two trials, kept a tenth away from both; their middle where there is none. */
function between(a: Trial, b: Trial): number {
  const low = Math.min(a.step, b.step);
  const width = Math.abs(b.step - a.step);
  const d1 = a.slope + b.slope - (3 * (a.value - b.value)) / (a.step - b.step);
  const square = d1 * d1 - a.slope * b.slope;
  const d2 = Math.sign(b.step - a.step) * Math.sqrt(square);
  const step = b.step - ((b.step - a.step) * (b.slope + d2 - d1)) / (b.slope - a.slope + 2 * d2);
  if (!(square >= 0) || !Number.isFinite(step)) return low + width / 2;
  return Math.min(Math.max(step, low + 0.1 * width), low + 0.9 * width);
}

/** Strong Wolfe line search, Nocedal & Wright 2006, algorithms 3.5 and 3.6. @returns null where no step lowers the value */
function* search(
  start: Trial,
  direction: Float64Array,
  first: number,
  exact: boolean,
): Generator<Query, Trial | null, Evaluation> {
  function* at(step: number): Generator<Query, Trial, Evaluation> {
    const point = along(start.point, step, direction);
    const { value, gradient } = yield { point, exact };
    return { step, point, value, gradient, slope: dot(gradient, direction) };
  }
  const isLow = ({ step, value }: Trial): boolean => value <= start.value + DECREASE * step * start.slope;
  const isFlat = ({ slope }: Trial): boolean => Math.abs(slope) <= -CURVATURE * start.slope;

  let low = start;
  let high: Trial | undefined;
  let step = first;
  for (let trial = 0; trial < MOST_TRIALS; trial++) {
    const next = yield* at(step);
    if (!Number.isFinite(next.value)) {
      // Nothing is known of such a point but that it is too far.
      step = low.step + (step - low.step) / 10;
      continue;
    }
    if (!isLow(next) || (low !== start && next.value >= low.value)) {
      high = next;
    } else if (isFlat(next)) {
      return next;
    } else {
      if (high === undefined ? next.slope >= 0 : next.slope * (high.step - low.step) >= 0) high = low;
      low = next;
    }
    step = high === undefined ? low.step * 2.5 : between(low, high);
  }
  return low === start ? null : low;
}

/**
 * Limited-memory BFGS (Nocedal & Wright 2006, algorithm 7.5). It yields the points that it wants to know and is given the value
 * and gradient there, so that many can be evaluated in one pass over the data. The first part of the way asks for no more than
 * float32; where it ends is exact.
 * @param start taken as it is, not copied
 */
export function* lbfgs(
  start: Float64Array,
  { tolerance, maxIterations }: LbfgsOptions,
): Generator<Query, LbfgsResult, Evaluation> {
  let exact = false;
  let now: Trial = { step: 0, point: start, ...(yield { point: start, exact }), slope: 0 };
  const coarse = Math.max(tolerance, COARSE_GRADIENT * largest(now.gradient));
  const pairs: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  const result = (iterations: number, converged: boolean): LbfgsResult => ({
    point: now.point,
    value: now.value,
    gradientNorm: largest(now.gradient),
    iterations,
    converged,
  });
  for (let iteration = 0; ; ) {
    const isLow = largest(now.gradient) <= (exact ? tolerance : coarse);
    const isOver = iteration >= maxIterations || !Number.isFinite(now.value);
    if (exact && (isLow || isOver)) return result(iteration, isLow);
    let next: Trial | null = null;
    if (!isLow && !isOver) {
      const direction = descent(now.gradient, pairs);
      const slope = dot(now.gradient, direction);
      const first = pairs.length === 0 ? Math.min(1, 1 / Math.sqrt(dot(now.gradient, now.gradient))) : 1;
      next = yield* search({ ...now, step: 0, slope }, direction, first, exact);
    }
    if (next === null) {
      // Once more with exact values; then, as old curvature may mislead, along the gradient; else this is as low as float64 gets.
      if (exact && pairs.length === 0) return result(iteration, true);
      if (exact) pairs.length = 0;
      else now = { ...now, ...(yield { point: now.point, exact: true }) };
      exact = true;
      continue;
    }
    iteration++;
    const s = along(next.point, -1, now.point);
    const y = along(next.gradient, -1, now.gradient);
    const sy = dot(s, y);
    if (sy > Number.EPSILON * dot(y, y)) {
      pairs.push({ s, y, rho: 1 / sy });
      if (pairs.length > MEMORY) pairs.shift();
    }
    const change = (now.value - next.value) / Math.max(Math.abs(now.value), Math.abs(next.value), 1);
    now = next;
    if (exact && change <= STALL && largest(now.gradient) > tolerance) return result(iteration, true);
    if (!exact && change <= COARSE_STALL) {
      now = { ...now, ...(yield { point: now.point, exact: true }) };
      exact = true;
    }
  }
}

/** `-H gradient` by the two-loop recursion, algorithm 7.4. */
function descent(
  gradient: Float64Array,
  pairs: readonly { s: Float64Array; y: Float64Array; rho: number }[],
): Float64Array {
  let q: Float64Array = gradient.map((value) => -value);
  const alphas: number[] = [];
  for (const { s, y, rho } of pairs.toReversed()) {
    const alpha = rho * dot(s, q);
    alphas.push(alpha);
    q = along(q, -alpha, y);
  }
  const last = pairs.at(-1);
  if (last) {
    const scale = 1 / (last.rho * dot(last.y, last.y));
    q = q.map((value) => value * scale);
  }
  for (const { s, y, rho } of pairs) q = along(q, (alphas.pop() ?? 0) - rho * dot(y, q), s);
  return q;
}
