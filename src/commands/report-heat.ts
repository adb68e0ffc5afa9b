import sharp from 'sharp';
import { EngineError, HeadError } from '../errors.js';
import type { Activation } from '../explain/activation.js';
import { heatPixels } from '../explain/heat.js';
import type { HeadInfo } from '../heads/head-info.js';
import type { Answers } from '../heads/judge.js';
import type { OnData, ReportImage } from '../report/model.js';
import { type Said, saidBy } from '../report/rows.js';
import { imageAddress } from '../sources/index.js';
import { type ExplainerOptions, openExplainer } from './explainer.js';
import { findHead } from './predict.js';

/** Of a thumbnail's sides, which a page draws it over: it is smooth. */
const SHARE = 0.5;
/** Of the brightest place, 0 to 255; where the map is lowest the photo is clear. */
const OPAQUE = 180;

/** @returns a map as colours to lie over a picture of this size, WebP with transparency */
async function overlay(map: Activation, size: { width: number; height: number }): Promise<Uint8Array> {
  const [width, height] = [Math.ceil(size.width * SHARE), Math.ceil(size.height * SHARE)];
  const pixels = heatPixels(map, height, width, 'magma', (shade) => Math.round((shade / 255) ** 1.5 * OPAQUE));
  return sharp(pixels, { raw: { width, height, channels: 4 } })
    .webp({ quality: 60, alphaQuality: 60 })
    .toBuffer();
}

/** Whose map is shown: what the head says; of several labels the one that it has most wrong. */
function classOf({ task, classes, scores, y }: Answers, said: Said, row: number): number {
  if (task === 'regression') return 0;
  if (task !== 'multilabel') return said.classes[row] as number;
  const off = Array.from({ length: classes }, (_, k) => {
    const at = row * classes + k;
    return (said.labels[at] === y[at] ? 0 : 1) + Math.abs((scores[at] as number) - (y[at] as number));
  });
  return off.indexOf(Math.max(...off));
}

/**
 * Where a head finds what it says of the images that are shown first.
 * @returns pictures to lie over their thumbnails, by row; or why there are none, in a sentence
 */
export async function heatOf(
  dir: string,
  data: string,
  options: ExplainerOptions,
  { info, onData }: { readonly info: HeadInfo; readonly onData: OnData },
  images: readonly ReportImage[],
  thumbnails: ReadonlyMap<string, Uint8Array>,
): Promise<ReadonlyMap<number, Uint8Array> | string> {
  const rows = new Map<string, number>();
  for (const row of [...onData.mistakes, ...onData.uncertain]) {
    const { path: file, sha256 } = images[onData.places[row] as number] as ReportImage;
    if (file !== '' && thumbnails.has(sha256) && !rows.has(sha256)) rows.set(sha256, row);
  }
  const heat = new Map<number, Uint8Array>();
  const said = saidBy(onData.answers, info.threshold);
  if (rows.size === 0) return heat;
  const files = [...rows.values()].map((row) => imageAddress(data, images[onData.places[row] as number]?.path ?? ''));
  try {
    const explainer = await openExplainer(await findHead(dir, options.cache), options);
    try {
      for await (const image of explainer.explained(files)) {
        if (image.error !== undefined) continue;
        const [row, picture] = [rows.get(image.sha256), thumbnails.get(image.sha256)];
        if (row === undefined || picture === undefined) continue;
        const { width, height } = await sharp(picture).metadata();
        heat.set(row, await overlay(image.activation(classOf(onData.answers, said, row)), { width, height }));
      }
    } finally {
      await explainer.close();
    }
  } catch (error) {
    if (error instanceof HeadError || error instanceof EngineError) return error.message;
    throw error;
  }
  return heat;
}
