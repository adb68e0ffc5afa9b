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
import { type FeatureMaps, type Grid, gridFor, isDead, mapPng, mapSvg, strongest } from '../maps/picture.js';
import { checkOptions } from '../options/check.js';
import { MapRunner, unpooled } from './feature-maps.js';

export interface MapsOptions extends Omit<BaseOptions, 'pooling' | 'store'>, EngineOptions, OpenHooks {
  /** The image file. */
  readonly path: string;
  /** The picture: PNG (3000 × 1800 pixels) or SVG, by its suffix. Default `maps.png`. */
  readonly out?: string;
  /** Default 4 rows of 8; where there are fewer maps, the grid in which they are largest. */
  readonly grid?: Grid;
  /** Show so many maps, those of the greatest mean activation, the greatest first, each with its number. Default: the first ones. */
  readonly strongest?: number;
  /** Show what the base saw beside its maps. Default false. */
  readonly photo?: boolean;
  /** Default `gray`. */
  readonly colormap?: Colormap;
  /** Is told what is being done. */
  readonly onStep?: (what: string) => void;
}

export interface MapsResult {
  /** Absolute. */
  readonly out: string;
  /** Of the layer's output. */
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** How many of the channels the picture shows. */
  readonly shown: number;
  /** Which, in the order of the picture, from 0. */
  readonly shownChannels: readonly number[];
  /** Those of them that have one value everywhere: they are framed. */
  readonly dead: readonly number[];
}

/** Maps that are shown where nothing is said: 4 rows of 8. */
const USUAL_COUNT = 32;

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

async function featureMaps(base: Base, options: MapsOptions, pixels: Pixels): Promise<FeatureMaps> {
  options.onStep?.(`preparing ${base.name}`);
  const runner = await MapRunner.open(base, await openEngine(options), options);
  try {
    options.onStep?.(`computing the feature maps of ${path.basename(options.path)}`);
    return await runner.run(pixels, options.path);
  } finally {
    await runner.release();
  }
}

/** What is under the title. */
function caption(base: Base, options: MapsOptions, maps: FeatureMaps, shown: readonly number[], dead: number): string {
  const { height, width, channels } = maps;
  const which =
    options.strongest === undefined
      ? `channels 0 to ${shown.length - 1} of ${channels}`
      : `the ${shown.length === 1 ? '' : `${shown.length} `}strongest of ${channels} channels`;
  const layer = options.layer === undefined ? base.name : `${options.layer} of ${base.name}`;
  const framed = dead === 0 ? [] : [`${dead} dead (framed)`];
  return [layer, path.basename(options.path), `${height}×${width}`, which, ...framed].join(', ');
}

/**
 * Draws feature maps that a base gives for one image in a grid titled "Feature Maps", as `plt.subplots(4, 8, figsize=(10, 6))` and `imshow`
 * of each map do: every map scaled to its own least and greatest value. Under the title stand the layer, the file, the size of a map and
 * which channels are shown. Where a given grid has more places than the layer has maps, the rest stays empty.
 * @returns what was drawn, once the file is in place
 * @throws as `openBase`; UsageError for options out of range; ModelError for a layer that gives a vector; DataError for an image
 *   that is not there or cannot be used; EngineError where the engine computes something else; FileError where the picture cannot be
 *   written, before the image is opened
 */
export async function maps(options: MapsOptions): Promise<MapsResult> {
  checkOptions('maps', options);
  const { colormap = 'gray', photo = false } = options;
  const out = path.resolve(options.out ?? 'maps.png');
  const write = writerOf(out);
  await tryOutput(out);
  options.onStep?.(`reading ${options.base}`);
  const base = mapsOf(await openBase(options, options), options.layer ?? options.base);
  const pixels = await decoded(options, base);
  const found = await featureMaps(base, options, pixels);
  options.onStep?.(`drawing ${path.basename(out)}`);
  const { height, width, channels } = found;
  const wanted = Math.min(channels, options.strongest ?? (options.grid ? channels : USUAL_COUNT));
  const grid = options.grid ?? gridFor(wanted, found, photo);
  const order = options.strongest === undefined ? [...Array(wanted).keys()] : strongest(found, wanted);
  const shownChannels = order.slice(0, grid.rows * grid.columns);
  const dead = shownChannels.filter((channel) => isDead(found, channel));
  const picture = await write(found, grid, colormap, {
    chosen: shownChannels,
    numbered: options.strongest !== undefined,
    line: caption(base, options, found, shownChannels, dead.length),
    ...(photo ? { photo: { ...base.spec.input, pixels } } : {}),
  });
  await writeOutput(out, [picture]);
  return { out, height, width, channels, shown: shownChannels.length, shownChannels, dead };
}
