import { canonicalJson, type Json, sha256Hex } from '../canonical.js';

type Fields = Readonly<Record<string, Json>>;

/** @returns canonical JSON of the fields and of the SHA-256 of their own canonical JSON, so that any changed byte is noticed */
export const seal = (fields: Fields): string => canonicalJson({ ...fields, sha256: sha256Hex(canonicalJson(fields)) });

/** @returns the fields that `seal` made a text of; null where any byte is another, or it was never sealed */
export function unseal(text: string): Fields | null {
  try {
    const { sha256, ...fields } = JSON.parse(text) as Record<string, Json>;
    return seal(fields) === text && typeof sha256 === 'string' ? fields : null;
  } catch {
    return null;
  }
}
