import { atOnce, type Steps } from '../breathe.js';
import { Random } from '../random.js';
import type { Two } from './samples.js';

/** Numbers that can be measured on two samples at once, again and again, each example counted as often as a resample drew it. */
export interface Statistics {
  /** Examples. */
  readonly n: number;
  /** What is measured, in the order of the values. */
  readonly names: readonly string[];
  /** Steps that one measurement takes for each example, about. */
  readonly work: number;
  /** Of names that are a share of examples: how many of how many. */
  readonly shares: ReadonlyMap<string, readonly [number, number]>;
  /** Of areas: examples of the smaller side. */
  readonly sides?: ReadonlyMap<string, number>;
  /** How often each example counts in either of two samples, to be filled before they are measured. */
  readonly counts: Two<Uint32Array>;
  /** @returns for both samples one value a name, NaN where a sample does not define it */
  measure(): Two<Float64Array>;
}

/** @param measure one value a name of one sample */
export function oneByOne(
  n: number,
  measure: (counts: Uint32Array) => Float64Array,
): Pick<Statistics, 'counts' | 'measure'> {
  const counts = [new Uint32Array(n), new Uint32Array(n)] as const;
  return { counts, measure: () => [measure(counts[0]), measure(counts[1])] };
}

export interface BootstrapOptions {
  /** Resamples; 0 for no intervals. Large samples get fewer, so that the work stays below a second or so. Default 1000. */
  readonly resamples?: number;
  /** Default 0. */
  readonly seed?: number;
}

/** Percentile intervals. */
export interface Resampled {
  /** Resamples made. */
  readonly resamples: number;
  /** Name to lower and upper end; null where no resample defines the value. */
  readonly of: Readonly<Record<string, readonly [number, number] | null>>;
}

const LEVEL = 0.95;
const RESAMPLES = 1000;
/** Steps of all resamples together, and the fewest resamples whatever they cost. */
const MOST_WORK = 2e8;
const FEWEST = 50;
/** Examples above which each stretch takes milliseconds. */
const LARGE = 10_000;

/**
 * The percentile bootstrap (Efron 1979): examples are drawn with replacement, as many as there are, and everything is measured on
 * each resample. What was fitted (weights, thresholds, a temperature) stays as it is. The seed and the sample decide every draw.
 * @returns the 2.5th and the 97.5th percentile of each value, between order statistics linearly; null for 0 resamples
 */
export const bootstrap = (statistics: Statistics, options: BootstrapOptions = {}): Resampled | null =>
  atOnce(bootstrapInSteps(statistics, options));

/** `bootstrap`, in stretches of two resamples. */
export function* bootstrapInSteps(statistics: Statistics, options: BootstrapOptions = {}): Steps<Resampled | null> {
  const { resamples = RESAMPLES, seed = 0 } = options;
  const { n, names } = statistics;
  if (resamples === 0 || n === 0) return null;
  const affordable = Math.max(FEWEST, Math.floor(MOST_WORK / (n * (statistics.work + 3))));
  const count = Math.min(resamples, affordable);
  const values = names.map(() => new Float64Array(count));
  const draw = drawing(seed, n, count);
  for (let resample = 0; resample < count; resample += 2) {
    if (n > LARGE) yield;
    for (const drawn of statistics.counts) draw(drawn);
    for (const [i, measured] of statistics.measure().entries()) {
      // Of an odd number the last sample comes to nothing, as there is no place for it.
      for (let k = 0; k < names.length; k++) (values[k] as Float64Array)[resample + i] = measured[k] as number;
    }
  }
  const of = names.map((name, k) => {
    const sorted = (values[k] as Float64Array).filter((value) => !Number.isNaN(value)).sort();
    if (sorted.length === 0) return [name, null] as const;
    return [name, [percentile(sorted, (1 - LEVEL) / 2), percentile(sorted, (1 + LEVEL) / 2)]] as const;
  });
  return { resamples: count, of: Object.fromEntries(of) };
}

/** Counts that are kept for the next resamples of their seed and size, as all heads of a plan have them; each is at most `n`. */
const MOST_KEPT = 2 ** 22;
let kept: { readonly key: string; readonly counts: Uint16Array } | undefined;

/** @returns what fills the counts of one resample after the other, of an even number of them */
function drawing(seed: number, n: number, resamples: number): (counts: Uint32Array) => void {
  const key = `${seed} ${n} ${resamples}`;
  let at = 0;
  if (kept?.key === key) {
    const { counts } = kept;
    return (drawn) => {
      drawn.set(counts.subarray(at, at + n));
      at += n;
    };
  }
  const random = new Random(`bootstrap ${seed}`);
  const size = (resamples + (resamples % 2)) * n;
  const counts = n < 2 ** 16 && size <= MOST_KEPT ? new Uint16Array(size) : undefined;
  return (drawn) => {
    random.tally(drawn.fill(0), n);
    counts?.set(drawn, at);
    at += n;
    if (counts && at === size) kept = { key, counts };
  };
}

/** @param sorted at least one value, ascending */
function percentile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const low = sorted[Math.floor(place)] as number;
  const high = sorted[Math.ceil(place)] as number;
  return low + (high - low) * (place - Math.floor(place));
}

/** @returns each example once */
export const once = (n: number): Uint32Array => new Uint32Array(n).fill(1);
