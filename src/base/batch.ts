import { mostLive } from '../graph/live.js';
import type { Base } from './base.js';
import { mostLiveBytes } from './onnx/index.js';
import { floatProgram, vectorGraph } from './program.js';

/** Images that one run of a base takes where memory allows. */
export const DEFAULT_BATCH_SIZE = 8;

/** Bytes that the values between the layers of a batch may take: an engine holds up to twice as much, for it grows in powers of two. */
const BUDGET = 2 ** 28;

/**
 * @returns images of one run: as many as memory takes, by the largest feature maps that a base holds at once, at least one, at most 8. The
 *   same bits in any
 * @throws EngineError where onnxruntime does not take an ONNX model
 */
export async function fittingBatch(base: Base): Promise<number> {
  const each =
    base.model.kind === 'layers' ? 4 * mostLive(vectorGraph(base)) : await mostLiveBytes(floatProgram(base, 'uint8'));
  return Math.max(1, Math.min(DEFAULT_BATCH_SIZE, Math.floor(BUDGET / each)));
}
