import { availableParallelism } from 'node:os';
import type { EngineOptions } from '../engine/engine.js';
import { bytesOf } from '../formats/onnx/write.js';
import { mostLive } from '../graph/live.js';
import type { Base } from './base.js';
import { mostLiveBytes } from './onnx/index.js';
import { floatProgram, vectorGraph } from './program.js';

/** Images that one run of a base takes where memory allows. */
export const DEFAULT_BATCH_SIZE = 8;

/** Bytes that the values between the layers of a batch may take: an engine holds up to twice as much, for it grows in powers of two. */
const BUDGET = 2 ** 28;

/** Images of one run where several go side by side: as fast as more, in less memory. */
const LANE_BATCH = 4;

/** Runs side by side: each thread takes some 50 MB of its own. */
const MOST_LANES = 8;

/** Bytes that the further copies of the weights may take. */
const COPIES = 2 ** 28;

/**
 * @returns images of one run: as many as memory takes, by the largest feature maps that a base holds at once, at least one, at most 8. The
 *   same bits in any
 * @throws EngineError where onnxruntime does not take an ONNX model
 */
export async function fittingBatch(base: Base): Promise<number> {
  return Math.min(DEFAULT_BATCH_SIZE, await fittingImages(base));
}

async function fittingImages(base: Base): Promise<number> {
  const each =
    base.model.kind === 'layers' ? 4 * mostLive(vectorGraph(base)) : await mostLiveBytes(floatProgram(base, 'uint8'));
  return Math.max(1, Math.floor(BUDGET / each));
}

/** How a base is run. */
export interface Lanes {
  /** Images of one run. */
  readonly batchSize: number;
  /** Runs side by side. */
  readonly lanes: number;
  /** Threads of each; absent where the engine chooses. */
  readonly threads?: number;
}

/**
 * How many images are run fastest: on processors, as many runs side by side as there are cores, up to 8, while the feature maps of all
 * take no more than those of one run may, and the copies of the weights 256 MB. The same bits in any.
 * @param given images of one run
 * @throws as `fittingBatch`
 */
export async function fittingLanes(
  base: Base,
  { engine = 'onnx', device = 'cpu', threads }: EngineOptions,
  given?: number,
): Promise<Lanes> {
  const cores = threads ?? availableParallelism();
  const images = await fittingImages(base);
  const lanes = Math.max(
    1,
    Math.min(cores, MOST_LANES, Math.floor(images / (given ?? 1)), 1 + Math.floor(COPIES / weightBytes(base))),
  );
  if (engine !== 'onnx' || device !== 'cpu' || lanes === 1) {
    const batchSize = given ?? Math.min(DEFAULT_BATCH_SIZE, images);
    return { batchSize, lanes: 1, ...(threads === undefined ? {} : { threads }) };
  }
  return {
    batchSize: given ?? Math.min(LANE_BATCH, Math.floor(images / lanes)),
    lanes,
    threads: Math.floor(cores / lanes),
  };
}

function weightBytes({ model, calibration }: Base): number {
  const floats =
    model.kind === 'layers'
      ? model.graph.nodes.flatMap(({ weights }) => weights).map(({ shape }) => 4 * shape.reduce((a, b) => a * b, 1))
      : model.onnx.graph.initializers.map(bytesOf);
  return Math.max(1, floats.reduce((a, b) => a + b, 0) / (calibration === undefined ? 1 : 4));
}
