import { type Colormap, colors } from '../maps/colormaps.js';
import type { Activation, Spacing } from './activation.js';

/** The least and the greatest value of a map: the ends of its colours. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** @returns the ends of a map's values */
export const rangeOf = ({ values }: Pick<Activation, 'values'>): Range =>
  values.reduce<Range>(({ min, max }, value) => ({ min: Math.min(min, value), max: Math.max(max, value) }), {
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
  });

/**
 * @returns the map as a picture of any size, `[height, width]`: bilinear between the middles of what its positions see, as at them
 *   beyond the last
 */
export function enlarged(map: Activation, height: number, width: number): Float64Array {
  const along = (
    size: number,
    from: number,
    { first, step }: Spacing,
  ): { low: number; high: number; share: number }[] =>
    Array.from({ length: size }, (_, i) => {
      const at = Math.min(from - 1, Math.max(0, ((i + 0.5) / size - first) / step));
      const low = Math.floor(at);
      return { low, high: Math.min(from - 1, low + 1), share: at - low };
    });
  const rows = along(height, map.height, map.rows);
  const columns = along(width, map.width, map.columns);
  const value = (y: number, x: number): number => map.values[y * map.width + x] as number;
  const result = new Float64Array(height * width);
  for (const [y, row] of rows.entries()) {
    for (const [x, column] of columns.entries()) {
      const above = value(row.low, column.low) * (1 - column.share) + value(row.low, column.high) * column.share;
      const below = value(row.high, column.low) * (1 - column.share) + value(row.high, column.high) * column.share;
      result[y * width + x] = above * (1 - row.share) + below * row.share;
    }
  }
  return result;
}

/** @returns an index from 0 to 255 into a colormap for each value; the middle where all values are the same */
export const shadesOf = (values: Float64Array, { min, max }: Range): Uint8Array =>
  Uint8Array.from(values, (value) =>
    max > min ? Math.min(255, Math.max(0, Math.floor(((value - min) / (max - min)) * 256))) : 128,
  );

/** How much of a colour lies over the photo, 0 to 255: little where the map is low, so that what is there can be seen. */
export const opacity = (shade: number): number => Math.round(255 * (0.25 + (0.5 * shade) / 255));

/**
 * @param over how much of a colour lies over the photo, 0 to 255, by its shade
 * @returns the map as colours to lie over the photo, RGBA, `[height, width, 4]`
 */
export function heatPixels(
  map: Activation,
  height: number,
  width: number,
  colormap: Colormap,
  over: (shade: number) => number = opacity,
): Uint8Array {
  const palette = colors(colormap);
  const shades = shadesOf(enlarged(map, height, width), rangeOf(map));
  const pixels = new Uint8Array(shades.length * 4);
  for (const [i, shade] of shades.entries()) {
    pixels.set(palette.subarray(shade * 3, shade * 3 + 3), i * 4);
    pixels[i * 4 + 3] = over(shade);
  }
  return pixels;
}
