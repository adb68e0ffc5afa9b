import type { HeadNet } from './head-net.js';
import type { NetSpec } from './net-spec.js';
import { NetEvaluator } from './onnx/evaluator.js';
import type { Examples } from './run.js';

/** How nets do on some examples. */
export interface Measured {
  /** Mean loss. */
  readonly loss: number;
  /** Share of right answers; null for numbers. */
  readonly accuracy: number | null;
}

/** @returns how each net does on examples; null of each where there are none */
export async function measureNets(
  spec: NetSpec,
  nets: readonly HeadNet[],
  examples: Required<Pick<Examples, 'vectors' | 'y' | 'rows'>> | null,
  threads?: number,
): Promise<(Measured | null)[]> {
  const count = examples?.rows.length ?? 0;
  if (examples === null || count === 0) return nets.map(() => null);
  const sums = nets.map(() => ({ loss: 0, hits: 0 }));
  const evaluator = await NetEvaluator.create(spec, threads);
  try {
    for await (const block of examples.vectors.blocks(examples.rows)) {
      for (const [i, found] of (await evaluator.evaluate(nets, block, [examples.y])).entries()) {
        const sum = sums[i] as (typeof sums)[number];
        sum.loss += found.loss;
        sum.hits += found.hits;
      }
    }
  } finally {
    await evaluator.release();
  }
  return sums.map(({ loss, hits }) => ({ loss: loss / count, accuracy: Number.isNaN(hits) ? null : hits / count }));
}
