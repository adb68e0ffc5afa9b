import { atOnce, isBreath, type Steps } from '../breathe.js';
import { byCodePoint } from '../canonical.js';
import { LabelError, UsageError } from '../errors.js';
import { tidy } from './cell.js';
import { checkLabelsInSteps, type DataFile, type Example, type FoundLabels, type LabelledData } from './labels.js';
import { countSplits, splitNamed } from './splits.js';
import type { Task } from './targets.js';

const parts = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');
const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/** A first folder of the data, and what lies in it. */
interface Top {
  /** Images that lie in it directly, and deeper. */
  own: number;
  deeper: number;
  readonly folders: Set<string>;
}

/**
 * Takes labels from folder names, as Keras's `image_dataset_from_directory` does: the first folder of a path is the class. A first
 * folder is a split if it is called like one and holds folders and no image of its own; then all first folders that hold images must
 * be splits, and the second one is the class. Files outside of any class folder are counted, not used.
 * @param files paths relative to the data folder
 * @param emptyFolders folders that hold no image, relative to the data folder
 * @param options `task`: what to train, by default two folders ask for a binary head, more for a multiclass one; `splits`: `none`
 * takes every first folder as a class; `known`: the classes of a head that is measured on them
 * @throws LabelError when there are no labels, one class only, a class without images to train on, or folders beside splits;
 * UsageError for a task that does not fit
 */
export function* labelsFromFoldersInSteps(
  files: readonly DataFile[],
  emptyFolders: readonly string[] = [],
  {
    task,
    splits = 'auto',
    known,
  }: { readonly task?: Task; readonly splits?: 'auto' | 'none'; readonly known?: FoundLabels['known'] } = {},
): Steps<LabelledData> {
  if (task === 'regression' || task === 'multilabel') {
    throw new UsageError(`a ${task} head needs a label file: folders give one class an image`);
  }
  const tops = yield* topsOf(files, emptyFolders);
  const divided = splits === 'auto' && areSplits(tops);
  const depth = divided ? 1 : 0;
  const examples: Example[] = [];
  /** What a folder says of its files, which are many. */
  const said = new Map<string, Pick<Example, 'label' | 'split'> | null>();
  const sayOf = (folder: string): Pick<Example, 'label' | 'split'> | null => {
    const folders = parts(folder);
    const label = folders[depth];
    const split = divided ? splitNamed(folders[0] ?? '') : undefined;
    return label === undefined ? null : { label: tidy(label), ...(split === undefined ? {} : { split }) };
  };
  yield;
  for (const [i, { path, sha256 }] of files.entries()) {
    if (isBreath(i)) yield;
    const folder = path.slice(0, path.lastIndexOf('/') + 1);
    const known = said.get(folder);
    const one = known === undefined ? sayOf(folder) : known;
    if (known === undefined) said.set(folder, one);
    if (one === null) continue;
    const { label, split } = one;
    examples.push(split === undefined ? { path, sha256, label } : { path, sha256, label, split });
  }
  const unlabelled = files.length - examples.length;
  const warnings: string[] = [];
  if (unlabelled > 0) warnings.push(`${plural(unlabelled, 'image')} outside of any class folder: ignored`);
  const empty = emptyFolders.map(parts).filter((folder) => folder.length === depth + 1);
  const named = (divided ? empty.filter(([top = '']) => splitNamed(top) !== undefined) : empty).map((folder) =>
    tidy(folder[depth] as string),
  );
  if (examples.length === 0 && named.length === 0) {
    throw new LabelError(
      files.length === 0
        ? 'no images to label'
        : 'no labels: put the images into one folder a class, or give a label file with --labels',
    );
  }
  const [[only, top] = []] = tops;
  const isClass = only !== undefined && known?.includes(tidy(only)) === true;
  if (tops.size === 1 && !divided && !isClass && top !== undefined && top.folders.size >= 2) {
    const inside = [...top.folders].sort(byCodePoint).slice(0, 3).join(', ');
    throw new LabelError(
      `one class only, ${only}: a head needs images of at least two classes; it holds folders (${inside}), so give that folder with --data`,
    );
  }
  const understood = divided
    ? `splits ${countSplits(examples.map(({ split }) => split))} from folders`
    : 'labels from folders';
  return yield* checkLabelsInSteps({ task, examples, known, named, warnings, unlabelled, understood });
}

/** `labelsFromFoldersInSteps` at one go. */
export const labelsFromFolders = (...given: Parameters<typeof labelsFromFoldersInSteps>): LabelledData =>
  atOnce(labelsFromFoldersInSteps(...given));

function* topsOf(files: readonly DataFile[], emptyFolders: readonly string[]): Steps<Map<string, Top>> {
  const tops = new Map<string, Top>();
  const of = (name: string): Top => {
    const top = tops.get(name) ?? { own: 0, deeper: 0, folders: new Set<string>() };
    tops.set(name, top);
    return top;
  };
  const counts = new Map<string, number>();
  for (const [i, { path }] of files.entries()) {
    if (isBreath(i)) yield;
    const folder = path.slice(0, path.lastIndexOf('/') + 1);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  for (const [folder, images] of counts) {
    const [name, second] = parts(folder);
    if (name === undefined) continue;
    const top = of(name);
    if (second === undefined) top.own += images;
    else {
      top.deeper += images;
      top.folders.add(second);
    }
  }
  for (const folder of emptyFolders) {
    const [name, second] = parts(folder);
    if (name !== undefined && second !== undefined) of(name).folders.add(second);
  }
  return tops;
}

/**
 * @returns whether the first folders are splits
 * @throws LabelError when some are and others, which hold images too, are not
 */
function areSplits(tops: ReadonlyMap<string, Top>): boolean {
  const isSplit = ([name, { own, folders }]: readonly [string, Top]): boolean =>
    splitNamed(name) !== undefined && folders.size > 0 && own === 0;
  const found = [...tops].filter(isSplit);
  if (found.length === 0) return false;
  const strays = [...tops].filter((one) => !isSplit(one) && one[1].own + one[1].deeper > 0);
  if (strays.length === 0) return true;
  const names = found.map(([name]) => name).join(', ');
  const [[stray, { own }]] = strays as [[string, Top]];
  const why = splitNamed(stray) === undefined || own === 0 ? '' : ` (${stray} holds images of its own)`;
  throw new LabelError(
    `${names} ${found.length === 1 ? 'is a split' : 'are splits'} by name, beside ${found.length === 1 ? 'it' : 'them'} ` +
      `${strays.map(([name]) => name).join(', ')} ${strays.length === 1 ? 'is' : 'are'} none${why}: ` +
      'rename or move folders, or use --splits none if all are classes',
  );
}

/**
 * For labels that come from a file: where every labelled image lies in a first folder called like a split, and there are two kinds,
 * these are the splits.
 * @returns the examples with their splits; null where folders say nothing
 */
export function splitsOfFiles(examples: readonly Example[]): Example[] | null {
  const sides = examples.map(({ path }) => {
    const [top, ...rest] = parts(path);
    return rest.length === 0 ? undefined : splitNamed(top ?? '');
  });
  if (sides.includes(undefined) || new Set(sides).size < 2) return null;
  return examples.map((example, i) => ({ ...example, split: sides[i] as NonNullable<(typeof sides)[number]> }));
}
