import { UsageError } from '../errors.js';
import type { Task } from '../labels/targets.js';
import { checkEffect, checkTask, type HeadOptions, resolveOptions, withoutIdle } from '../train/options.js';
import { drawFrom, gridOf, type Space } from './space.js';

/** What the heads of a sweep are made of. */
interface Drawn {
  /** Of every head. */
  readonly common: HeadOptions;
  readonly space: Space;
  /** Heads to draw; undefined for the whole grid. */
  readonly random: number | undefined;
}

/**
 * @returns the heads of a grid or a draw, each once; combinations that do not go together are left out, which is told
 * @throws UsageError when none is left, or for an option that has no effect in any
 */
export function headsOf(
  { common, space, random }: Drawn,
  task: Task,
  seed: number,
  onWarning?: (message: string) => void,
): HeadOptions[] {
  const drawn = random === undefined ? gridOf(space) : drawFrom(space, random, seed);
  const heads = new Map<string, HeadOptions>();
  const faults: UsageError[] = [];
  const used = new Set<string>();
  for (const one of drawn) {
    const options = withoutIdle({ ...common, ...one });
    try {
      const resolved = resolveOptions(options);
      checkTask(resolved, task);
      heads.set(JSON.stringify(resolved), options);
      for (const name of Object.keys(options)) used.add(name);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      faults.push(error);
    }
  }
  const [fault] = faults;
  if (fault !== undefined && heads.size === 0) throw fault;
  if (fault !== undefined) {
    onWarning?.(`${faults.length} of ${drawn.length} combinations are left out, the first because ${fault.message}`);
  }
  for (const one of drawn) checkEffect({ ...common, ...one }, (name) => !used.has(name));
  return [...heads.values()];
}

/** @returns what a probe reports beside logistic regression */
export const closedForms = (common: HeadOptions, task: Task): HeadOptions[] =>
  (task === 'binary' || task === 'multiclass' ? (['lda', 'ridge'] as const) : (['ridge'] as const)).map((optimizer) =>
    withoutIdle({ ...common, optimizer }),
  );
