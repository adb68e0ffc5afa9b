import sharp from 'sharp';
import { type Colormap, colors } from './colormaps.js';
import { textPaths } from './text.js';

/** The feature maps that a layer gives for one image. */
export interface FeatureMaps {
  /** `[height, width, channels]`, flat, in C order. */
  readonly values: Float32Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** How many maps stand in a picture. */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
}

/** 10 × 6 in at 300 dpi. */
const WIDTH = 3000;
const HEIGHT = 1800;
const DPI = 300;
/** matplotlib's `figure.subplot.*`: where the grid begins and ends in a figure, and the gaps, in axes. */
const FRAME = { left: 0.125, right: 0.9, top: 0.88, bottom: 0.11, gap: 0.2 };
/** The title of 12 points, where `suptitle` puts it. */
const TITLE = { size: 50, baseline: 74, height: 100 };

/**
 * One map as `imshow` shades it: `(v - min) / (max - min)` in float32, then 256 steps.
 * @returns an index into a colormap for each value, `[height, width]`; zeros where all values are the same
 */
export function shades({ values, height, width, channels }: FeatureMaps, channel: number): Uint8Array {
  const size = height * width;
  const map = Float32Array.from({ length: size }, (_, i) => values[i * channels + channel] ?? Number.NaN);
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const value of map) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const range = Math.fround(max - min);
  if (!(range > 0)) return new Uint8Array(size);
  return Uint8Array.from(map, (value) =>
    Math.min(255, Math.floor(Math.fround(Math.fround(value - min) / range) * 256)),
  );
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** @returns where the maps of a grid lie, in whole pixels, row by row: as `plt.subplots` lays axes and `imshow` keeps the aspect */
export function boxes({ rows, columns }: Grid, { height, width }: Pick<FeatureMaps, 'height' | 'width'>): Box[] {
  const cellWidth = (WIDTH * (FRAME.right - FRAME.left)) / (columns + FRAME.gap * (columns - 1));
  const cellHeight = (HEIGHT * (FRAME.top - FRAME.bottom)) / (rows + FRAME.gap * (rows - 1));
  const scale = Math.min(cellWidth / width, cellHeight / height);
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  return Array.from({ length: rows * columns }, (_, i) => {
    const left = WIDTH * FRAME.left + (i % columns) * cellWidth * (1 + FRAME.gap);
    const top = HEIGHT * (1 - FRAME.top) + Math.floor(i / columns) * cellHeight * (1 + FRAME.gap);
    const x = Math.round(left + (cellWidth - size.width) / 2);
    return { x, y: Math.round(top + (cellHeight - size.height) / 2), ...size };
  });
}

/** Every map that is shown, with its box. */
function* placed(maps: FeatureMaps, grid: Grid): Generator<{ readonly box: Box; readonly shade: Uint8Array }> {
  for (const [channel, box] of boxes(grid, maps).entries()) {
    if (channel < maps.channels) yield { box, shade: shades(maps, channel) };
  }
}

/** @returns the picture as raw RGB pixels, `[1800, 3000, 3]`, without its title: each value of a map a block of one colour */
export function mapPixels(maps: FeatureMaps, grid: Grid, colormap: Colormap): Uint8Array {
  const palette = colors(colormap);
  const pixels = new Uint8Array(WIDTH * HEIGHT * 3).fill(255);
  for (const { box, shade } of placed(maps, grid)) {
    for (let y = 0; y < box.height; y++) {
      const row = Math.floor(((y + 0.5) * maps.height) / box.height) * maps.width;
      for (let x = 0; x < box.width; x++) {
        const color = (shade[row + Math.floor(((x + 0.5) * maps.width) / box.width)] ?? 0) * 3;
        pixels.set(palette.subarray(color, color + 3), ((box.y + y) * WIDTH + box.x + x) * 3);
      }
    }
  }
  return pixels;
}

const svg = (width: string, height: string, viewHeight: number, inside: string): Buffer =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${WIDTH} ${viewHeight}">${inside}</svg>\n`,
  );

const title = (): string =>
  textPaths('Feature Maps', WIDTH / 2, TITLE.baseline, { size: TITLE.size, anchor: 'middle' });

/** @returns the picture as PNG, 3000 × 1800 pixels */
export function mapPng(maps: FeatureMaps, grid: Grid, colormap: Colormap): Promise<Buffer> {
  return sharp(mapPixels(maps, grid, colormap), { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
    .composite([{ input: svg(`${WIDTH}`, `${TITLE.height}`, TITLE.height, title()), left: 0, top: 0 }])
    .removeAlpha()
    .withDensity(DPI)
    .png()
    .toBuffer();
}

/** @returns the picture as SVG of 10 × 6 in, each map an image of its own size in it */
export async function mapSvg(maps: FeatureMaps, grid: Grid, colormap: Colormap): Promise<Buffer> {
  const palette = colors(colormap);
  const parts = ['<rect width="100%" height="100%" fill="white"/>', title()];
  for (const { box, shade } of placed(maps, grid)) {
    const rgb = Uint8Array.from({ length: shade.length * 3 }, (_, i) => {
      return palette[(shade[Math.floor(i / 3)] ?? 0) * 3 + (i % 3)] ?? 0;
    });
    const raw = { width: maps.width, height: maps.height, channels: 3 } as const;
    const png = await sharp(rgb, { raw }).png().toBuffer();
    parts.push(
      `<image x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}" preserveAspectRatio="none" ` +
        `style="image-rendering:pixelated" href="data:image/png;base64,${png.toString('base64')}"/>`,
    );
  }
  return svg('10in', '6in', HEIGHT, parts.join('\n'));
}
