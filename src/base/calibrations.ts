import path from 'node:path';
import { canonicalJson, type Json, sha256Hex } from '../canonical.js';
import { processor } from '../engine/processor.js';
import { CacheError, DataError } from '../errors.js';
import {
  placeFile,
  readWhole,
  realSystem,
  type StoreOptions,
  type StoreSystem,
  whyUnreadable,
  writeAtomically,
} from '../files/index.js';
import { type Calibration, calibrationFields, parseCalibration, type Speed } from '../quantize/index.js';
import { keptDir } from './place.js';
import { seal, unseal } from './sealed.js';
import type { BaseSpec } from './spec.js';

/** Bytes of a calibration: some numbers a channel. */
const LARGEST = 2 ** 28;
const NAME = /^int8-[0-9a-f]{12}\.json$/;

/** A calibration in its file. */
export interface KeptCalibration {
  readonly file: string;
  /** SHA-256 of the file's bytes: what a fingerprint holds. */
  readonly digest: string;
  readonly calibration: Calibration;
}

/** @returns the name of the file in which a cache keeps a calibration */
const fileName = (digest: string): string => `int8-${digest.slice(0, 12)}.json`;

/** @returns the file in which a cache keeps the calibration of an int8 spec, absolute */
export const calibrationFile = (cache: string, spec: BaseSpec): string =>
  path.resolve(keptDir(cache, spec), fileName(String(spec.calibration)));

/** @returns what a calibration is made for: all of a spec that shapes what is computed, not how it is stored */
export function calibratedFor({ graph, weights, input, image, preprocess, pooling }: BaseSpec): Calibration['base'] {
  return { graph, weights, input, image, preprocess, pooling };
}

/** @returns the spec of the same base in float32 */
export function inFloat(spec: BaseSpec): BaseSpec {
  const { calibration: _, ...rest } = spec;
  return { ...(rest as unknown as BaseSpec), precision: 'float32' };
}

/** @returns the spec of the same base in int8 */
export const inInt8 = (spec: BaseSpec, digest: string): BaseSpec => ({
  ...spec,
  precision: 'int8',
  calibration: digest,
});

/**
 * Reads a calibration.
 * @throws DataError where it cannot be read, or a byte is another than was written
 */
export async function readCalibration(file: string, system: StoreSystem = realSystem): Promise<KeptCalibration> {
  const bytes = await readWhole(system, file, LARGEST).catch((error: unknown) => {
    throw new DataError(`${file} ${whyUnreadable(error)}: give the file of an int8 calibration`, { cause: error });
  });
  const fields = unseal(Buffer.from(bytes).toString('utf8'));
  if (fields === null) {
    throw new DataError(`${file} is no int8 calibration, or a byte of it was changed: give one that features wrote`);
  }
  return { file, digest: sha256Hex(bytes), calibration: parseCalibration(fields, file) };
}

/** @returns the calibrations that a cache keeps for a base at these settings, by name; damaged ones are told of and left out */
export async function calibrationsOf(
  cache: string,
  spec: BaseSpec,
  { system = realSystem, onWarning }: StoreOptions & { readonly onWarning?: (message: string) => void } = {},
): Promise<KeptCalibration[]> {
  const dir = keptDir(cache, spec);
  const names = (await system.list(dir).catch(() => [])).filter((name) => NAME.test(name)).sort();
  const found: KeptCalibration[] = [];
  for (const name of names) {
    try {
      const one = await readCalibration(path.join(dir, name), system);
      if (fitsBase(one, spec)) found.push(one);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      onWarning?.(error.message);
    }
  }
  return found;
}

/** Whether a calibration is for a base at these settings. */
export const fitsBase = ({ calibration }: KeptCalibration, spec: BaseSpec): boolean =>
  canonicalJson(calibration.base) === canonicalJson(calibratedFor(spec) as Json);

/**
 * Keeps a calibration in a cache, once.
 * @param alone whether it gives way to another with weights of as many bits that was put there meanwhile
 * @returns the one that counts from now on
 * @throws CacheError when it cannot be written
 */
export async function keepCalibration(
  cache: string,
  spec: BaseSpec,
  calibration: Calibration,
  { system = realSystem, alone = false }: StoreOptions & { readonly alone?: boolean } = {},
): Promise<KeptCalibration> {
  const dir = keptDir(cache, spec);
  const { weightBits } = calibration.recipe;
  const bytes = new TextEncoder().encode(seal(calibrationFields(calibration)));
  const digest = sha256Hex(bytes);
  const mine = { file: path.join(dir, fileName(digest)), digest, calibration };
  const others = alone ? await calibrationsOf(cache, spec, { system }) : [];
  const other = others.find((one) => one.calibration.recipe.weightBits === weightBits);
  if (other) return other;
  await system.makeFolder(dir);
  await writeAtomically(system, dir, fileName(digest), [bytes]);
  if (!alone) return mine;
  const kind = sha256Hex(canonicalJson([weightBits, calibratedFor(spec) as Json])).slice(0, 12);
  const first = await firstOf(system, dir, `_first-int8-${kind}`, digest);
  if (first === digest) return mine;
  const winner = await readCalibration(path.join(dir, fileName(first)), system).catch(() => null);
  if (winner === null) return mine;
  await system.unlink(mine.file).catch(() => {});
  return winner;
}

/** @returns the digest that took a name first, of this and those that other processes put there; a name is taken once */
async function firstOf(system: StoreSystem, dir: string, name: string, digest: string): Promise<string> {
  const own = `${name}-${digest.slice(0, 12)}`;
  await writeAtomically(system, dir, own, [Buffer.from(digest)]);
  try {
    if ((await placeFile(path.join(dir, own), path.join(dir, name), { system })) !== 'taken') return digest;
    const first = Buffer.from(await readWhole(system, path.join(dir, name), 64)).toString('latin1');
    return /^[0-9a-f]{64}$/.test(first) ? first : digest;
  } finally {
    await system.unlink(path.join(dir, own)).catch(() => {});
  }
}

/**
 * The calibration of a spec, out of a cache or a file.
 * @param given the file, where the cache need not keep it
 * @throws CacheError where it is not there, or is another
 */
export async function calibrationOf(
  cache: string,
  spec: BaseSpec,
  { given, system = realSystem }: StoreOptions & { readonly given?: string } = {},
): Promise<Calibration> {
  const digest = String(spec.calibration);
  const file = given ?? calibrationFile(cache, spec);
  const advice = 'bring it from where these vectors were made, with --calibration FILE';
  const found = await readCalibration(file, system).catch((error: unknown) => {
    if (!(error instanceof DataError)) throw error;
    throw new CacheError(`the int8 calibration ${digest.slice(0, 12)} is needed: ${error.message}; ${advice}`, {
      cause: error,
    });
  });
  if (found.digest === digest) return found.calibration;
  throw new CacheError(
    `${file} is not the int8 calibration ${digest.slice(0, 12)} that these vectors were made with: ${advice}`,
  );
}

/** What was measured of an int8 base on a machine. */
type Measured = Pick<Speed, 'float32' | 'int8'>;

const speedFile = (cache: string, spec: BaseSpec): string =>
  path.join(keptDir(cache, spec), `_speed-${String(spec.calibration).slice(0, 12)}.json`);

/** Keeps what was measured last, for `cache ls`; failing to is no error. */
export async function keepSpeed(
  cache: string,
  spec: BaseSpec,
  { float32, int8 }: Measured,
  { system = realSystem }: StoreOptions = {},
): Promise<void> {
  const file = speedFile(cache, spec);
  const text = seal({ processor: processor().model, float32, int8 });
  await writeAtomically(system, path.dirname(file), path.basename(file), [Buffer.from(text)]).catch(() => {});
}

/** @returns what was measured last; null where nothing was, or on another processor */
export async function keptSpeed(
  cache: string,
  spec: BaseSpec,
  { system = realSystem }: StoreOptions = {},
): Promise<Measured | null> {
  const bytes = await readWhole(system, speedFile(cache, spec), 2 ** 16).catch(() => null);
  const fields = bytes === null ? null : unseal(Buffer.from(bytes).toString('utf8'));
  if (fields === null || fields.processor !== processor().model) return null;
  return { float32: Number(fields.float32), int8: Number(fields.int8) };
}
