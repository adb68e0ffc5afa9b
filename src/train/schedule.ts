import type { ResolvedOptions } from './options.js';

/**
 * @param stepsPerEpoch minibatches of an epoch
 * @returns the learning rate of each step, from 0: a linear rise over the warm-up, then the schedule over what is left of the
 * epochs, as Keras's CosineDecay, PolynomialDecay (power 1), and ExponentialDecay (`step` with its staircase)
 */
export function learningRates(options: ResolvedOptions, stepsPerEpoch: number): (step: number) => number {
  const { learningRate, schedule, warmup, decay, decayEvery, epochs } = options;
  const rising = warmup * stepsPerEpoch;
  const left = Math.max((epochs - warmup) * stepsPerEpoch, 1);
  const factor = (steps: number): number => {
    const share = Math.min(1, steps / left);
    switch (schedule) {
      case 'constant':
        return 1;
      case 'cosine':
        return 0.5 * (1 + Math.cos(Math.PI * share));
      case 'linear':
        return 1 - share;
      case 'exponential':
        return decay ** (steps / (decayEvery * stepsPerEpoch));
      case 'step':
        return decay ** Math.floor(steps / (decayEvery * stepsPerEpoch));
    }
  };
  return (step) => learningRate * (step < rising ? (step + 1) / (rising + 1) : factor(step - rising));
}
