/** What columns are called, the likelier first; compared in lower case, with `_` for spaces and hyphens. */
const PATHS = [
  'path',
  'file',
  'filename',
  'file_name',
  'filepath',
  'file_path',
  'image',
  'image_path',
  'image_name',
  'image_file',
  'image_filename',
  'img',
  'img_path',
  'img_name',
  'picture',
  'photo',
  'image_id',
  'imageid',
  'img_id',
  'id',
  'name',
];
const LABELS = [
  'label',
  'labels',
  'class',
  'classes',
  'class_name',
  'classname',
  'label_name',
  'target',
  'targets',
  'category',
  'categories',
  'category_name',
  'y',
  'tag',
  'tags',
  'choice',
  'class_id',
  'label_id',
  'category_id',
];
/** Columns of numbers that programs write in front. */
const INDEXES = ['', 'index', 'unnamed:_0', '__index_level_0__', 'level_0'];

export const plainName = (name: string): string =>
  name
    .trim()
    .toLowerCase()
    .replaceAll(/[\s-]+/g, '_');

/** @returns the place of a name in a list of usual names, the length of the list for an unusual one */
const placeIn = (names: readonly string[], name: string): number => {
  const place = names.indexOf(plainName(name));
  return place < 0 ? names.length : place;
};

/** Names that end like a label's: `finding_labels`. */
const LIKE_LABELS = /_(label|labels|class|classes|category|target)$/;

export const pathRank = (name: string): number => placeIn(PATHS, name);
export const labelRank = (name: string): number =>
  placeIn(LABELS, name) + (LIKE_LABELS.test(plainName(name)) ? 0 : 0.5);
export const isPathName = (name: string): boolean => pathRank(name) < PATHS.length || plainName(name) === 'sha256';
export const isLabelName = (name: string): boolean => labelRank(name) <= LABELS.length;
export const isIndexName = (name: string): boolean => INDEXES.includes(plainName(name));
