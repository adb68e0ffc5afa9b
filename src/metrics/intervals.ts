import type { Steps } from '../breathe.js';
import { type BootstrapOptions, bootstrapInSteps, type Statistics } from './bootstrap.js';
import { wilson } from './wilson.js';

/** Intervals that hold the value of new images of the same kind with this probability. */
export interface Intervals {
  /** That probability. */
  readonly level: number;
  /** Resamples made; 0 where there are too few images to resample. */
  readonly resamples: number;
  /**
   * Name to lower and upper end; null where there are too few images, no resample defines the value, or, as of the calibration error,
   * resampling moves the value itself.
   */
  readonly of: Readonly<Record<string, readonly [number, number] | null>>;
}

/** Fewer images say nothing about how a mean or an area would come out on others. */
export const FEWEST_IMAGES = 20;
/** Of an area, fewer images that are, or are not, of the class. */
const FEWEST_OF_A_SIDE = 5;
/** Sums of distances from 0: each resample adds its own noise to them, so that their intervals lie above what they are of. */
const MOVED: ReadonlySet<string> = new Set(['calibrationError']);

/**
 * @returns 95 % intervals: of accuracy, precision and recall, which are shares of images, Wilson's; of means, areas and losses the
 * percentile bootstrap, of 20 images or more, areas of 5 on either side; none of the calibration error. Null for 0 resamples
 */
export function* intervalsInSteps(statistics: Statistics, options: BootstrapOptions = {}): Steps<Intervals | null> {
  const { resamples } = options;
  if (resamples === 0 || statistics.n === 0) return null;
  const drawn = statistics.n < FEWEST_IMAGES ? null : yield* bootstrapInSteps(statistics, options);
  const of = statistics.names.map((name) => {
    const share = statistics.shares.get(name);
    if (share !== undefined) return [name, wilson(share[0], share[1])] as const;
    if (MOVED.has(name)) return [name, null] as const;
    const side = statistics.sides?.get(name) ?? FEWEST_OF_A_SIDE;
    return [name, drawn === null || side < FEWEST_OF_A_SIDE ? null : (drawn.of[name] ?? null)] as const;
  });
  return { level: 0.95, resamples: drawn?.resamples ?? 0, of: Object.fromEntries(of) };
}
