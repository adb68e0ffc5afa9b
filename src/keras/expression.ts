import { ModelError } from '../errors.js';
import type { Op } from '../graph/graph.js';

/** What a layer computes of the tensors that it takes, which are named by their place: one operation after the other. */
export interface Step {
  readonly op: Op;
  readonly of: readonly Expression[];
}

export type Expression = number | Step;

export const step = (op: Op, ...of: readonly Expression[]): Step => ({ op, of });

/** The op of a layer that is one operation of all its tensors. */
export const layerStep = (op: Op, inputs: number): Step => ({ op, of: Array.from({ length: inputs }, (_, i) => i) });

/** An axis as the graph counts it, from 0, the batch. @param rank axes of an example, without the batch */
export function axisFrom(axis: number, rank: number): number {
  const counted = axis < 0 ? axis + rank + 1 : axis;
  if (!Number.isInteger(counted) || counted < 1 || counted > rank) {
    throw new ModelError(`there is no axis ${axis} besides the batch in ${rank} axes`);
  }
  return counted;
}
