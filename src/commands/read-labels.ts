import { inBreaths } from '../breathe.js';
import { DataError } from '../errors.js';
import { labelsFromFoldersInSteps } from '../labels/folders.js';
import { type LabelFileOptions, labelsFromFile } from '../labels/label-file.js';
import type { DataFile, FoundLabels, LabelledData } from '../labels/labels.js';
import { metadataFiles } from '../labels/metadata.js';
import { splitNamed } from '../labels/splits.js';
import { classFolders, isList, isObjectAddress, labelledBeside } from '../sources/index.js';

/** Images, and where their labels may be. */
export interface Labelling {
  /** Folder, address of an object store or list. */
  readonly data: string;
  readonly files: readonly DataFile[];
  /** File of labels. */
  readonly labels: string | undefined;
  /** @returns folders that may name a class and hold no image; default: none are looked for */
  readonly empty?: () => Promise<readonly string[]>;
}

/**
 * Labels of images: from the file that is given, else from those that lie beside the images, else from the names of folders. In a list
 * the folders that all its lines share name no class.
 * @throws DataError, LabelError or UsageError for labels that cannot be used; DataError for label files in an object store
 */
export async function readLabels(
  { data, files, labels, empty = async () => [] }: Labelling,
  reading: LabelFileOptions & { readonly known?: FoundLabels['known'] },
  onWarning: ((message: string) => void) | undefined,
): Promise<LabelledData> {
  if (labels !== undefined) return labelsFromFile([labels], data, files, reading);
  if (isList(data)) return fromList(files, reading);
  if (isObjectAddress(data)) {
    const tops = new Set(files.flatMap(({ path }) => path.split('/').slice(0, -1).slice(0, 1)));
    const beside = await labelledBeside(
      data,
      [...tops].filter((name) => splitNamed(name) !== undefined),
    );
    if (beside !== null) {
      throw new DataError(
        `${beside} lies beside the images, and label files are read from disk: fetch it, and give --labels`,
      );
    }
    return inBreaths(labelsFromFoldersInSteps(files, await empty(), reading));
  }
  const found = await metadataFiles(data, reading, onWarning);
  if (found.length > 0) return labelsFromFile(found, data, files, reading);
  return inBreaths(labelsFromFoldersInSteps(files, await empty(), reading));
}

/** @throws LabelError or UsageError */
async function fromList(
  files: readonly DataFile[],
  reading: Parameters<typeof labelsFromFoldersInSteps>[2],
): Promise<LabelledData> {
  const [first = ''] = files.map(({ path }) => path);
  let shared = first.slice(0, first.lastIndexOf('/') + 1);
  while (!files.every(({ path }) => path.startsWith(shared))) {
    shared = shared.slice(0, shared.lastIndexOf('/', shared.length - 2) + 1);
  }
  const short = files.map(({ path, sha256 }) => ({ path: path.slice(shared.length), sha256 }));
  const labelled = await inBreaths(labelsFromFoldersInSteps(short, [], reading));
  return { ...labelled, examples: labelled.examples.map((one) => ({ ...one, path: shared + one.path })) };
}

/** @returns folders of the data that may name a class and hold no image */
export async function emptyFolders(data: string, files: readonly DataFile[]): Promise<string[]> {
  const full = new Set<string>();
  for (const { path: file } of files) {
    // Where a folder is there, those above it are.
    for (let end = file.lastIndexOf('/'); end >= 0; end = file.lastIndexOf('/', end - 1)) {
      const { size } = full;
      if (full.add(file.slice(0, end)).size === size || end === 0) break;
    }
  }
  return (await classFolders(data)).filter((folder) => !full.has(folder));
}
