import type { FeatureMaps } from '../maps/picture.js';
import { SHORTEST } from '../train/head-model.js';
import type { HeadNet } from '../train/head-net.js';

/** Where the middles of positions lie along one side of an image, as shares of the side: of the first, and from one to the next. */
export interface Spacing {
  readonly first: number;
  readonly step: number;
}

/** @returns of `count` positions side by side that share the side evenly */
export const even = (count: number): Spacing => ({ first: 0.5 / count, step: 1 / count });

/**
 * Where in an image a head finds one of its answers: the class activation map of Zhou et al., "Learning Deep Features for
 * Discriminative Localization" (2016). Average pooling and a linear head may change places, so it is exact: the mean of `values` and
 * `bias` add up to the logit.
 */
export interface Activation {
  readonly height: number;
  readonly width: number;
  /** `[height, width]`, flat: the head's weights times the feature maps at each position. */
  readonly values: Float64Array;
  readonly bias: number;
  readonly rows: Spacing;
  readonly columns: Spacing;
}

/** @returns the mean over all positions */
export const meanOf = ({ values }: Pick<Activation, 'values'>): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** @returns what goes into the head's last function: `mean + bias` */
export const logitOf = (activation: Activation): number => meanOf(activation) + activation.bias;

/** @returns the mean of each channel, as global average pooling gives it, `[channels]` */
export function averaged({ values, height, width, channels }: FeatureMaps): Float64Array {
  const sums = new Float64Array(channels);
  for (let at = 0; at < values.length; at += channels) {
    for (let c = 0; c < channels; c++) sums[c] = (sums[c] as number) + (values[at + c] as number);
  }
  return sums.map((sum) => sum / (height * width));
}

/** What an answer is measured on. */
export interface Seen {
  /** Of each base, in the order in which their vectors are joined. */
  readonly maps: readonly FeatureMaps[];
  /** As the head gets it, `[d]`: the means of the maps, as they are stored. */
  readonly vector: Float32Array;
  /** `[rows, columns]` of the maps of the only base. Default: even. */
  readonly spacing?: readonly [Spacing, Spacing] | null;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
const commonMultiple = (sizes: readonly number[]): number => sizes.reduce((a, b) => (a / gcd(a, b)) * b, 1);

/**
 * @param net linear: one layer
 * @param unit which of its units
 * @param sign -1 for the class that a binary head's one unit speaks against
 * @returns its map; of several bases on the least even grid that each of theirs divides, so that the mean stays exact
 */
export function activationOf(
  net: HeadNet,
  { maps, vector, spacing }: Seen,
  unit: number,
  sign: 1 | -1 = 1,
): Activation {
  const [layer] = net.layers;
  if (layer === undefined || net.layers.length !== 1) throw new TypeError('an activation map is of a linear head');
  const weights = layer.kernel.subarray(unit * net.d, (unit + 1) * net.d);
  const length = net.normalize ? Math.sqrt(vector.reduce((sum, one) => sum + one * one, 0)) : 1;
  const factor = sign / Math.max(length, SHORTEST);
  const height = commonMultiple(maps.map((one) => one.height));
  const width = commonMultiple(maps.map((one) => one.width));
  const values = new Float64Array(height * width);
  let first = 0;
  for (const one of maps) {
    const means = averaged(one);
    // What the stored vector was rounded by belongs to no position: every one gets the same of it.
    let rounded = 0;
    for (let c = 0; c < one.channels; c++) {
      rounded += (weights[first + c] as number) * ((vector[first + c] as number) - (means[c] as number));
    }
    const grid = new Float64Array(one.height * one.width);
    for (let p = 0; p < grid.length; p++) {
      let sum = rounded;
      for (let c = 0; c < one.channels; c++) {
        sum += (weights[first + c] as number) * (one.values[p * one.channels + c] as number);
      }
      grid[p] = sum * factor;
    }
    for (let y = 0; y < height; y++) {
      const row = Math.floor((y * one.height) / height) * one.width;
      for (let x = 0; x < width; x++) {
        const at = y * width + x;
        values[at] = (values[at] as number) + (grid[row + Math.floor((x * one.width) / width)] as number);
      }
    }
    first += one.channels;
  }
  const [rows, columns] = (maps.length === 1 ? spacing : null) ?? [even(height), even(width)];
  return { height, width, values, bias: sign * (layer.bias[unit] as number), rows, columns };
}

/**
 * How far the vector is from the means of the maps, as a share of its largest value: rounding alone where both come from one base
 * and the same pixels.
 */
export function disagreement({ maps, vector }: Seen): number {
  const means = maps.flatMap((one) => Array.from(averaged(one)));
  const largest = vector.reduce((most, one) => Math.max(most, Math.abs(one)), 1e-12);
  return means.reduce((most, mean, i) => Math.max(most, Math.abs(mean - (vector[i] ?? Number.NaN)) / largest), 0);
}
