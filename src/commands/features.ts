import path from 'node:path';
import {
  type Base,
  type BaseOptions,
  calibrationFile,
  calibrationOf,
  checkPrecision,
  fittingBatch,
  floatNamed,
  keepSpeed,
  nameBase,
  OWN_PICTURES,
  openNamed,
  type PrecisionOptions,
  superseded,
} from '../base/index.js';
import { DataError } from '../errors.js';
import { type ExtractOptions, extract, type FeaturesResult } from '../extract/extract.js';
import { someImages } from '../extract/sample.js';
import { checkOptions } from '../options/check.js';
import type { Speed } from '../quantize/index.js';
import { holdsFiles } from '../sources/index.js';
import { FeatureSet } from '../store/set.js';
import { type CalibrationOptions, makeCalibration, speedsOf, WORTH } from './calibrate.js';
import { olderSets } from './superseded.js';

export interface FeaturesOptions extends BaseOptions, PrecisionOptions, CalibrationOptions, ExtractOptions {
  /** Make another int8 calibration beside those that are kept. Default false. */
  readonly recalibrate?: boolean;
  /** While an int8 calibration is made: what is being done, how much of it is, and of how much. */
  readonly onCalibrating?: (what: string, done: number, total: number) => void;
}

/**
 * Stage one: runs every image of a folder once through the base and stores the pooled vectors in the set of that base. What
 * the set holds already is not computed again; a broken image goes into the set's quarantine and costs only itself. With int8 the
 * first run calibrates the base on some of the images.
 * @throws UsageError, ModelError, WeightsError or DownloadError about the base; DataError about the folder, or where the base's files
 *   change meanwhile; CacheError about the set; EngineError about the device, where the engine computes something else, or where int8
 *   is not near enough; the signal's reason when it is aborted, after what is done has been stored
 */
export async function features(options: FeaturesOptions): Promise<FeaturesResult> {
  const started = performance.now();
  const { cache = 'cache' } = options;
  checkOptions('features', options);
  checkPrecision(options);
  if (!(await holdsFiles(options.data)))
    throw new DataError(
      `${options.data} holds no files: give --data a folder of images, s3://bucket/prefix or a .txt list`,
    );
  const hooks = { ...options, ...toldOnce(options), makesCache: true };
  let made = false;
  const { name, spec } = await nameBase(cache, options, {
    ...hooks,
    verify: options.verifyHashes ?? false,
    calibrate: async ({ spec: float }) => {
      made = true;
      return makeCalibration(cache, await floatNamed(cache, float, options, hooks), {
        ...options,
        alone: options.recalibrate !== true,
      });
    },
  });
  const set = await FeatureSet.create(cache, name, spec, options);
  options.onStart?.({ name, dir: set.dir, features: spec.features });
  if ((await set.partNames().catch(() => [])).length === 0) {
    for (const old of await olderSets(cache, spec, options)) {
      options.onWarning?.(
        `${path.basename(old.dir)} was ${superseded(old.spec)}: all vectors are computed anew, in ${path.basename(set.dir)}; ` +
          'permafrost cache gc --superseded takes the old ones out',
      );
    }
  }
  let speed: Speed | null = null;
  const open = async (): Promise<Base> => {
    const base = await openNamed(cache, name, spec, options, hooks);
    if (spec.precision !== 'int8') return base;
    speed ??= await told(base, options);
    await keepSpeed(cache, spec, speed, options);
    return base;
  };
  const pictures = () => someImages(spec, OWN_PICTURES, options.data, options.signal);
  const result = await extract(set, { ...options, started, pictures }, open);
  if (spec.precision !== 'int8') return result;
  const { fidelity, share } = await calibrationOf(cache, spec);
  const { mean, low, images } = fidelity;
  const calibration = calibrationFile(cache, spec);
  return { ...result, int8: { calibration, made, fidelity: { mean, low, images }, share, speed } };
}

/** Measures what int8 brings on this machine, and tells it. */
async function told(base: Base, { batchSize, threads, onWarning }: FeaturesOptions): Promise<Speed> {
  const speed = await speedsOf(base, batchSize ?? (await fittingBatch(base)), threads);
  const times = speed.int8 / speed.float32;
  const measured = `${speed.int8.toFixed(1)} images a second, float32 ${speed.float32.toFixed(1)}`;
  onWarning?.(
    times < WORTH
      ? `int8 is ${times.toFixed(2)} times as fast as float32 here (${measured}), which is hardly worth it: --precision float32 loses nothing`
      : `int8 is ${times.toFixed(1)} times as fast as float32 here (${measured}, without decoding)`,
  );
  return speed;
}

/** What a base is noted for is told once, though it is opened twice: for its name, and to run. */
function toldOnce({ onWarning }: FeaturesOptions): Pick<FeaturesOptions, 'onWarning'> {
  const told = new Set<string>();
  return {
    onWarning: (message) => {
      if (told.size !== told.add(message).size) onWarning?.(message);
    },
  };
}
