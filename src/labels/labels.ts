import { byCodePoint } from '../canonical.js';
import { LabelError, UsageError } from '../errors.js';
import type { Task } from './targets.js';
import { strataOf } from './task.js';

export type Split = 'train' | 'val' | 'test';

/** One labelled image. */
export interface Example {
  /** Relative to the data folder, with `/`; empty where a label file names a content that lies in no file there. */
  readonly path: string;
  /** Of the file's bytes, 64 hex digits. */
  readonly sha256: string;
  /** Its class; of a multilabel task all its labels, sorted and joined by `|`, or nothing; of a regression a number. */
  readonly label: string;
  readonly split?: Split;
  /** Images of one group stay on one side of a split. */
  readonly group?: string;
}

/** A file of the data folder: its path relative to it, and the SHA-256 of its bytes in hex. */
export interface DataFile {
  readonly path: string;
  readonly sha256: string;
}

/** Examples ready to be split. */
export interface LabelledData {
  readonly task: Task;
  readonly examples: readonly Example[];
  /** Sorted by code point; none of a regression. */
  readonly classes: readonly string[];
  /** Images that carry no label. */
  readonly unlabelled: number;
  /** Sentences for people. */
  readonly warnings: readonly string[];
}

const SPLITS = new Map<string, Split>([
  ['train', 'train'],
  ['val', 'val'],
  ['valid', 'val'],
  ['validation', 'val'],
  ['test', 'test'],
]);

/** @returns the split that a folder name or a cell stands for */
export const splitNamed = (name: string): Split | undefined => SPLITS.get(name);

const parts = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');
const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/**
 * Takes labels from folder names, as Keras's `image_dataset_from_directory` does: the first folder of a path is the class.
 * Where all first folders are among train, val, valid, validation and test and hold folders, they are splits and the second
 * one is the class. Files outside of any class folder are counted, not used.
 * @param files paths relative to the data folder
 * @param emptyFolders folders that hold no image, relative to the data folder
 * @param task what to train; by default two folders ask for a binary head, more for a multiclass one
 * @throws LabelError when there are no labels, one class only, or a class without images; UsageError for a task that does not fit
 */
export function labelsFromFolders(
  files: readonly DataFile[],
  emptyFolders: readonly string[] = [],
  task?: Task,
): LabelledData {
  if (task === 'regression' || task === 'multilabel') {
    throw new UsageError(`a ${task} head needs a label file: folders give one class an image`);
  }
  const folders = files.map((file) => parts(file.path).slice(0, -1));
  const empty = emptyFolders.map(parts);
  const tops = new Set([...folders, ...empty].flatMap((folder) => folder.slice(0, 1)));
  const splits = [...tops].every((name) => SPLITS.has(name)) && folders.some((folder) => folder.length >= 2);
  const depth = splits ? 1 : 0;
  const examples: Example[] = [];
  files.forEach((file, i) => {
    const label = folders[i]?.[depth];
    const split = splits ? SPLITS.get(folders[i]?.[0] ?? '') : undefined;
    if (label !== undefined) examples.push({ ...file, label, ...(split === undefined ? {} : { split }) });
  });
  const unlabelled = files.length - examples.length;
  const warnings: string[] = [];
  if (unlabelled > 0) warnings.push(`${plural(unlabelled, 'image')} outside of any class folder: ignored`);
  const named = empty.flatMap((folder) => (folder.length === depth + 1 ? [folder[depth] as string] : []));
  if (examples.length === 0 && named.length === 0) {
    throw new LabelError(
      files.length === 0
        ? 'no images to label'
        : 'no labels: put the images into one folder a class, or give a label file with --labels',
    );
  }
  return checkLabels(task, examples, named, warnings, unlabelled);
}

/**
 * Drops contents whose labels contradict each other and checks what is left.
 * @param task where it is not given, the number of classes decides between binary and multiclass
 * @param named classes that must have images besides those of the examples
 * @throws LabelError, or UsageError for a task that the labels do not fit
 */
export function checkLabels(
  task: Task | undefined,
  examples: readonly Example[],
  named: readonly string[],
  warnings: string[],
  unlabelled: number,
): LabelledData {
  const labels = new Map<string, Set<string>>();
  const splits = new Map<string, Set<Split>>();
  const note = <K, V>(map: Map<K, Set<V>>, key: K, value: V): void => {
    map.set(key, (map.get(key) ?? new Set<V>()).add(value));
  };
  for (const example of examples) {
    note(labels, example.sha256, example.label);
    if (example.split !== undefined) note(splits, example.sha256, example.split);
  }
  const kept = examples.filter((example) => labels.get(example.sha256)?.size === 1);
  const contradictory = [...labels].find(([, names]) => names.size > 1);
  if (contradictory !== undefined) {
    const contents = [...labels.values()].filter((names) => names.size > 1).length;
    const first = examples.find((example) => example.sha256 === contradictory[0]);
    warnings.push(
      `${plural(contents, 'content')} with contradictory labels dropped (${plural(examples.length - kept.length, 'image')}, ` +
        `the first ${first?.path || first?.sha256}: ${[...contradictory[1]].sort(byCodePoint).join(', ')})`,
    );
  }
  const across = new Set(kept.map((one) => one.sha256).filter((sha256) => (splits.get(sha256)?.size ?? 0) > 1)).size;
  if (across > 0) warnings.push(`${plural(across, 'content')} on more than one side of the given splits`);
  if (task === 'regression') return { task, examples: checkNumbers(kept), classes: [], unlabelled, warnings };

  const namesOf = (example: Example): readonly string[] => strataOf(task ?? 'multiclass', example.label);
  const contents = new Map<string, Set<string>>();
  for (const example of kept) for (const name of namesOf(example)) note(contents, name, example.sha256);
  const classes = [...new Set([...examples.flatMap(namesOf), ...named])].sort(byCodePoint);
  const bare = classes.filter((name) => !contents.has(name));
  if (bare.length > 0) {
    throw new LabelError(
      `no usable images in the class${bare.length === 1 ? '' : 'es'} ${bare.join(', ')}: add some, or remove it`,
    );
  }
  const lone = classes.filter((name) => contents.get(name)?.size === 1);
  if (lone.length > 0) {
    const [is, what] = lone.length === 1 ? ['class has', ''] : ['classes have', ' each'];
    warnings.push(
      `${lone.length} ${is} one image${what} (${lone.slice(0, 5).join(', ')}${lone.length > 5 ? ', …' : ''}): ` +
        'it cannot both train and validate, so add more, or remove the class',
    );
  }
  const found = task ?? (classes.length === 2 ? 'binary' : 'multiclass');
  if (classes.length < (found === 'multilabel' ? 1 : 2)) {
    throw new LabelError(
      classes.length === 0
        ? 'no labels: label some images'
        : `one class only, ${classes[0]}: a head needs images of at least two classes`,
    );
  }
  if (found === 'binary' && classes.length !== 2) {
    throw new UsageError(`a binary head needs two classes, the labels have ${classes.length}: use --task multiclass`);
  }
  return { task: found, examples: kept, classes, unlabelled, warnings };
}

function checkNumbers(examples: readonly Example[]): readonly Example[] {
  const values = new Set(examples.map(({ label }) => Number(label)));
  if (values.size >= 2) return examples;
  throw new LabelError(
    values.size === 0
      ? 'no labels: label some images'
      : `all labels are ${[...values][0]}: a regression needs images of at least two values`,
  );
}
