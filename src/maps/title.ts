/**
 * The letters of "Feature Maps" as centre lines of strokes, 1,000 units an em, y down from the baseline: a picture must not
 * depend on the fonts of a machine. Widths are those of the letters of DejaVu Sans, matplotlib's font.
 */
const LETTERS: Readonly<Record<string, { readonly advance: number; readonly strokes: string }>> = {
  F: { advance: 575, strokes: 'M147 0V-685H517M147 -385H478' },
  M: { advance: 863, strokes: 'M147 0V-685H165L431 -215L698 -685H716V0' },
  a: {
    advance: 613,
    strokes:
      'M112 -467C160 -492 215 -504 275 -504C400 -504 475 -440 475 -330V0M475 -288H335C180 -288 104 -245 104 -160C104 -82 160 -32 250 -32C390 -32 475 -125 475 -262V-288',
  },
  e: {
    advance: 615,
    strokes:
      'M104 -292H514C514 -420 440 -506 320 -506C190 -506 101 -412 101 -268C101 -122 190 -32 340 -32C405 -32 465 -45 525 -70',
  },
  p: {
    advance: 635,
    strokes:
      'M136 208V-547M136 -273C136 -415 205 -506 325 -506C440 -506 530 -415 530 -273C530 -132 440 -32 325 -32C205 -32 136 -132 136 -273',
  },
  r: { advance: 411, strokes: 'M136 0V-547M136 -280C136 -420 205 -503 320 -503C355 -503 385 -497 411 -486' },
  s: {
    advance: 521,
    strokes:
      'M440 -470C390 -494 335 -506 278 -506C165 -506 102 -464 102 -395C102 -325 160 -306 272 -282C395 -256 455 -226 455 -148C455 -72 385 -32 270 -32C200 -32 130 -46 62 -73',
  },
  t: { advance: 392, strokes: 'M229 -702V-165C229 -70 265 -35 345 -35H368M30 -512H368' },
  u: { advance: 634, strokes: 'M130 -547V-215C130 -95 185 -32 295 -32C420 -32 500 -115 500 -250M500 -547V0' },
};

const SPACE = 318;
const STROKE = 86;

/**
 * @param x its middle, in pixels
 * @param baseline in pixels from above
 * @param size of an em, in pixels
 * @returns "Feature Maps" as an SVG group of paths
 */
export function titlePaths(x: number, baseline: number, size: number): string {
  let width = 0;
  const paths: string[] = [];
  for (const letter of 'Feature Maps') {
    const { advance, strokes } = LETTERS[letter] ?? { advance: SPACE, strokes: '' };
    if (strokes) paths.push(`<path transform="translate(${width} 0)" d="${strokes}"/>`);
    width += advance;
  }
  const scale = size / 1000;
  const left = x - (width * scale) / 2;
  return (
    `<g transform="translate(${left.toFixed(3)} ${baseline}) scale(${scale})" ` +
    `fill="none" stroke="black" stroke-width="${STROKE}" stroke-linejoin="bevel">${paths.join('')}</g>`
  );
}
