import { availableParallelism, totalmem } from 'node:os';
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

/** Bytes that runs side by side may take: those of two cores, and of each where there are more than four and memory for it. */
const [LANES_BUDGET, CORE_BUDGET] = [400e6, 100e6];
/** Share of the machine's memory that more than the least may be. */
const MEMORY_SHARE = 1 / 16;

/**
 * @returns images of one run: as many as memory takes, by the largest feature maps that a base holds at once, at least one, at most 8. The
 *   same bits in any
 * @throws EngineError where onnxruntime does not take an ONNX model
 */
export const fittingBatch = async (base: Base): Promise<number> => batchOf(await liveBytes(base));

const batchOf = (each: number): number => Math.max(1, Math.min(DEFAULT_BATCH_SIZE, Math.floor(BUDGET / each)));

/** @returns bytes of the largest feature maps that a base holds at once, of one image */
const liveBytes = async (base: Base): Promise<number> =>
  base.model.kind === 'layers' ? 4 * mostLive(vectorGraph(base)) : await mostLiveBytes(floatProgram(base, 'uint8'));

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
 * How many images are run fastest: on processors, as many runs side by side as there are cores, up to 8, while what they hold between
 * layers and the copies of the weights, each doubled while it is loaded, take no more than 400 MB; on machines of more than four cores
 * and 6.4 GB, 100 MB a core, up to a sixteenth of the memory. The same bits in any.
 * @param given images of one run
 * @param memory of the machine, in bytes
 * @throws as `fittingBatch`
 */
export async function fittingLanes(
  base: Base,
  { engine = 'onnx', device = 'cpu', threads }: EngineOptions,
  given?: number,
  memory = memoryBytes(),
): Promise<Lanes> {
  const cores = threads ?? availableParallelism();
  const each = await liveBytes(base);
  const weights = weightBytes(base);
  const budget = Math.max(LANES_BUDGET, Math.min(cores * CORE_BUDGET, memory * MEMORY_SHARE));
  for (let lanes = Math.min(cores, MOST_LANES); lanes > 1 && engine === 'onnx' && device === 'cpu'; lanes--) {
    const fits = Math.floor((budget - (lanes - 1) * 2 * weights) / (lanes * 2 * each));
    if (fits < (given ?? 1)) continue;
    return { batchSize: given ?? Math.min(LANE_BATCH, fits), lanes, threads: Math.floor(cores / lanes) };
  }
  return { batchSize: given ?? batchOf(each), lanes: 1, ...(threads === undefined ? {} : { threads }) };
}

/** What a container may take, or else the machine's. */
const memoryBytes = (): number => Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);

function weightBytes({ model, calibration }: Base): number {
  const floats =
    model.kind === 'layers'
      ? model.graph.nodes.flatMap(({ weights }) => weights).map(({ shape }) => 4 * shape.reduce((a, b) => a * b, 1))
      : model.onnx.graph.initializers.map(bytesOf);
  return Math.max(1, floats.reduce((a, b) => a + b, 0) / (calibration === undefined ? 1 : 4));
}
