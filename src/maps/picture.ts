import sharp from 'sharp';
import { type Colormap, colors } from './colormaps.js';
import { fitted, textPaths } from './text.js';

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

/** What stands in a picture beside the first maps and the title. */
export interface Extras {
  /** Channels in the order in which they are shown. Default: as they come. */
  readonly chosen?: readonly number[];
  /** Whether each map bears its channel's number. Default false. */
  readonly numbered?: boolean;
  /** A line under the title. */
  readonly line?: string;
  /** What the base saw, `[height, width, channels]`, flat, 0 to 255: left of the maps. */
  readonly photo?: Photo;
}

export interface Photo {
  readonly pixels: Uint8Array | Float32Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** 10 × 6 in at 300 dpi. */
const WIDTH = 3000;
const HEIGHT = 1800;
const DPI = 300;
/** matplotlib's `figure.subplot.*`: where the grid begins and ends in a figure, and the gaps, in axes. */
const FRAME = { left: 0.125, right: 0.9, top: 0.88, bottom: 0.11, gap: 0.2 };
/** Where the grid begins and ends beside a photo, and that. */
const BESIDE = { ...FRAME, left: 0.355, right: 0.97 };
const PHOTO = { left: 0.03, right: 0.325 };
/** The title of 12 points, where `suptitle` puts it. */
const TITLE = { size: 50, baseline: 74 };
const LINE = { size: 32, baseline: 138, color: '#4a4a4a' };
/** In the gap above a map; where that is too small for it, none. */
const NUMBER = { size: 30, ofGap: 0.62, least: 10 };
/** Around a dead map, not over it: its one value stays to be seen. */
const DEAD = { color: '#b3402a', width: 5, away: 8, dashes: '18 12' };
/** Of the seed's picture, which shows no more unless it is asked to. */
const USUAL: Grid = { rows: 4, columns: 8 };
const MOST = 64;

const mapOf = ({ values, height, width, channels }: FeatureMaps, channel: number): Float32Array =>
  Float32Array.from({ length: height * width }, (_, i) => values[i * channels + channel] ?? Number.NaN);

/** @returns whether a map has one value everywhere: the image says nothing to that channel */
export const isDead = (maps: FeatureMaps, channel: number): boolean => {
  const map = mapOf(maps, channel);
  return map.every((value) => value === map[0]);
};

/** @returns the channels of the greatest mean activation, the greatest first; equal ones in order */
export function strongest(maps: FeatureMaps, count: number): number[] {
  const means = Array.from({ length: maps.channels }, (_, channel) => {
    const map = mapOf(maps, channel);
    return map.reduce((sum, value) => sum + value, 0) / map.length;
  });
  return [...means.keys()].sort((a, b) => (means[b] ?? 0) - (means[a] ?? 0) || a - b).slice(0, count);
}

/**
 * One map as `imshow` shades it: `(v - min) / (max - min)` in float32, then 256 steps.
 * @returns an index into a colormap for each value, `[height, width]`; zeros where all values are the same
 */
export function shades(maps: FeatureMaps, channel: number): Uint8Array {
  const map = mapOf(maps, channel);
  const size = map.length;
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

const cells = ({ rows, columns }: Grid, frame: typeof FRAME) => ({
  cellWidth: (WIDTH * (frame.right - frame.left)) / (columns + frame.gap * (columns - 1)),
  cellHeight: (HEIGHT * (frame.top - frame.bottom)) / (rows + frame.gap * (rows - 1)),
});

/** @returns the grid in which so many maps are largest, of those with the fewest empty places; from 32 on as many as it usually has */
export function gridFor(count: number, maps: Pick<FeatureMaps, 'height' | 'width'>, isBesidePhoto = false): Grid {
  const frame = isBesidePhoto ? BESIDE : FRAME;
  let best = { grid: USUAL, scale: 0 };
  for (let rows = 1; rows <= Math.min(count, MOST); rows++) {
    const grid = { rows, columns: Math.min(MOST, Math.ceil(count / rows)) };
    const { cellWidth, cellHeight } = cells(grid, frame);
    const scale = Math.min(cellWidth / maps.width, cellHeight / maps.height);
    const places = (one: Grid): number => one.rows * one.columns;
    if (scale > best.scale || (scale === best.scale && places(grid) < places(best.grid))) best = { grid, scale };
  }
  return best.grid;
}

/** @returns where the maps of a grid lie, in whole pixels, row by row: as `plt.subplots` lays axes and `imshow` keeps the aspect */
export function boxes(
  { rows, columns }: Grid,
  { height, width }: Pick<FeatureMaps, 'height' | 'width'>,
  frame: typeof FRAME = FRAME,
): Box[] {
  const { cellWidth, cellHeight } = cells({ rows, columns }, frame);
  const scale = Math.min(cellWidth / width, cellHeight / height);
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  return Array.from({ length: rows * columns }, (_, i) => {
    const left = WIDTH * frame.left + (i % columns) * cellWidth * (1 + frame.gap);
    const top = HEIGHT * (1 - frame.top) + Math.floor(i / columns) * cellHeight * (1 + frame.gap);
    const x = Math.round(left + (cellWidth - size.width) / 2);
    return { x, y: Math.round(top + (cellHeight - size.height) / 2), ...size };
  });
}

interface PlacedMap {
  readonly channel: number;
  readonly box: Box;
  readonly shade: Uint8Array;
}

/** Every map that is shown, with its box. */
function* placed(maps: FeatureMaps, grid: Grid, { chosen, photo }: Extras): Generator<PlacedMap> {
  for (const [i, box] of boxes(grid, maps, photo ? BESIDE : FRAME).entries()) {
    const channel = chosen ? chosen[i] : i;
    if (channel !== undefined && channel < maps.channels) yield { channel, box, shade: shades(maps, channel) };
  }
}

/** Where a photo lies: in its aspect, in the middle of the room left of the maps. */
function photoBox({ height, width }: Photo): Box {
  const room = { width: WIDTH * (PHOTO.right - PHOTO.left), height: HEIGHT * (FRAME.top - FRAME.bottom) };
  const scale = Math.min(room.width / width, room.height / height);
  const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
  const y = Math.round(HEIGHT * (1 - FRAME.top) + (room.height - size.height) / 2);
  return { x: Math.round(WIDTH * PHOTO.left + (room.width - size.width) / 2), y, ...size };
}

const rgbOf = ({ pixels, height, width, channels }: Photo): Uint8Array =>
  Uint8Array.from({ length: height * width * 3 }, (_, i) =>
    Math.round(pixels[channels === 3 ? i : Math.floor(i / 3)] ?? 0),
  );

/** @returns `[height, width, 3]` as a block of the picture, each pixel of it a rectangle of whole ones */
function paint(picture: Uint8Array, box: Box, rgb: Uint8Array, height: number, width: number): void {
  for (let y = 0; y < box.height; y++) {
    const row = Math.floor(((y + 0.5) * height) / box.height) * width;
    for (let x = 0; x < box.width; x++) {
      const from = (row + Math.floor(((x + 0.5) * width) / box.width)) * 3;
      picture.set(rgb.subarray(from, from + 3), ((box.y + y) * WIDTH + box.x + x) * 3);
    }
  }
}

const coloured = (shade: Uint8Array, palette: Uint8Array): Uint8Array =>
  Uint8Array.from({ length: shade.length * 3 }, (_, i) => palette[(shade[Math.floor(i / 3)] ?? 0) * 3 + (i % 3)] ?? 0);

/** @returns the picture as raw RGB pixels, `[1800, 3000, 3]`, without its words: each value of a map a block of one colour */
export function mapPixels(maps: FeatureMaps, grid: Grid, colormap: Colormap, extras: Extras = {}): Uint8Array {
  const palette = colors(colormap);
  const picture = new Uint8Array(WIDTH * HEIGHT * 3).fill(255);
  const { photo } = extras;
  if (photo) paint(picture, photoBox(photo), rgbOf(photo), photo.height, photo.width);
  for (const { box, shade } of placed(maps, grid, extras)) {
    paint(picture, box, coloured(shade, palette), maps.height, maps.width);
  }
  return picture;
}

const svg = (width: string, height: string, viewHeight: number, inside: string): Buffer =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${WIDTH} ${viewHeight}">${inside}</svg>\n`,
  );

/** The title, the line under it, the numbers of maps, and frames around those that are dead. */
function words(maps: FeatureMaps, grid: Grid, extras: Extras): string {
  const { line, numbered = false } = extras;
  const middle = { anchor: 'middle' } as const;
  const parts = [textPaths('Feature Maps', WIDTH / 2, TITLE.baseline, { ...middle, size: TITLE.size })];
  if (line !== undefined) {
    const { size, baseline, color } = LINE;
    parts.push(textPaths(fitted(line, size, WIDTH * 0.94), WIDTH / 2, baseline, { ...middle, size, color }));
  }
  const gap = cells(grid, FRAME).cellHeight * FRAME.gap;
  const size = Math.min(NUMBER.size, gap * NUMBER.ofGap);
  for (const { channel, box } of placed(maps, grid, extras)) {
    const { x, y, width, height } = box;
    if (numbered && size >= NUMBER.least) {
      parts.push(textPaths(`${channel}`, x + width / 2, y - size * 0.3, { ...middle, size }));
    }
    if (!isDead(maps, channel)) continue;
    const place = `x="${x - DEAD.away}" y="${y - DEAD.away}" width="${width + 2 * DEAD.away}" height="${height + 2 * DEAD.away}"`;
    parts.push(
      `<rect ${place} fill="none" stroke="${DEAD.color}" stroke-width="${DEAD.width}" stroke-dasharray="${DEAD.dashes}"/>`,
    );
  }
  return parts.join('\n');
}

/** @returns the picture as PNG, 3000 × 1800 pixels */
export function mapPng(maps: FeatureMaps, grid: Grid, colormap: Colormap, extras: Extras = {}): Promise<Buffer> {
  return sharp(mapPixels(maps, grid, colormap, extras), { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
    .composite([{ input: svg(`${WIDTH}`, `${HEIGHT}`, HEIGHT, words(maps, grid, extras)), left: 0, top: 0 }])
    .removeAlpha()
    .withDensity(DPI)
    .png()
    .toBuffer();
}

/** @returns the picture as SVG of 10 × 6 in, each map an image of its own size in it */
export async function mapSvg(maps: FeatureMaps, grid: Grid, colormap: Colormap, extras: Extras = {}): Promise<Buffer> {
  const palette = colors(colormap);
  const image = async (rgb: Uint8Array, { height, width }: Pick<FeatureMaps, 'height' | 'width'>, box: Box) => {
    const png = await sharp(rgb, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    return (
      `<image x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}" preserveAspectRatio="none" ` +
      `style="image-rendering:pixelated" href="data:image/png;base64,${png.toString('base64')}"/>`
    );
  };
  const parts = ['<rect width="100%" height="100%" fill="white"/>'];
  const { photo } = extras;
  if (photo) parts.push(await image(rgbOf(photo), photo, photoBox(photo)));
  for (const { box, shade } of placed(maps, grid, extras)) parts.push(await image(coloured(shade, palette), maps, box));
  parts.push(words(maps, grid, extras));
  return svg('10in', '6in', HEIGHT, parts.join('\n'));
}
