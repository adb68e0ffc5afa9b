import type { Int8Report } from '../src/index.js';

/** @returns how near int8 comes to float32, in one line */
export function fidelityLine({ fidelity, share, speed }: Pick<Int8Report, 'fidelity' | 'share' | 'speed'>): string {
  const { mean, low, images } = fidelity;
  const times = speed === null ? '' : `, ${(speed.int8 / speed.float32).toFixed(1)} times as fast without decoding`;
  return (
    `int8: mean cosine with float32 ${mean.toFixed(4)} (1 % below ${low.toFixed(4)}, on ${images} images), ` +
    `${(100 * share).toFixed(0)} % of the multiply-adds${times}`
  );
}
