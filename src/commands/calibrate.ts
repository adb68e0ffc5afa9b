import path from 'node:path';
import {
  type Base,
  calibratedFor,
  fittingBatch,
  floatProgram,
  int8Tolerance,
  type KeptCalibration,
  keepCalibration,
  OWN_PICTURES,
  onnxProgram,
  saturates,
} from '../base/index.js';
import type { OnnxProgram } from '../engine/engine.js';
import { calibrationSample } from '../extract/sample.js';
import type { Pixels } from '../extract/vectors.js';
import {
  type Batch,
  calibrate,
  cosines,
  digestSteps,
  type Speed,
  speeds,
  stepsOf,
  vectorsOf,
} from '../quantize/index.js';
import { FileIndex, type StoreOptions } from '../store/index.js';

/** How an int8 calibration is made. */
export interface CalibrationOptions {
  /** The mean cosine with the float32 vectors of other images that it must reach. Default 0.998. */
  readonly fidelity?: number;
  /** Bits of the weights; 7 where the processor's sums of 8-bit products overflow. Default 8. */
  readonly weightBits?: 7 | 8;
}

export const DEFAULT_FIDELITY = 0.998;

interface MakeOptions extends CalibrationOptions, StoreOptions {
  readonly data: string;
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** Whether it gives way to another that is made meanwhile. */
  readonly alone: boolean;
  readonly onWarning?: (message: string) => void;
  readonly onCalibrating?: (what: string, done: number, total: number) => void;
}

function batchesOf(images: readonly Pixels[], size: number): Batch[] {
  const batches: Batch[] = [];
  for (let at = 0; at < images.length; at += size) {
    const some = images.slice(at, at + size);
    const length = some[0]?.length ?? 0;
    const data =
      some[0] instanceof Uint8Array ? new Uint8Array(length * some.length) : new Float32Array(length * some.length);
    for (const [i, pixels] of some.entries()) data.set(pixels, i * length);
    batches.push({ data, n: some.length });
  }
  return batches;
}

/**
 * Calibrates a base on a folder of images, and keeps that in the cache.
 * @throws DataError for too few images; EngineError where the base cannot be int8 at this fidelity, or not on this processor
 */
export async function makeCalibration(cache: string, base: Base, options: MakeOptions): Promise<KeptCalibration> {
  const { fidelity = DEFAULT_FIDELITY, weightBits = 8, onWarning, onCalibrating, signal, threads } = options;
  const { name, spec } = base;
  const index = await FileIndex.open(cache, options);
  const { calibrated, held } = await calibrationSample(spec, { ...options, index });
  const program = floatProgram(base, calibrated[0] instanceof Uint8Array ? 'uint8' : 'float32');
  const size = program.batched ? await fittingBatch(base) : 1;
  const images = batchesOf(calibrated, size);
  const own = batchesOf(calibrated.slice(0, OWN_PICTURES), size);
  const { least } = int8Tolerance(fidelity);
  const check = async (int8: OnnxProgram): Promise<void> => {
    const found = cosines(await vectorsOf(int8, own, { optimize: false }), await vectorsOf(int8, own));
    const worst = Math.min(...found);
    if (worst < least) throw saturates(name, `with a cosine of ${worst.toFixed(4)}, where ${least} is the least`);
  };
  const {
    recipe,
    share,
    fidelity: reached,
  } = await calibrate(program, images, batchesOf(held, size), {
    fidelity,
    weightBits,
    check,
    ...(threads === undefined ? {} : { threads }),
    ...(signal === undefined ? {} : { signal }),
    ...(onWarning === undefined ? {} : { onWarning }),
    ...(onCalibrating === undefined ? {} : { onProgress: onCalibrating }),
  });
  const made = {
    base: calibratedFor(spec),
    steps: digestSteps(stepsOf(program)),
    recipe,
    share,
    fidelity: { ...reached, asked: fidelity },
    images: calibrated.length,
  };
  const kept = await keepCalibration(cache, spec, made, options);
  return { ...kept, file: path.resolve(kept.file) };
}

/** Int8 that is not so many times as fast as float32 is hardly worth what it changes. */
export const WORTH = 1.15;

/** @returns what both precisions of an int8 base do on this machine, in images a second without decoding */
export function speedsOf(base: Base, batchSize: number, threads?: number): Promise<Speed> {
  const { height, width, channels } = base.spec.input;
  const input = base.spec.image.mode === 'keras-bilinear' ? 'float32' : 'uint8';
  const [float, int8] = [floatProgram(base, input), onnxProgram(base, input)];
  const n = float.batched ? batchSize : 1;
  const length = n * height * width * channels;
  const data = input === 'uint8' ? new Uint8Array(length) : new Float32Array(length);
  for (let i = 0; i < length; i++) data[i] = (i * 37) % 251;
  return speeds(float, int8, { data, n }, threads === undefined ? {} : { threads });
}
