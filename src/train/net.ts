import type { Task } from '../labels/targets.js';
import { Random } from '../random.js';
import type { Ending, HeadNet } from './head-net.js';
import { BATCH_NORM, type NetSpec, variablesOf } from './net-spec.js';
import type { Standardization } from './standardize.js';

/**
 * Keras's defaults: kernels uniform in ±sqrt(6 / (fan in + fan out)), gammas and variances 1, the rest 0. They depend on the
 * seed and the shape alone.
 * @returns the value of each variable of a head, by name
 */
export function initialVariables(
  spec: NetSpec & { readonly batchNorm: boolean },
  seed: number,
): Map<string, Float32Array> {
  const random = new Random(`weights ${seed}`);
  return new Map(
    variablesOf(spec).map(({ name, kind, out, width }) => {
      if (kind !== 'kernel') return [name, new Float32Array(out).fill(kind === 'gamma' || kind === 'variance' ? 1 : 0)];
      const limit = Math.sqrt(6 / (width + out));
      return [name, Float32Array.from({ length: out * width }, () => random.uniform(-limit, limit))];
    }),
  );
}

/** @returns the net of trained variables for raw vectors: batch norms and the standardisation folded into its layers */
export function foldedNet(
  spec: NetSpec & { readonly batchNorm: boolean },
  variables: ReadonlyMap<string, Float32Array | Float64Array>,
  standardization: Standardization | null,
): HeadNet {
  const { d, normalize, activation, ending, hidden } = spec;
  const of = (name: string): ArrayLike<number> => variables.get(name) ?? [];
  const layers = [...hidden, spec.units].map((out, i) => {
    const kernel = Float64Array.from(of(`kernel${i}`));
    const bias = new Float64Array(out);
    bias.set(of(`bias${i}`));
    const inputs = kernel.length / out;
    for (let u = 0; u < out; u++) {
      let offset = bias[u] as number;
      let factor = 1;
      if (spec.batchNorm && i < hidden.length) {
        factor = (of(`gamma${i}`)[u] as number) / Math.sqrt((of(`variance${i}`)[u] as number) + BATCH_NORM.epsilon);
        offset = (offset - (of(`mean${i}`)[u] as number)) * factor + (of(`beta${i}`)[u] as number);
      }
      for (let j = 0, at = u * inputs; j < inputs; j++, at++) {
        let weight = (kernel[at] as number) * factor;
        if (i === 0 && standardization !== null) {
          weight /= standardization.scale[j] as number;
          offset -= weight * (standardization.mean[j] as number);
        }
        kernel[at] = weight;
      }
      bias[u] = offset;
    }
    return { kernel: Float32Array.from(kernel), bias: Float32Array.from(bias) };
  });
  return { d, normalize, layers, activation, ending };
}

/** @returns the units of the last layer */
export const unitsOf = (task: Task, classes: number): number =>
  task === 'multiclass' || task === 'multilabel' ? classes : 1;

/** @returns what the last layer ends with */
export const endingOf = (task: Task): Ending =>
  task === 'multiclass' ? 'softmax' : task === 'regression' ? 'linear' : 'sigmoid';
