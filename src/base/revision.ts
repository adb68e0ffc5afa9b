import type { Json } from '../canonical.js';
import { CacheError } from '../errors.js';
import { type ImageMode, PIXELS_REVISIONS } from '../images/modes.js';

/** A spec as it is read from a set or a head, of any origin. */
type AnySpec = Readonly<Record<string, unknown>>;

function revisions(spec: AnySpec): { mode: ImageMode; made: number; now: number } | null {
  const { mode, pixels } = Object(spec.image) as { mode?: ImageMode; pixels?: unknown };
  const now = mode === undefined ? undefined : PIXELS_REVISIONS[mode];
  return mode === undefined || now === undefined || typeof pixels !== 'number' ? null : { mode, made: pixels, now };
}

/** @returns how vectors of a spec came to be outdated, in words: their pixels are of an older revision; null where they are not */
export function superseded(spec: AnySpec): string | null {
  const found = revisions(spec);
  return found === null || found.made >= found.now
    ? null
    : `made from ${found.mode} pixels of revision ${found.made}, and this version gives revision ${found.now}`;
}

/** @returns the spec with the revision that this version gives */
export function renewed<S extends Readonly<Record<string, Json>>>(spec: S): S {
  const { now } = revisions(spec) ?? {};
  return now === undefined ? spec : { ...spec, image: { ...(spec.image as Record<string, Json>), pixels: now } };
}

/**
 * Refuses to compute vectors beside those that were made from other pixels.
 * @throws CacheError
 */
export function checkRevision(name: string, spec: AnySpec): void {
  const old = superseded(spec);
  if (old !== null) {
    throw new CacheError(
      `the vectors of ${name} were ${old}, so a new image cannot be set beside them: run permafrost features again, and permafrost train for its heads`,
    );
  }
  const found = revisions(spec);
  if (found !== null && found.made > found.now) {
    throw new CacheError(
      `the vectors of ${name} were made from ${found.mode} pixels of revision ${found.made}, which this version does not know: use a newer version of Permafrost`,
    );
  }
}
