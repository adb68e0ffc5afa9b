import { UsageError } from '../errors.js';
import type { Targets, Task } from '../labels/targets.js';
import type { ClassWeight } from './options.js';

/**
 * What an answer counts in the loss.
 * @param rows that are trained on
 * @returns a weight for each class (`multiclass`), or `[absent, present]` for each unit (`binary`, `multilabel`); null for all 1
 * @throws UsageError for a class that there is not, and for regression
 */
export function classWeights(
  asked: ClassWeight,
  { task, classes, y }: { readonly task: Task; readonly classes: readonly string[]; readonly y: Targets },
  rows: Uint32Array,
): Float32Array | null {
  if (asked === null) return null;
  if (task === 'regression') throw new UsageError('classWeight is for classes: regression has none');
  const n = rows.length;
  if (asked === 'balanced') {
    const share = (groups: number, count: number): number => (count === 0 ? 0 : n / (groups * count));
    const counts = new Float64Array(classes.length);
    const width = task === 'multilabel' ? classes.length : 1;
    for (const row of rows) {
      for (let k = 0; k < width; k++) {
        const target = y[row * width + k] as number;
        if (task !== 'multilabel') counts[target] = (counts[target] as number) + 1;
        else counts[k] = (counts[k] as number) + target;
      }
    }
    if (task === 'multilabel') {
      return Float32Array.from([...counts].flatMap((count) => [share(2, n - count), share(2, count)]));
    }
    return Float32Array.from(counts, (count) => share(classes.length, count));
  }
  const unknown = Object.keys(asked).find((name) => !classes.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`classWeight names ${unknown}, which is no class: there are ${classes.join(', ')}`);
  }
  const weights = classes.map((name) => (Object.hasOwn(asked, name) ? (asked[name] as number) : 1));
  return Float32Array.from(task === 'multilabel' ? weights.flatMap((weight) => [1, weight]) : weights);
}
