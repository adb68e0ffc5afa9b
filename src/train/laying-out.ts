import type { EngineName } from '../engine/engine.js';
import { leanRoom } from './lean/layout.js';
import { KernelMemory } from './lean/memory.js';
import { isLean } from './lean/trainer.js';
import { type HeadOptions, isByMinibatch, resolveOptions } from './options.js';
import { shapeOf, specOf } from './packs.js';
import type { TrainingData } from './run.js';

/** A head that is to be trained. */
export interface ComingHead extends Pick<TrainingData, 'task' | 'classes'> {
  readonly options: HeadOptions;
  /** Parts of its cross-validation; null without. */
  readonly folds?: number | null | undefined;
}

/**
 * @param heads all that train on these vectors
 * @returns what lays vectors in a memory that threads share, where that makes training faster: heads of one shape with folds, which have
 * rows of their own; it gives null where there is no room, and for all others. Undefined where none of these heads are trained so
 */
export function layingOut(
  heads: readonly ComingHead[],
  engine?: EngineName,
): ((n: number, d: number) => Float32Array | null) | undefined {
  const all = heads.map((head) => ({ ...head, resolved: resolveOptions(head.options) }));
  const [first] = all;
  if (first === undefined || engine === 'tensorflow') return undefined;
  if (all.some(({ resolved }) => !isByMinibatch(resolved.optimizer))) return undefined;
  return (n, d) => {
    const { batchSize } = first.resolved;
    const specs = all.map(({ resolved, task, classes }) => specOf(resolved, { task, classes, vectors: { d } }));
    const shapes = new Set(specs.map((spec, i) => JSON.stringify([shapeOf(spec), all[i]?.resolved.batchSize])));
    const [spec] = specs;
    if (spec === undefined || shapes.size > 1) return null;
    const isFolded = all.some(({ folds }) => (folds ?? null) !== null);
    if (!isFolded || !isLean(spec, 1, batchSize)) return null;
    const parts = all.reduce((sum, { folds }) => sum + (folds ?? 0) + 1, 0);
    return KernelMemory.allocate(n, d, leanRoom(d, spec.units, parts, batchSize))?.vectors ?? null;
  };
}
