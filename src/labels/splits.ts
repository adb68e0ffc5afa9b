export type Split = 'train' | 'val' | 'test';

/** What a folder or a cell may be called for each side, in lower case. */
const NAMES: Readonly<Record<Split, readonly string[]>> = {
  train: ['train', 'training'],
  val: ['val', 'valid', 'validation', 'dev', 'eval'],
  test: ['test', 'testing'],
};
const SPLITS = new Map(
  (Object.entries(NAMES) as [Split, readonly string[]][]).flatMap(([split, names]) =>
    names.map((name) => [name, split] as const),
  ),
);

/** What cells say of images that are there to be divided between training and validation, without spaces and signs. */
const OPEN = ['trainval', 'trainvalid', 'trainvalidation', 'trainingvalidation', 'traindev', 'unassigned'];

/** What a split may be called in a cell, for messages. */
export const SPLIT_NAMES = `${[...SPLITS.keys()].join(', ')}, nor trainval or unassigned`;

/** @returns the split that a folder name or a cell stands for, in any case */
export const splitNamed = (name: string): Split | undefined => SPLITS.get(name.trim().toLowerCase());

/** @returns whether a cell leaves open on which side of training and validation an image is */
export const isOpenSplit = (name: string): boolean =>
  OPEN.includes(name.toLowerCase().replace(/[\s_+&/-]|\band\b/g, ''));

/** @returns how many are on each side that has any: `train 245, val 153` */
export function countSplits(splits: Iterable<Split | undefined>): string {
  const counts = new Map<Split | undefined, number>();
  for (const split of splits) counts.set(split, (counts.get(split) ?? 0) + 1);
  const told = (['train', 'val', 'test'] as const).flatMap((split) =>
    counts.has(split) ? [`${split} ${counts.get(split)}`] : [],
  );
  return [...told, ...(counts.has(undefined) ? [`open ${counts.get(undefined)}`] : [])].join(', ');
}
