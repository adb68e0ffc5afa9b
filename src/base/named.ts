import { canonicalJson } from '../canonical.js';
import { CacheError, DataError } from '../errors.js';
import type { Base } from './base.js';
import { calibrationOf, inFloat } from './calibrations.js';
import { dropBase, keptBase } from './kept.js';
import { type KnownHooks, readBase } from './known.js';
import type { BaseOptions } from './options.js';
import type { BaseSpec } from './spec.js';

/**
 * The base of a spec that `nameBase` gave, in float32: as the cache keeps it, where that is whole; else read, and what is damaged is taken
 * away, so that it is kept anew.
 * @throws as `readBase`
 */
export async function floatNamed(
  cache: string,
  spec: BaseSpec,
  options: BaseOptions,
  hooks: KnownHooks,
): Promise<Base> {
  const float = inFloat(spec);
  try {
    const kept = await keptBase(cache, float);
    if (kept !== null) return kept;
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    hooks.onWarning?.(`${error.message.replace(/: delete .*/, '')}: it is kept anew`);
    await dropBase(cache, float, hooks).catch(() => {});
  }
  return readBase(cache, options, hooks);
}

/**
 * The base of a spec that `nameBase` gave, with its calibration where it is int8.
 * @throws DataError where its files changed since; CacheError where its calibration is not there; and as `readBase`
 */
export async function openNamed(
  cache: string,
  name: string,
  spec: BaseSpec,
  options: BaseOptions,
  hooks: KnownHooks,
): Promise<Base> {
  const float = await floatNamed(cache, spec, options, hooks);
  if (canonicalJson(float.spec) !== canonicalJson(inFloat(spec)))
    throw new DataError(`the base ${name} was changed while it was used: run the same command again`);
  return spec.precision === 'int8' ? { ...float, spec, calibration: await calibrationOf(cache, spec) } : float;
}
