import { CacheError, DataError, UsageError } from '../errors.js';
import {
  calibrationsOf,
  fitsBase,
  inInt8,
  type KeptCalibration,
  keepCalibration,
  readCalibration,
} from './calibrations.js';
import { type KnownHooks, type Named, nameFloatBase } from './known.js';
import type { BaseOptions } from './options.js';

/** In what a base computes. */
export interface PrecisionOptions {
  /** `int8`: with 8-bit whole numbers, by a calibration on images. Default `float32`. */
  readonly precision?: 'float32' | 'int8';
  /** The file of an int8 calibration. Default: the one that the cache keeps. */
  readonly calibration?: string;
}

/** How a calibration is chosen where several are kept, or none. */
export interface Calibrating {
  /** Makes one where none is kept. */
  readonly calibrate?: (named: Named) => Promise<KeptCalibration>;
  /** Whether it makes one in any case. Default false. */
  readonly recalibrate?: boolean;
  /** Takes only one with weights of so many bits. */
  readonly weightBits?: 7 | 8;
  /** Refuses one whose mean cosine is below. */
  readonly fidelity?: number;
}

/**
 * The name and spec of a base, in the precision that is asked for: remembered, or found by opening it.
 * @param hooks `verify`: open it whatever is remembered; `calibrate`: makes a calibration where the cache keeps none
 * @throws as `readBase`; CacheError where an int8 calibration is needed and not there, or there are several
 */
export async function nameBase(
  cache: string,
  options: BaseOptions & PrecisionOptions,
  hooks: KnownHooks & Calibrating & { readonly verify?: boolean } = {},
): Promise<Named> {
  const named = await nameFloatBase(cache, options, hooks);
  if (options.precision !== 'int8') return named;
  const { digest } = await choose(cache, named, options, hooks);
  return { ...named, spec: inInt8(named.spec, digest) };
}

async function choose(
  cache: string,
  named: Named,
  { calibration: file }: PrecisionOptions,
  hooks: KnownHooks & Calibrating,
): Promise<KeptCalibration> {
  const { calibrate, recalibrate = false, weightBits, fidelity, makesCache } = hooks;
  const { name, spec } = named;
  if (file !== undefined) {
    const given = await readCalibration(file, hooks.system);
    if (!fitsBase(given, spec)) {
      throw new DataError(
        `${file} calibrates another base, or other settings of it (input size, image mode, preprocessing, pooling): give the calibration of ${name} with these`,
      );
    }
    return makesCache === true ? keepCalibration(cache, spec, given.calibration, hooks) : given;
  }
  if (calibrate !== undefined && recalibrate) return calibrate(named);
  const kept = await calibrationsOf(cache, spec, hooks);
  const fitting =
    weightBits === undefined ? kept : kept.filter(({ calibration }) => calibration.recipe.weightBits === weightBits);
  const [one, ...others] = fitting;
  if (one === undefined) {
    if (calibrate !== undefined) return calibrate(named);
    throw new CacheError(
      `there is no int8 calibration of ${name} with these settings in ${cache}: run permafrost features --precision int8 once, or bring one with --calibration FILE`,
    );
  }
  if (others.length > 0) {
    const files = fitting.map((each) => each.file).join(' or --calibration ');
    throw new CacheError(
      `${cache} keeps ${fitting.length} int8 calibrations of ${name}: choose with --calibration ${files}`,
    );
  }
  const { mean } = one.calibration.fidelity;
  if (fidelity !== undefined && mean < fidelity) {
    throw new CacheError(
      `the int8 calibration ${one.file} has a mean cosine of ${mean.toFixed(4)}, and --fidelity asks for ${fidelity}: make another with --recalibrate`,
    );
  }
  return one;
}

/**
 * Checks options of precision against each other.
 * @throws UsageError for those of int8 without it
 */
export function checkPrecision(
  options: PrecisionOptions & { readonly engine?: string; readonly device?: string },
): void {
  const { precision, engine = 'onnx', device = 'cpu' } = options;
  if (precision === 'int8' && (engine !== 'onnx' || device !== 'cpu')) {
    throw new UsageError('--precision int8 runs on the CPU with onnxruntime: leave out --engine and --device');
  }
}
