/** Epochs before the first heads are dropped; then twice as many, and so on. */
const FIRST = 4;

/**
 * Successive halving (Jamieson and Talwalkar 2016): after 4, 8, 16, … epochs the worse half of the heads that still train is dropped.
 * @returns the `drop` of a training
 */
export function halving(): (epoch: number, losses: readonly number[]) => number[] {
  return (epoch, losses) => {
    if (epoch < FIRST || !Number.isInteger(Math.log2(epoch / FIRST))) return [];
    const training = losses
      .map((loss, head) => ({ loss, head }))
      .filter(({ loss }) => !Number.isNaN(loss))
      .sort((a, b) => a.loss - b.loss || a.head - b.head);
    return training.slice(Math.ceil(training.length / 2)).map(({ head }) => head);
  };
}
