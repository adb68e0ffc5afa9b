import { isUtf8 } from 'node:buffer';

const escaped = (code: number): string => `\\x${code.toString(16).padStart(2, '0')}`;

/** @returns a text that moves no cursor: names of files may hold anything, also what a terminal obeys */
export const plain = (text: string): string => text.replace(/\p{Cc}/gu, (c) => escaped(c.charCodeAt(0)));

/**
 * @returns the name of a file as text: one that is no UTF-8, as Unix allows, with `\xff` for each byte that does not belong, and its
 *   backslashes doubled, so that no two such names are one
 */
export function nameOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  let name = '';
  for (let at = 0; at < bytes.length; ) {
    const size = [1, 2, 3, 4].find((n) => at + n <= bytes.length && isUtf8(bytes.subarray(at, at + n)));
    const letter = bytes.toString('utf8', at, at + (size ?? 0));
    name += size === undefined ? escaped(bytes[at] as number) : letter === '\\' ? '\\\\' : letter;
    at += size ?? 1;
  }
  return name;
}
