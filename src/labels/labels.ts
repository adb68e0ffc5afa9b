import { isBreath, type Steps } from '../breathe.js';
import { byCodePoint } from '../canonical.js';
import { LabelError, UsageError } from '../errors.js';
import type { Split } from './splits.js';
import type { Task } from './targets.js';
import { strataOf } from './task.js';

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
  /** Where the labels were found and what they are, in one line for people. */
  readonly understood: string;
}

/** Labels as they were found. */
export interface FoundLabels {
  /** Where it is not given, the number of classes decides between binary and multiclass. */
  readonly task: Task | undefined;
  readonly examples: readonly Example[];
  /**
   * The classes of a head that is measured on these images, which may be of some of them only: nothing is asked then that only training needs.
   * Default: a head is to be trained.
   */
  readonly known?: readonly string[] | undefined;
  /** Classes that must have images besides those of the examples. Default none. */
  readonly named?: readonly string[];
  readonly warnings: readonly string[];
  readonly unlabelled: number;
  /** Where they were found, without the classes. */
  readonly understood: string;
}

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

const NONE = -1;
const SEVERAL = -2;

/**
 * What examples say of each content, without a set for every one of them.
 * @returns `of`: the number of the content of each example; for each content the number of its one label and that of its one given
 *   split, or NONE, or SEVERAL
 */
function* contentsOf(examples: readonly Example[]) {
  const numbers = new Map<string, number>();
  const numberIn = (map: Map<string, number>, value: string): number => {
    const number = map.get(value) ?? map.size;
    if (number === map.size) map.set(value, number);
    return number;
  };
  const labelNumbers = new Map<string, number>();
  const splitNumbers = new Map<string, number>();
  const of = new Int32Array(examples.length);
  for (const [i, { sha256 }] of examples.entries()) {
    if (isBreath(i)) yield;
    of[i] = numberIn(numbers, sha256);
  }
  const labels = new Int32Array(numbers.size).fill(NONE);
  const splits = new Int32Array(numbers.size).fill(NONE);
  const note = (said: Int32Array, content: number, number: number): void => {
    if (said[content] !== number) said[content] = said[content] === NONE ? number : SEVERAL;
  };
  for (const [i, { label, split }] of examples.entries()) {
    if (isBreath(i)) yield;
    note(labels, of[i] as number, numberIn(labelNumbers, label));
    if (split !== undefined) note(splits, of[i] as number, numberIn(splitNumbers, split));
  }
  return { of, labels, splits };
}

const toldClasses = (classes: readonly string[]): string =>
  classes.length <= SHOWN ? `classes ${classes.join(', ')}` : `${classes.length} classes`;

/**
 * Drops contents whose labels contradict each other and checks what is left.
 * @throws LabelError, or UsageError for a task that the labels do not fit
 */
export function* checkLabelsInSteps(found: FoundLabels): Steps<LabelledData> {
  const { task, examples, known, named = [], unlabelled } = found;
  const warnings = [...found.warnings];
  const contents = yield* contentsOf(examples);
  const kept = examples.filter((_, i) => contents.labels[contents.of[i] as number] !== SEVERAL);
  if (kept.length < examples.length) {
    const dropped = contents.labels.reduce((count, label) => count + (label === SEVERAL ? 1 : 0), 0);
    const first = examples.findIndex((_, i) => contents.labels[contents.of[i] as number] === SEVERAL);
    const names = new Set(examples.filter((_, i) => contents.of[i] === contents.of[first]).map(({ label }) => label));
    warnings.push(
      `${plural(dropped, 'content')} with contradictory labels dropped (${plural(examples.length - kept.length, 'image')}, ` +
        `the first ${examples[first]?.path || examples[first]?.sha256}: ${[...names].sort(byCodePoint).join(', ')})`,
    );
  }
  const across = contents.labels.reduce(
    (count, label, content) => count + (label !== SEVERAL && contents.splits[content] === SEVERAL ? 1 : 0),
    0,
  );
  if (across > 0) warnings.push(`${plural(across, 'content')} on more than one side of the given splits`);
  if (task === 'regression') {
    const values = checkNumbers(kept);
    const understood = `${found.understood}; ${kept.length} numbers from ${values[0]} to ${values.at(-1)}`;
    return { task, examples: kept, classes: [], unlabelled, warnings, understood };
  }

  const namesOf = (example: Example): readonly string[] => strataOf(task ?? 'multiclass', example.label);
  /** The one content of a class, or SEVERAL. */
  const contentOf = new Map<string, number>();
  const all = new Set(named);
  for (const [i, example] of examples.entries()) {
    if (isBreath(i)) yield;
    const content = contents.of[i] as number;
    for (const name of namesOf(example)) {
      all.add(name);
      if (contents.labels[content] === SEVERAL) continue;
      const known = contentOf.get(name);
      if (known !== content) contentOf.set(name, known === undefined ? content : SEVERAL);
    }
  }
  const classes = [...all].sort(byCodePoint);
  if (known !== undefined && kept.length > 0) {
    const understood = `${found.understood}; ${toldClasses(classes)}`;
    return { task: task ?? 'multiclass', examples: kept, classes, unlabelled, warnings, understood };
  }
  const bare = classes.filter((name) => !contentOf.has(name));
  if (bare.length > 0) {
    throw new LabelError(
      `no usable images in the class${bare.length === 1 ? '' : 'es'} ${bare.join(', ')}: add some, or remove it`,
    );
  }
  const lone = classes.filter((name) => contentOf.get(name) !== SEVERAL);
  if (lone.length > 0) {
    const [is, what] = lone.length === 1 ? ['class has', ''] : ['classes have', ' each'];
    warnings.push(
      `${lone.length} ${is} one image${what} (${lone.slice(0, 5).join(', ')}${lone.length > 5 ? ', …' : ''}): ` +
        'it cannot both train and validate, so add more, or remove the class',
    );
  }
  const kind = task ?? (classes.length === 2 ? 'binary' : 'multiclass');
  if (classes.length < (kind === 'multilabel' ? 1 : 2)) {
    throw new LabelError(
      classes.length === 0
        ? 'no labels: label some images'
        : `one class only, ${classes[0]}: a head needs images of at least two classes`,
    );
  }
  if (kind === 'binary' && classes.length !== 2) {
    throw new UsageError(`a binary head needs two classes, the labels have ${classes.length}: use --task multiclass`);
  }
  yield;
  warnings.push(...lookAlikes(classes));
  checkTraining(kind, classes, kept, warnings);
  const understood = `${found.understood}; ${toldClasses(classes)}`;
  return { task: kind, examples: kept, classes, unlabelled, warnings, understood };
}

/** Classes that people are told by name. */
const SHOWN = 12;

/** @returns a sentence about names that differ by case only */
function lookAlikes(classes: readonly string[]): string[] {
  const alike = new Map<string, string[]>();
  for (const name of classes) alike.set(name.toLowerCase(), [...(alike.get(name.toLowerCase()) ?? []), name]);
  const pairs = [...alike.values()].filter((names) => names.length > 1);
  if (pairs.length === 0) return [];
  return [
    `classes that differ by case only (${pairs.map((names) => names.join(' and ')).join('; ')}): write them alike if they are one`,
  ];
}

/** @throws LabelError for a class that no image can train, as all of its images are given to other sides */
function checkTraining(task: Task, classes: readonly string[], examples: readonly Example[], warnings: string[]): void {
  const trained = new Set<string>();
  const measured = new Map<string, Split>();
  for (const { label, split } of examples) {
    for (const name of strataOf(task, label)) {
      if (split === 'val' || split === 'test') measured.set(name, split);
      else trained.add(name);
    }
  }
  const bare = classes.filter((name) => !trained.has(name));
  const [first] = bare;
  if (first === undefined) return;
  const twin = classes.find((name) => name !== first && name.toLowerCase() === first.toLowerCase());
  const what =
    `${measured.get(first)} has the class ${first}, which train lacks` +
    `${bare.length > 1 ? ` (and ${bare.slice(1, 6).join(', ')}${bare.length > 6 ? ', …' : ''})` : ''}` +
    `${twin === undefined ? '' : `, as it is called ${twin} there`}`;
  if (task !== 'multilabel') throw new LabelError(`${what}: add images of it to train, or put the names right`);
  warnings.push(`${what}: nothing is learned of it`);
}

/** @returns the different numbers, ascending */
function checkNumbers(examples: readonly Example[]): readonly number[] {
  const values = [...new Set(examples.map(({ label }) => Number(label)))].sort((a, b) => a - b);
  if (values.length >= 2) return values;
  throw new LabelError(
    values.length === 0
      ? 'no labels: label some images'
      : `all labels are ${values[0]}: a regression needs images of at least two values`,
  );
}
