import { readdir } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { LabelError } from '../errors.js';
import { isLabelName, plainName } from './column-names.js';
import { type ColumnOptions, findColumns } from './columns.js';
import { readTable } from './read-table.js';
import { splitNamed } from './splits.js';

const NAMES = ['metadata.csv', 'metadata.jsonl', 'metadata.parquet'];

/**
 * Finds label files that lie beside their images as Hugging Face's ImageFolder has them: a `metadata.csv`, `.jsonl` or `.parquet` with
 * a column `file_name`, in the data folder, or else in its folders that are called like splits.
 * @param onWarning told of a file that holds no labels
 * @returns their paths, sorted; none where there are none
 * @throws DataError or LabelError for one that cannot be read
 * @see https://huggingface.co/docs/datasets/image_dataset#imagefolder
 */
export async function metadataFiles(
  dataDir: string,
  options: ColumnOptions = {},
  onWarning?: (message: string) => void,
): Promise<string[]> {
  const here = await within(dataDir);
  const folders = here.length > 0 ? [] : (await names(dataDir)).filter((name) => splitNamed(name) !== undefined);
  const found = here.length > 0 ? here : (await Promise.all(folders.map((name) => within(join(dataDir, name))))).flat();
  const usable: string[] = [];
  for (const file of found) {
    if (await holdsLabels(file, options)) usable.push(file);
    else onWarning?.(`${relative(dataDir, file).split(sep).join('/')} names no label of the images: not used`);
  }
  return usable;
}

const names = async (dir: string): Promise<string[]> => {
  try {
    return (await readdir(dir)).sort();
  } catch {
    return [];
  }
};

async function within(dir: string): Promise<string[]> {
  const there = await names(dir);
  const first = NAMES.find((name) => there.includes(name));
  return first === undefined ? [] : [join(dir, first)];
}

/** Captions are no labels: what is on an image must be called so, or be columns of 0 and 1. */
async function holdsLabels(file: string, options: ColumnOptions): Promise<boolean> {
  const table = await readTable(file);
  if (!table.columns?.some((column) => plainName(column) === (options.pathColumn ?? 'file_name'))) return false;
  if (options.labelColumn !== undefined) return true;
  try {
    const { labels } = findColumns(table, { ...options, pathColumn: 'file_name' }, () => false, basename(file));
    return labels.length > 1 || labels.some((k) => isLabelName(table.columns?.[k] ?? ''));
  } catch (error) {
    if (error instanceof LabelError) return false;
    throw error;
  }
}
