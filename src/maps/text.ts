import { ACCENTS, LETTERS, UNKNOWN } from './letters.js';

const STROKE = 86;
/** Accents lie so much higher on capitals. */
const RAISED = 170;
const TALL = /[\p{Lu}bdfhklt]/u;
/** Below the letter, whatever its height. */
const BELOW = /[\u0326-\u0328]/;

interface Placed {
  readonly strokes: string;
  readonly x: number;
  readonly y: number;
}

/** @returns each stroke group of a text with its place, and the text's width, 1,000 units an em */
function placed(text: string): { readonly parts: Placed[]; readonly width: number } {
  const parts: Placed[] = [];
  let width = 0;
  let last = { x: 0, y: 0 };
  const letters = Array.from(text.normalize('NFD'));
  for (const [i, letter] of letters.entries()) {
    const accent = ACCENTS.get(letter);
    if (accent !== undefined && i > 0) {
      parts.push({ strokes: accent, x: last.x, y: BELOW.test(letter) ? 0 : last.y });
      continue;
    }
    if (/\p{M}/u.test(letter)) continue; // an accent that is not drawn here leaves its letter readable
    const isDotless = letter === 'i' && ACCENTS.has(letters[i + 1] ?? '');
    const { advance, strokes } = LETTERS.get(isDotless ? 'ı' : letter) ?? UNKNOWN;
    if (strokes !== '') parts.push({ strokes, x: width, y: 0 });
    last = { x: width + advance / 2, y: TALL.test(letter) ? -RAISED : 0 };
    width += advance;
  }
  return { parts, width };
}

/** @returns the width of a line of text, in pixels. @param size of an em, in pixels */
export const textWidth = (text: string, size: number): number => (placed(text).width * size) / 1000;

/** @returns the text, or as much of its beginning and end as fits into a width, with … between */
export function fitted(text: string, size: number, width: number): string {
  if (textWidth(text, size) <= width) return text;
  const letters = Array.from(text);
  for (let kept = letters.length - 1; kept > 0; kept--) {
    const end = Math.floor(kept / 2);
    const short = `${letters.slice(0, kept - end).join('')}…${end === 0 ? '' : letters.slice(-end).join('')}`;
    if (textWidth(short, size) <= width) return short;
  }
  return '…';
}

export interface TextStyle {
  /** Of an em, in pixels. */
  readonly size: number;
  /** Where x is. Default `start`. */
  readonly anchor?: 'start' | 'middle' | 'end';
  /** Default black. */
  readonly color?: string;
}

/**
 * A line of text as strokes: a picture must not depend on the fonts of a machine. Latin letters, digits and signs are drawn; any
 * other letter is a box.
 * @param baseline in pixels from above
 * @returns an SVG group of paths
 */
export function textPaths(text: string, x: number, baseline: number, style: TextStyle): string {
  const { size, anchor = 'start', color = 'black' } = style;
  const { parts, width } = placed(text);
  const scale = size / 1000;
  const share = anchor === 'start' ? 0 : anchor === 'middle' ? 1 / 2 : 1;
  const left = x - width * scale * share;
  const paths = parts.map(({ strokes, x, y }) => `<path transform="translate(${x} ${y})" d="${strokes}"/>`);
  return (
    `<g transform="translate(${left.toFixed(3)} ${baseline}) scale(${scale})" ` +
    `fill="none" stroke="${color}" stroke-width="${STROKE}" stroke-linejoin="bevel">${paths.join('')}</g>`
  );
}
