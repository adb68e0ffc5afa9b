/** The grid of CLIP's linear probe: l2 strengths from 1e-6 to 1e6, 8 a decade, 96 steps in all. */
const STEPS = 96;
const PER_DECADE = 8;
const LOWEST = -6;
const COARSE = 16;

/**
 * The l2 search of linear probes (Radford et al. 2021, A.3): the log grid is tried coarsely, at every second decade, then around the
 * best with half the distance, until neighbours of the grid are reached: 15 heads in the place of 97.
 * @param n training images: the strength of the paper multiplies Σw² / 2 of a summed loss, so `l2` is strength / (2 n)
 * @param evaluate values of these penalties, the lower the better; all of one stage together
 * @returns once no stage is left
 */
export async function probe(n: number, evaluate: (l2: readonly number[]) => Promise<readonly number[]>): Promise<void> {
  const values = new Map<number, number>();
  const penalty = (step: number): number => 10 ** (LOWEST + step / PER_DECADE) / (2 * n);
  let steps = Array.from({ length: STEPS / COARSE + 1 }, (_, i) => i * COARSE);
  for (let distance = COARSE / 2; ; distance /= 2) {
    const measured = await evaluate(steps.map(penalty));
    for (const [i, step] of steps.entries()) values.set(step, measured[i] ?? Number.POSITIVE_INFINITY);
    if (distance < 1) return;
    const [best] = [...values].sort(([a, x], [b, y]) => x - y || b - a)[0] as [number, number];
    steps = [best - distance, best + distance].filter((step) => step >= 0 && step <= STEPS);
  }
}
