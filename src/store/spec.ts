import { canonicalJson, type Json, sha256Hex } from '../canonical.js';
import { CacheError } from '../errors.js';

/** The version of the layout of a set on disk that this code writes and reads. */
export const SET_FORMAT = 1;

/** Everything that shapes a vector, and nothing else: the content of `_set.json`. */
export interface SetSpec {
  readonly format: typeof SET_FORMAT;
  /** d, the length of a vector. */
  readonly features: number;
  /** How the values are stored; they come back as float32. */
  readonly type: 'float32' | 'float16';
  readonly [key: string]: Json;
}

/** Turns the description of a set of one format into that of a later one. */
export type Migration = (older: Readonly<Record<string, Json>>) => Readonly<Record<string, Json>>;

/**
 * From each older format on: the place to add to when `SET_FORMAT` goes up, for `cache migrate`. Format 1 is the first. Parts
 * are copied as the new description says, so their layout must be one that `Part` still reads.
 */
export const MIGRATIONS: ReadonlyMap<number, Migration> = new Map();

/** @returns SHA-256 of the canonical JSON, 64 hexadecimal digits */
export function fingerprint(spec: SetSpec): string {
  return sha256Hex(canonicalJson(spec));
}

/**
 * Checks a value that was read from a file, or handed over.
 * @throws CacheError that says what does not fit; `where` names the file
 */
export function checkSpec(value: unknown, where: string): SetSpec {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CacheError(`${where} must hold a JSON object that describes a feature set`);
  }
  const { format, features, type } = value as Record<string, unknown>;
  if (format !== SET_FORMAT) throw new CacheError(`${where} ${otherFormat(format)}`);
  if (!Number.isInteger(features) || (features as number) < 1 || (features as number) > 2 ** 24) {
    throw new CacheError(
      `${where} must give "features" as a whole number from 1 to 16777216, found ${JSON.stringify(features)}`,
    );
  }
  if (type !== 'float32' && type !== 'float16') {
    throw new CacheError(`${where} must give "type" as float32 or float16, found ${JSON.stringify(type)}`);
  }
  return value as SetSpec;
}

function otherFormat(format: unknown): string {
  const made = `was made with format ${JSON.stringify(format) ?? 'unknown'} of feature sets and this version reads format ${SET_FORMAT}`;
  if (typeof format !== 'number') return `${made}; put it back from a copy, or extract again into another cache folder`;
  if (format > SET_FORMAT) return `${made}; use a newer version of Permafrost`;
  return MIGRATIONS.has(format)
    ? `${made}; permafrost cache migrate brings it to that`
    : `${made}; use the version that made it, or extract again into another cache folder`;
}
