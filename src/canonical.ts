import { createHash } from 'node:crypto';

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Deeper values are refused, so that a hostile file cannot exhaust the stack. */
const MAX_DEPTH = 64;

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00;

/** Orders strings by code point; JavaScript's own order is by UTF-16 unit, which puts U+1F600 before U+FF21. */
export function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a.charCodeAt(i) - b.charCodeAt(i);
    if (difference === 0) continue;
    const at = i > 0 && isHigh(a.charCodeAt(i - 1)) ? i - 1 : i;
    return (a.codePointAt(at) as number) - (b.codePointAt(at) as number) || difference;
  }
  return a.length - b.length;
}

/**
 * The one text of a JSON value: keys sorted by code point, no spaces, numbers as ECMAScript writes them (RFC 8785 but for the
 * order of keys).
 * @throws TypeError for what JSON cannot hold (NaN, infinities, undefined, functions) and for values nested deeper than 64
 */
export function canonicalJson(value: Json, depth = 0): string {
  if (depth > MAX_DEPTH) throw new TypeError(`a canonical JSON value nests at most ${MAX_DEPTH} deep`);
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`canonical JSON holds finite numbers only, found ${value}`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonicalJson(item, depth + 1)).join(',')}]`;
  if (typeof value !== 'object') throw new TypeError(`canonical JSON cannot hold ${typeof value}`);
  const members = Object.entries(value as { readonly [key: string]: Json })
    .sort(([a], [b]) => byCodePoint(a, b))
    .map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item, depth + 1)}`);
  return `{${members.join(',')}}`;
}

/** @returns the SHA-256 of bytes, or of a text as UTF-8, in 64 lower-case hexadecimal digits */
export function sha256Hex(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}
