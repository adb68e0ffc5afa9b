import { type Evaluation, type LbfgsResult, lbfgs, type Query } from './lbfgs.js';
import { FullBatch, type FullBatchSpec, type FullBatchSums, type FullBatchTargets } from './onnx/objective.js';
import type { Standardization } from './standardize.js';

/** One head of a full-batch fit. */
export interface FullBatchOptions {
  /** The mean loss gains `l2 * sum(kernel ** 2)`; the bias carries no penalty. */
  readonly l2: number;
  /** Default 0. */
  readonly smoothing?: number;
  /** `[n]`, what each row counts. Default: one. */
  readonly weights?: Float64Array | null;
  /** Ends when no component of the gradient is larger. */
  readonly tolerance: number;
  readonly maxIterations: number;
  /** What the vectors go through first; the weights are for vectors that have. Default: nothing. */
  readonly standardization?: Standardization | null;
}

/** A head as fitted. */
export interface FullBatchFit {
  /** `[units, d]`, in the space of the standardised vectors. */
  readonly kernel: Float64Array;
  /** `[units]` */
  readonly bias: Float64Array;
  /** Mean loss with the penalty. */
  readonly value: number;
  readonly gradientNorm: number;
  readonly iterations: number;
  readonly converged: boolean;
}

export interface FullBatchHooks {
  /** Ends the fit between two blocks by throwing its reason. */
  readonly signal?: AbortSignal;
  /** Passes over the data so far, and the heads that are not done. */
  readonly onPass?: (passes: number, open: number) => void;
  readonly threads?: number;
}

/**
 * Fits Dense heads to all rows with L-BFGS, from zero weights, until their gradients vanish in float64. All heads share each pass
 * over the vectors. With two classes and `C = 1 / (2 n l2)` the objective is that of scikit-learn's LogisticRegression over n.
 * Means are over rows and, of several sigmoids or linear units, over units too, as in Keras.
 * @param x `[n, d]`
 * @param targets class numbers `[n]` (softmax), or values `[n, units]`
 */
export async function fitFullBatch(
  spec: FullBatchSpec,
  x: Float32Array,
  targets: FullBatchTargets,
  heads: readonly FullBatchOptions[],
  hooks: FullBatchHooks = {},
): Promise<FullBatchFit[]> {
  const n = x.length / spec.d;
  const objective = await FullBatch.create(spec, x, targets, hooks.threads);
  try {
    const results = new Array<LbfgsResult>(heads.length);
    let open = heads.map((head, index) => {
      const steps = lbfgs(new Float64Array(spec.units * (spec.d + 1)), head);
      return { head, index, steps, query: steps.next().value as Query };
    });
    for (let pass = 1; open.length > 0; pass++) {
      const sums = new Map<number, FullBatchSums>();
      for (const exact of [false, true]) {
        const asking = open.filter(({ query }) => query.exact === exact);
        if (asking.length === 0) continue;
        const asked = asking.map(({ head, query }) => ({
          ...intoRaw(spec, query.point, head.standardization ?? null),
          smoothing: head.smoothing ?? 0,
          weights: head.weights ?? null,
        }));
        const given = await objective.evaluate(asked, exact ? 'float64' : 'float32', () =>
          hooks.signal?.throwIfAborted(),
        );
        for (const [i, { index }] of asking.entries()) sums.set(index, given[i] as FullBatchSums);
      }
      open = open.filter((one) => {
        const found = evaluation(spec, n, one.head, one.query.point, sums.get(one.index) as FullBatchSums);
        const next = one.steps.next(found);
        if (next.done) results[one.index] = next.value;
        else one.query = next.value;
        return !next.done;
      });
      hooks.onPass?.(pass, open.length);
    }
    const size = spec.units * spec.d;
    return results.map(({ point, ...rest }) => ({ kernel: point.slice(0, size), bias: point.slice(size), ...rest }));
  } finally {
    await objective.release();
  }
}

/** Weights for standardised vectors as weights for the vectors as they are stored. */
function intoRaw({ d, units }: FullBatchSpec, point: Float64Array, standardization: Standardization | null) {
  const kernel = point.slice(0, units * d);
  const bias = point.slice(units * d);
  if (standardization === null) return { kernel, bias };
  const { mean, scale } = standardization;
  for (let u = 0; u < units; u++) {
    for (let j = 0, at = u * d; j < d; j++, at++) {
      kernel[at] = (kernel[at] as number) / (scale[j] as number);
      bias[u] = (bias[u] as number) - (kernel[at] as number) * (mean[j] as number);
    }
  }
  return { kernel, bias };
}

/** The mean loss with its penalty, and the gradient for standardised vectors: the chain rule through `(x - mean) / scale`. */
function evaluation(
  { d, units, ending }: FullBatchSpec,
  n: number,
  { l2, standardization = null }: FullBatchOptions,
  point: Float64Array,
  sums: FullBatchSums,
): Evaluation {
  const share = 1 / (ending === 'softmax' ? n : n * units);
  const gradient = new Float64Array(point.length);
  let squares = 0;
  for (let u = 0; u < units; u++) {
    const offset = sums.bias[u] as number;
    for (let j = 0, at = u * d; j < d; j++, at++) {
      const weight = point[at] as number;
      const sum = sums.kernel[at] as number;
      const inner =
        standardization === null
          ? sum
          : (sum - offset * (standardization.mean[j] as number)) / (standardization.scale[j] as number);
      gradient[at] = inner * share + 2 * l2 * weight;
      squares += weight * weight;
    }
    gradient[units * d + u] = offset * share;
  }
  return { value: sums.loss * share + l2 * squares, gradient };
}
