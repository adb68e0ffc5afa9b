/** The 97.5th percentile of the normal distribution. */
const Z = 1.959963984540054;

/**
 * Wilson's score interval (1927) of a share at 95 %: unlike resamples, which know only the images that are there, it does not shrink
 * to a point where all of a few answers are right.
 * @returns null for a share of nothing
 */
export function wilson(hits: number, of: number): readonly [number, number] | null {
  if (of === 0) return null;
  const share = hits / of;
  const spread = Z * Z;
  const middle = share + spread / (2 * of);
  const half = Z * Math.sqrt((share * (1 - share)) / of + spread / (4 * of * of));
  const scale = 1 + spread / of;
  // At the ends the sums are exact in mathematics only.
  const low = hits === 0 ? 0 : Math.max(0, (middle - half) / scale);
  return [low, hits === of ? 1 : Math.min(1, (middle + half) / scale)];
}
