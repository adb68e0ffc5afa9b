/** Bounds of a temperature: on classes that validation separates completely the best one would be 0. */
const LOWEST = 0.05;
const HIGHEST = 20;

/**
 * Temperature scaling (Guo et al. 2017): the one number T > 0 for which the probabilities of `logits / T` have the lowest log
 * loss. The loss is convex in 1 / T, so its slope has one zero, which bisection finds.
 * @param logits `[n, units]`: one unit of a sigmoid, or units of a softmax, or independent sigmoids (`multilabel`)
 * @param y `[n]`, or `[n, units]` of a multilabel head
 * @returns between 0.05 and 20; 1 without examples
 */
export function fitTemperature(
  logits: Float32Array,
  y: ArrayLike<number>,
  units: number,
  ending: 'sigmoid' | 'softmax',
): number {
  if (logits.length === 0) return 1;
  const slope = ending === 'sigmoid' ? sigmoidSlope(logits, y) : softmaxSlope(logits, y, units);
  let low = 1 / HIGHEST;
  let high = 1 / LOWEST;
  if (slope(low) >= 0) return HIGHEST;
  if (slope(high) <= 0) return LOWEST;
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (slope(middle) < 0) low = middle;
    else high = middle;
  }
  return 2 / (low + high);
}

/** @returns the derivative of the summed log loss by the inverse temperature */
function sigmoidSlope(logits: Float32Array, y: ArrayLike<number>): (inverse: number) => number {
  return (inverse) => {
    let slope = 0;
    for (let at = 0; at < logits.length; at++) {
      const z = logits[at] as number;
      slope += z * (1 / (1 + Math.exp(-inverse * z)) - (y[at] as number));
    }
    return slope;
  };
}

function softmaxSlope(logits: Float32Array, y: ArrayLike<number>, units: number): (inverse: number) => number {
  return (inverse) => {
    let slope = 0;
    for (let i = 0; i < y.length; i++) {
      const row = logits.subarray(i * units, (i + 1) * units);
      const most = row.reduce((a, b) => Math.max(a, b));
      let total = 0;
      let mean = 0;
      for (const z of row) {
        const weight = Math.exp(inverse * (z - most));
        total += weight;
        mean += weight * z;
      }
      slope += mean / total - (row[y[i] as number] as number);
    }
    return slope;
  };
}
