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

/** Vectors and what they should give. */
type Measurable = Required<Pick<Examples, 'vectors' | 'y' | 'rows'>>;

/** @returns for each side how each net does on it; null where it is empty */
export async function measureNets(
  spec: NetSpec,
  nets: readonly HeadNet[],
  sides: readonly (Measurable | null)[],
  threads?: number,
): Promise<(Measured | null)[][]> {
  const evaluator = await NetEvaluator.create(spec, threads);
  try {
    const found: (Measured | null)[][] = [];
    for (const side of sides) found.push(await measureSide(evaluator, nets, side));
    return found;
  } finally {
    await evaluator.release();
  }
}

async function measureSide(
  evaluator: NetEvaluator,
  nets: readonly HeadNet[],
  side: Measurable | null,
): Promise<(Measured | null)[]> {
  const count = side?.rows.length ?? 0;
  if (side === null || count === 0) return nets.map(() => null);
  const sums = nets.map(() => ({ loss: 0, hits: 0 }));
  for await (const block of side.vectors.blocks(side.rows)) {
    for (const [i, found] of (await evaluator.evaluate(nets, block, [side.y])).entries()) {
      const sum = sums[i] as (typeof sums)[number];
      sum.loss += found.loss;
      sum.hits += found.hits;
    }
  }
  return sums.map(({ loss, hits }) => ({ loss: loss / count, accuracy: Number.isNaN(hits) ? null : hits / count }));
}
