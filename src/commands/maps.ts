import { stat } from 'node:fs/promises';
import path from 'node:path';
import { type Base, type BaseOptions, type OpenHooks, openBase } from '../base/index.js';
import type { EngineOptions } from '../engine/engine.js';
import { openEngine } from '../engine/index.js';
import { DataError, ModelError, UsageError } from '../errors.js';
import { imageBatches } from '../extract/batches.js';
import type { Pixels } from '../extract/vectors.js';
import { tryOutput, writeOutput } from '../files/index.js';
import type { Colormap } from '../maps/colormaps.js';
import { type FeatureMaps, type Grid, mapPng, mapSvg } from '../maps/picture.js';
import { checkOptions } from '../options/check.js';
import { MapRunner, unpooled } from './feature-maps.js';

export interface MapsOptions extends BaseOptions, EngineOptions, OpenHooks {
  /** The image file. */
  readonly path: string;
  /** The picture: PNG (3000 × 1800 pixels) or SVG, by its suffix. Default `maps.png`. */
  readonly out?: string;
  /** Default 4 rows of 8. */
  readonly grid?: Grid;
  /** Default `gray`. */
  readonly colormap?: Colormap;
}

export interface MapsResult {
  /** Absolute. */
  readonly out: string;
  /** Of the layer's output. */
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** How many of the channels the picture shows: the first ones. */
  readonly shown: number;
}

const WRITERS = { '.png': mapPng, '.svg': mapSvg };

function writerOf(out: string): typeof mapPng {
  const writer = (WRITERS as Partial<Record<string, typeof mapPng>>)[path.extname(out).toLowerCase()];
  if (!writer) throw new UsageError(`a picture of feature maps is .png or .svg: ${out} ends in neither`);
  return writer;
}

/** The base without its pooling. */
function mapsOf(base: Base, where: string): Base {
  const found = unpooled(base);
  if (found !== null) return found;
  throw new ModelError(
    `${where} gives a vector of ${base.spec.features} values, which has no feature maps: ` +
      'name a layer before it that gives some with --layer',
  );
}

async function decoded(options: MapsOptions, { spec }: Base): Promise<Pixels> {
  const file = options.path;
  const isFolder = await stat(file).then(
    (found) => found.isDirectory(),
    () => false, // told of below, with the reason
  );
  if (isFolder) throw new DataError(`${file} is a folder: give one image file`);
  const stop = options.signal ? { signal: options.signal } : {};
  for await (const [image] of imageBatches([file], [spec], { ...stop, batchSize: 1 })) {
    if (image?.error !== undefined) throw new DataError(`${file} cannot be used: ${image.error}`);
    if (image?.pixels[0]) return image.pixels[0];
  }
  throw new DataError(`${file} is no image: give an image file`);
}

async function featureMaps(base: Base, options: MapsOptions): Promise<FeatureMaps> {
  const pixels = await decoded(options, base);
  const runner = await MapRunner.open(base, await openEngine(options), options);
  try {
    return await runner.run(pixels, options.path);
  } finally {
    await runner.release();
  }
}

/**
 * Draws the first feature maps that a base gives for one image in a grid titled "Feature Maps", as
 * `plt.subplots(4, 8, figsize=(10, 6))` and `imshow` of each map do: every map scaled to its own least and greatest value. Where
 * the layer has fewer maps than the grid has places, the rest stays empty.
 * @returns what was drawn, once the file is in place
 * @throws as `openBase`; UsageError for options out of range; ModelError for a layer that gives a vector; DataError for an image
 *   that is not there or cannot be used; FileError where the picture cannot be written, before the image is opened
 */
export async function maps(options: MapsOptions): Promise<MapsResult> {
  checkOptions('maps', options);
  const { grid = { rows: 4, columns: 8 }, colormap = 'gray' } = options;
  const out = path.resolve(options.out ?? 'maps.png');
  const write = writerOf(out);
  await tryOutput(out);
  const found = await featureMaps(mapsOf(await openBase(options, options), options.layer ?? options.base), options);
  const picture = await write(found, grid, colormap);
  await writeOutput(out, [picture]);
  const { height, width, channels } = found;
  return { out, height, width, channels, shown: Math.min(channels, grid.rows * grid.columns) };
}
