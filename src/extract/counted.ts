import { countFiles, isObjectAddress } from '../sources/index.js';

/** How many files there are; null until that is known. */
export interface Counted {
  readonly files: number | null;
}

/** Counts the files of folders, lists and object stores while others work; those that cannot be are told of by who reads them. */
export function counting(paths: readonly string[]): Counted {
  const counted: { files: number | null } = { files: null };
  const count = async (): Promise<void> => {
    let files = 0;
    for (const one of paths) files += await countFiles(one);
    counted.files = files;
  };
  count().catch(() => {});
  return counted;
}

/**
 * Counts the files of one of them at once; the objects of a store, which answers with a thousand at a time, while others work.
 * @throws DataError for a folder or list that cannot be read
 */
export const counted = async (data: string): Promise<Counted> =>
  isObjectAddress(data) ? counting([data]) : { files: await countFiles(data) };
