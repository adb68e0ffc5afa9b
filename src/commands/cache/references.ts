import path from 'node:path';
import { baseDigest } from '../../base/index.js';
import { CacheError, DataError, HeadError } from '../../errors.js';
import { hashedFiles } from '../../extract/hashes.js';
import { errorCode, isTemporary, readWhole, realSystem, type StoreSystem } from '../../files/index.js';
import { parseHeadInfo } from '../../heads/head-info.js';
import { readSweepFacts } from '../../heads/sweep-facts.js';
import { labelRows } from '../../labels/label-file.js';
import type { DataFile } from '../../labels/labels.js';
import { FileNames } from '../../labels/names.js';
import { FileIndex, KeySet, type StoreOptions } from '../../store/index.js';

const LARGEST_HEAD = 2 ** 28;
/** Folders below `cache/heads` in which a head may lie: those of a sweep are one deeper. */
export const DEPTH = 3;

/** What the heads and sweeps of a cache need; a plan needs what its heads need. */
export interface Needed {
  /** Fingerprints of the sets that they were trained on, joined ones too. */
  readonly sets: ReadonlySet<string>;
  /** Digests of their bases, as the folders of `cache/bases` are called. */
  readonly bases: ReadonlySet<string>;
}

/**
 * The one that knows what is used.
 * @throws CacheError for a head or a sweep that cannot be read, as what it needs is not known then
 */
export async function neededIn(cache: string, { system = realSystem }: StoreOptions = {}): Promise<Needed> {
  const sets = new Set<string>();
  const bases = new Set<string>();
  for await (const file of headFiles(system, path.join(cache, 'heads'), DEPTH)) {
    try {
      const text = Buffer.from(await readWhole(system, file, LARGEST_HEAD)).toString('utf8');
      const head = parseHeadInfo(text, file);
      for (const { fingerprint, set } of [head, ...head.joined]) {
        sets.add(fingerprint);
        const { graph, weights } = set;
        if (typeof graph === 'string' && typeof weights === 'string') bases.add(baseDigest({ graph, weights }));
      }
    } catch (error) {
      const reason = error instanceof HeadError ? error.message : `${file} cannot be read (${String(error)})`;
      throw new CacheError(`${reason}, or remove it: what a head needs must be known before anything goes`, {
        cause: error,
      });
    }
  }
  for (const print of await neededBySweeps(system, path.join(cache, 'sweeps'))) sets.add(print);
  return { sets, bases };
}

async function neededBySweeps(system: StoreSystem, folder: string): Promise<string[]> {
  const prints: string[] = [];
  for (const name of await namesIn(system, folder)) {
    const dir = path.join(folder, name);
    let sets: readonly string[] | null | undefined;
    try {
      sets = isTemporary(name) ? undefined : (await readSweepFacts(dir, system))?.sets;
    } catch (error) {
      if (!(error instanceof HeadError)) throw error;
      throw new CacheError(`${error.message}: what a sweep needs must be known before anything goes`, { cause: error });
    }
    if (sets === null) {
      throw new CacheError(
        `${path.join(dir, 'results.arrow')} is damaged: remove ${dir}, as what a sweep needs must be known before anything goes`,
      );
    }
    prints.push(...(sets ?? []));
  }
  return prints;
}

/** What a folder holds; nothing where there is none. */
async function namesIn(system: StoreSystem, folder: string): Promise<string[]> {
  try {
    return await system.list(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return [];
    throw new CacheError(`${folder} cannot be read (${errorCode(error)})`, { cause: error });
  }
}

async function* headFiles(system: StoreSystem, folder: string, depth: number): AsyncGenerator<string> {
  for (const name of await namesIn(system, folder)) {
    if (name === 'head.json') yield path.join(folder, name);
    else if (depth > 0) yield* headFiles(system, path.join(folder, name), depth - 1);
  }
}

/**
 * The contents that label files name, by hash or by path: a path beside its label file, else one of `data`, matched as `train` does.
 * @param data the folder of images
 * @throws DataError for names that lead to no image, as their contents are not known then; LabelError for a damaged label file
 */
export async function labelledContents(
  cache: string,
  files: readonly string[],
  data: string | undefined,
  options: StoreOptions = {},
): Promise<KeySet> {
  const index = await FileIndex.open(cache, options);
  const contents = new KeySet();
  const images = data === undefined ? [] : await imagesOf(data, index);
  for (const file of files) {
    const names = data === undefined ? null : new FileNames(images, data, file);
    const rows = await labelRows(file, names);
    const matches = names?.match(rows.flatMap(({ path: name, sha256 }) => (sha256 === undefined ? (name ?? '') : [])));
    const lost: { readonly line: number; readonly name: string; readonly why: string }[] = [];
    for (const { line, sha256, path: name = '' } of rows) {
      if (sha256 !== undefined) {
        contents.add(sha256.toLowerCase());
        continue;
      }
      const match = matches?.get(name);
      const found =
        names?.exact(name)?.sha256 ??
        (await hashAt(path.resolve(path.dirname(file), name), index)) ??
        (match !== undefined && 'file' in match ? match.file.sha256 : null);
      if (found !== null) contents.add(found);
      else {
        const why = match !== undefined && 'why' in match ? match.why : null;
        lost.push({ line, name, why: why ?? names?.nearest(name) ?? 'give the folder of the images with --data' });
      }
    }
    const [first] = lost;
    if (first === undefined) continue;
    throw new DataError(
      `${file}: ${lost.length} of its ${rows.length} images not found, the first ${first.name} on line ${first.line} (${first.why}), ` +
        'so which vectors are theirs is not known and none goes: put the names right, or take out the lines',
    );
  }
  await index.save();
  return contents;
}

async function imagesOf(data: string, index: FileIndex): Promise<DataFile[]> {
  const images: DataFile[] = [];
  for await (const { path: name, sha256 } of hashedFiles(data, index)) {
    if (sha256 !== null) images.push({ path: name, sha256 });
  }
  return images;
}

/** @returns the content of an image file; null where there is none */
async function hashAt(place: string, index: FileIndex): Promise<string | null> {
  if ((await realSystem.kind(place).catch(() => null)) !== 'file') return null;
  try {
    for await (const { sha256 } of hashedFiles(place, index)) return sha256;
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
  }
  return null;
}
