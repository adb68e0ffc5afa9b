import type { Ending } from './head-net.js';

/** What a loss is computed with, one element at a time but for `logSoftmax`: nodes of a graph, or tensors. */
export interface Algebra<T> {
  add(a: T, b: T): T;
  subtract(a: T, b: T): T;
  multiply(a: T, b: T): T;
  negative(x: T): T;
  exp(x: T): T;
  sigmoid(x: T): T;
  /** `log(1 + exp(x))`, where `exp(x)` overflows too. */
  softplus(x: T): T;
  /** Along the units. */
  logSoftmax(x: T): T;
}

/**
 * The losses of Keras from logits, so that nothing saturates: binary cross-entropy, categorical cross-entropy, squared error.
 * @param target as the logits: values, of a softmax shares that sum to 1
 * @returns for each logit its part of the loss, which is to be summed over the units of a softmax and averaged over others, and the
 * derivative of that part (of a softmax: of the sum) by the logit
 */
export function lossOf<T>(of: Algebra<T>, ending: Ending, logits: T, target: T): { losses: T; delta: T } {
  switch (ending) {
    case 'sigmoid':
      return {
        losses: of.subtract(of.softplus(logits), of.multiply(target, logits)),
        delta: of.subtract(of.sigmoid(logits), target),
      };
    case 'softmax': {
      const logs = of.logSoftmax(logits);
      return { losses: of.negative(of.multiply(target, logs)), delta: of.subtract(of.exp(logs), target) };
    }
    case 'linear': {
      const error = of.subtract(logits, target);
      return { losses: of.multiply(error, error), delta: of.add(error, error) };
    }
  }
}
