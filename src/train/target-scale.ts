import type { Targets } from '../labels/targets.js';
import type { HeadNet } from './head-net.js';
import type { EpochRecord } from './run.js';

/** `(y - mean) / scale` of the targets of a regression, so that every optimizer meets numbers of order one, whatever their unit. */
export interface TargetScale {
  readonly mean: number;
  readonly scale: number;
}

/** @returns mean and standard deviation (of the population) over the training rows, in float64; a scale of 1 where all are the same */
export function fitTargetScale(y: Targets, rows: Uint32Array): TargetScale {
  // Differences from the first, so that a large mean does not swallow a small deviation.
  const origin = y[rows[0] ?? 0] ?? 0;
  let sum = 0;
  let squares = 0;
  for (const row of rows) {
    const difference = (y[row] as number) - origin;
    sum += difference;
    squares += difference * difference;
  }
  const mean = sum / rows.length;
  const deviation = Math.sqrt(Math.max(0, squares / rows.length - mean * mean));
  return { mean: origin + mean, scale: deviation > 0 ? deviation : 1 };
}

/** @returns the targets that are trained on: an initial bias of 0 is the mean */
export const scaledTargets = (y: Targets, { mean, scale }: TargetScale): Float32Array =>
  Float32Array.from(y, (value) => (value - mean) / scale);

/** @returns the net that gives numbers in their own unit: its last layer is multiplied and moved */
export function ownUnit(net: HeadNet, { mean, scale }: TargetScale): HeadNet {
  const layers = [...net.layers];
  const { kernel, bias } = layers.pop() as (typeof layers)[number];
  layers.push({ kernel: kernel.map((weight) => weight * scale), bias: bias.map((one) => one * scale + mean) });
  return { ...net, layers };
}

/** @returns the record with squared errors in their own unit */
export const ownUnitRecord = (record: EpochRecord, { scale }: TargetScale): EpochRecord => ({
  ...record,
  loss: record.loss * scale * scale,
  valLoss: record.valLoss === null ? null : record.valLoss * scale * scale,
});
