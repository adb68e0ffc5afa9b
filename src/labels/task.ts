import type { Targets, Task } from './targets.js';

/** @returns the labels that a text holds: those joined by `|`, none in an empty one */
export const splitLabels = (text: string): string[] => (text === '' ? [] : text.split('|'));

/** @returns by which labels a split keeps its sides alike: the class, each label of several, or nothing for numbers */
export function strataOf(task: Task, label: string): readonly string[] {
  if (task === 'regression') return [''];
  return task === 'multilabel' ? splitLabels(label) : [label];
}

/** @returns what a head should say of examples with these labels */
export function targetsOf(task: Task, labels: readonly string[], classes: readonly string[]): Targets {
  if (task === 'regression') return Float32Array.from(labels, Number);
  const numbers = new Map(classes.map((name, k) => [name, k]));
  if (task !== 'multilabel') return Int32Array.from(labels, (label) => numbers.get(label) ?? -1);
  const targets = new Int32Array(labels.length * classes.length);
  for (const [i, text] of labels.entries()) {
    for (const label of splitLabels(text)) targets[i * classes.length + (numbers.get(label) ?? 0)] = 1;
  }
  return targets;
}
