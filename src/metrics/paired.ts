import { type BootstrapOptions, bootstrap, once, oneByOne } from './bootstrap.js';

/** How two things measured on the same examples differ. */
export interface Paired {
  /** Mean of the first less that of the second. */
  readonly difference: number;
  /** 95 % percentile bootstrap over pairs; null where none is asked for. */
  readonly interval: readonly [number, number] | null;
}

/** @param a one value an example @param b as many, of the same examples */
export function pairedDifference(a: ArrayLike<number>, b: ArrayLike<number>, options: BootstrapOptions = {}): Paired {
  const n = a.length;
  const differences = Float64Array.from({ length: n }, (_, i) => (a[i] as number) - (b[i] as number));
  const measure = (counts: Uint32Array): Float64Array => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += (counts[i] as number) * (differences[i] as number);
    return Float64Array.of(sum / n);
  };
  const drawn = bootstrap({ n, names: ['difference'], work: 1, shares: new Map(), ...oneByOne(n, measure) }, options);
  return {
    difference: measure(once(n))[0] as number,
    interval: drawn?.of.difference ?? null,
  };
}

/**
 * McNemar's exact test (1947; the two-sided binomial test of the examples on which two classifiers differ in being right).
 * @param onlyA examples that the first alone has right
 * @param onlyB that the second alone has right
 * @returns the probability of a split as uneven or more so, were both as good
 */
export function mcNemar(onlyA: number, onlyB: number): number {
  const n = onlyA + onlyB;
  const least = Math.min(onlyA, onlyB);
  let log = -n * Math.LN2;
  let sum = Math.exp(log);
  for (let k = 1; k <= least; k++) {
    log += Math.log((n - k + 1) / k);
    sum += Math.exp(log);
  }
  return Math.min(1, 2 * sum);
}
