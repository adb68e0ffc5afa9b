import { type ImageFile, type ReadImage, readImageFile } from '../images/index.js';
import { isList, isObjectAddress } from './address.js';
import { countFolder, folderHoldsFiles, foldersBelow, walkFolder } from './folder.js';
import type { FoundFile, WalkOptions } from './found.js';
import { countList, listHoldsFiles, walkList } from './list.js';
import { countObjects, holdsObjects, prefixesBelow, readObject, walkObjects } from './s3/source.js';

export { imageAddress, isList, isObjectAddress, shownAs } from './address.js';
export { notUtf8 } from './folder.js';
export type { FoundFile, WalkOptions } from './found.js';
export { labelledBeside } from './s3/source.js';

/**
 * The image files, and others, of what is given: a folder and all below it, sorted by code point, `walkFolder`; an address of an
 * object store, `s3://bucket/prefix`, sorted by key; a list, a file `….txt` with a path or an address a line, in its order.
 * @throws DataError when it cannot be read
 */
export function walk(data: string, options: WalkOptions = {}): AsyncGenerator<FoundFile> {
  if (isObjectAddress(data)) return walkObjects(data, options);
  return isList(data) ? walkList(data, options) : walkFolder(data, options);
}

/** @returns how many files `walk` gives, or will nearly */
export function countFiles(data: string): Promise<number> {
  if (isObjectAddress(data)) return countObjects(data);
  return isList(data) ? countList(data) : countFolder(data);
}

/**
 * Whether `walk` gives any file, or nearly so; it looks no further than the first.
 * @throws DataError when it cannot be read
 */
export function holdsFiles(data: string): Promise<boolean> {
  if (isObjectAddress(data)) return holdsObjects(data);
  return isList(data) ? listHoldsFiles(data) : folderHoldsFiles(data);
}

/** @returns the folders one and two levels below, relative with `/`, sorted: those that may name splits and classes; of a list none */
export async function classFolders(data: string): Promise<string[]> {
  if (isObjectAddress(data)) return prefixesBelow(data);
  return isList(data) ? [] : foldersBelow(data);
}

/**
 * Reads an image whole, wherever it lies.
 * @returns null for a file that is an image neither by content nor by name; of such only the first bytes are read
 * @throws ImageError for one that is named or made like an image and cannot be used; DataError where the object store does not
 *   answer; the signal's reason when it is aborted
 */
export function readImage(
  file: ImageFile & Partial<FoundFile>,
  signal?: AbortSignal | undefined,
): Promise<ReadImage | null> {
  return isObjectAddress(file.absolute) ? readObject(file, file.absolute, signal) : readImageFile(file);
}
