import { mostLive } from '../graph/live.js';
import type { Base } from './base.js';
import { vectorGraph } from './program.js';

/** Images that one run of a base takes where memory allows. */
export const DEFAULT_BATCH_SIZE = 8;

/** Bytes that the values between the layers of a batch may take: an engine holds up to twice as much, for it grows in powers of two. */
const BUDGET = 2 ** 28;

/**
 * @returns images of one run: as many as memory takes, by the largest feature maps that a base holds at once, at least one, at most 8. The
 *   same bits in any
 */
export function fittingBatch(base: Base): number {
  if (base.model.kind === 'onnx') return DEFAULT_BATCH_SIZE;
  const each = 4 * mostLive(vectorGraph(base));
  return Math.max(1, Math.min(DEFAULT_BATCH_SIZE, Math.floor(BUDGET / each)));
}
