import type { Dirent } from 'node:fs';
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { DataError } from '../errors.js';
import { realSystem, whyUnwritable } from '../files/index.js';
import { checkOptions } from '../options/check.js';
import { CLASSES, drawPicture, type Label } from '../sample/picture.js';
import { SIDE } from '../sample/surface.js';

export interface SampleOptions {
  /** An integer from 0. The same seed draws the same pictures. Default 0. */
  readonly seed?: number;
  /** Pictures of each class, 4 to 10,000, of which a quarter is for validation. Default 200. */
  readonly perClass?: number;
  readonly signal?: AbortSignal;
  /** Called after each picture with the count of those in place, and once at the start. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Sample {
  /** Absolute. */
  readonly dir: string;
  readonly images: number;
  readonly train: number;
  readonly val: number;
  readonly classes: readonly ['defect', 'ok'];
}

/** Of the drawing: raised whenever the pixels of a seed change. */
const REVISION = 1;
const MARKER = '.sample.json';
const SPLITS = ['train', 'val'] as const;
/** Encoded while the next ones are drawn. */
const IN_FLIGHT = 4;

interface Settings {
  readonly revision: number;
  readonly seed: number;
  readonly perClass: number;
}

interface Picture {
  readonly label: Label;
  readonly index: number;
  readonly folder: string;
  readonly name: string;
}

const trainCount = (perClass: number): number => Math.floor(perClass * 0.75);

function pictures(perClass: number): Picture[] {
  const digits = Math.max(3, String(perClass - 1).length);
  return Array.from({ length: 2 * perClass }, (_, i) => {
    const index = Math.floor(i / 2);
    const label = CLASSES[i % 2] as Label;
    const folder = path.join(index < trainCount(perClass) ? 'train' : 'val', label);
    return { label, index, folder, name: `${String(index).padStart(digits, '0')}.jpg` };
  });
}

const hasCode = (error: unknown, ...codes: string[]): boolean =>
  error instanceof Error && 'code' in error && codes.includes(String(error.code));

/** @returns an error that says in one sentence why the file system refused; others as they are */
function explained(error: unknown, dir: string): unknown {
  if (hasCode(error, 'ENOSPC', 'EDQUOT')) {
    return new DataError(`The disk is full: the sample needs about 5 MB in ${dir}; make room, then run it again.`, {
      cause: error,
    });
  }
  if (hasCode(error, 'ENOTDIR', 'EEXIST')) {
    return new DataError(
      `Expected a folder for the sample, found a file at ${dir} or above it; choose another --out.`,
      {
        cause: error,
      },
    );
  }
  if (hasCode(error, 'EROFS')) {
    return new DataError(`The sample could not be written to ${dir}: ${whyUnwritable(error, dir)}.`, { cause: error });
  }
  if (error instanceof Error && 'syscall' in error) {
    return new DataError(`The sample could not be written to ${dir} (${error.message}); choose another --out.`, {
      cause: error,
    });
  }
  return error;
}

const TEMPORARY = '.tmp-';

/** A file appears under its name only when it is whole. */
async function writeWhole(folder: string, name: string, bytes: Uint8Array | string): Promise<void> {
  const temporary = path.join(folder, `${TEMPORARY}${hostname()}-${process.pid}-${name}`);
  try {
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(bytes);
    } finally {
      await file.close();
    }
    await rename(temporary, path.join(folder, name));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** @returns whether the name is that of a temporary file of this host whose process is gone */
function isLeftover(name: string): boolean {
  const prefix = `${TEMPORARY}${hostname()}-`;
  const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : Number.NaN;
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    return !process.kill(pid, 0);
  } catch (error) {
    return hasCode(error, 'ESRCH');
  }
}

async function readMarker(dir: string): Promise<(Settings & { complete: boolean }) | undefined> {
  const file = path.join(dir, MARKER);
  let text: string;
  try {
    text = (await stat(file)).size > 1000 ? '' : await readFile(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    const { revision, seed, perClass, complete } = JSON.parse(text);
    if (!Number.isInteger(revision)) throw new DataError('the revision is no number');
    checkOptions('sample', { seed, perClass });
    return { revision, seed, perClass, complete: complete === true };
  } catch (error) {
    throw new DataError(`${file} is damaged; remove ${dir}, then run the sample again.`, {
      cause: error,
    });
  }
}

/** @returns what the folder holds, as relative paths; leftovers of a killed run are removed on the way */
async function list(dir: string): Promise<Set<string>> {
  const found = new Set<string>();
  const visit = async (folder: string, depth: number): Promise<void> => {
    let entries: Dirent[];
    try {
      entries = await readdir(path.join(dir, folder), { withFileTypes: true });
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return;
      throw error;
    }
    for (const entry of entries) {
      const name = path.join(folder, entry.name);
      const ours = depth === 0 ? SPLITS.some((split) => split === name) : CLASSES.some((label) => label === entry.name);
      if (entry.isDirectory() && depth < 2 && ours) await visit(name, depth + 1);
      else if (entry.isFile() && isLeftover(entry.name)) await rm(path.join(dir, name), { force: true });
      else if (!entry.name.startsWith(TEMPORARY) && entry.name !== '.DS_Store' && name !== MARKER) found.add(name);
    }
  };
  await visit('', 0);
  return found;
}

/**
 * Makes the folder ready: only pictures of these settings are left in it.
 * @returns those that are still to be drawn
 * @throws DataError when it holds anything that the sample did not draw
 */
async function prepare(dir: string, settings: Settings): Promise<Picture[]> {
  const found = await list(dir);
  const marker = await readMarker(dir);
  const known = marker ? pictures(marker.perClass).map(({ folder, name }) => path.join(folder, name)) : [];
  const drawn = new Set(known);
  const foreign = [...found].filter((name) => !drawn.has(name)).sort();
  if (foreign.length > 0) {
    throw new DataError(
      `${dir} holds ${foreign.length} ${foreign.length === 1 ? 'entry' : 'entries'} that the sample did not draw (such as ${foreign[0]}); choose another --out.`,
    );
  }
  const wanted = pictures(settings.perClass);
  const same =
    marker?.revision === settings.revision && marker.seed === settings.seed && marker.perClass === settings.perClass;
  if (same) {
    const missing = wanted.filter(({ folder, name }) => !found.has(path.join(folder, name)));
    if (missing.length > 0 && marker.complete) await writeMarker(dir, settings, false);
    return missing;
  }
  // The old marker goes last: should this be cut short, what is left still counts as drawn.
  await Promise.all([...found].map((name) => rm(path.join(dir, name), { force: true })));
  for (const { folder } of wanted) await realSystem.makeFolder(path.join(dir, folder));
  await writeMarker(dir, settings, false);
  return wanted;
}

const writeMarker = (dir: string, settings: Settings, complete: boolean): Promise<void> =>
  writeWhole(dir, MARKER, `${JSON.stringify({ ...settings, complete })}\n`);

/**
 * Draws a two-class set of photo-like pictures of inspected surfaces, `ok` and `defect`, 200×200 JPEG, as
 * `<dir>/{train,val}/{defect,ok}/NNN.jpg`. Pictures that are there already are left as they are; a run that was cut short is
 * taken up again; a set drawn with other settings is replaced.
 * @returns where the set lies and how many pictures it has
 * @throws UsageError for a seed or count out of range
 * @throws DataError when the folder holds other files, or cannot be written
 */
export async function drawSample(dir: string, options: SampleOptions = {}): Promise<Sample> {
  checkOptions('sample', options);
  const { seed = 0, perClass = 200 } = options;
  const settings: Settings = { revision: REVISION, seed, perClass };
  const root = path.resolve(dir);
  const total = 2 * perClass;
  const train = 2 * trainCount(perClass);
  options.signal?.throwIfAborted();
  try {
    const missing = await prepare(root, settings);
    await drawAll(root, seed, missing, total, options);
    if (missing.length > 0) await writeMarker(root, settings, true);
  } catch (error) {
    throw explained(error, root);
  }
  return { dir: root, images: total, train, val: total - train, classes: CLASSES };
}

async function drawAll(
  dir: string,
  seed: number,
  missing: readonly Picture[],
  total: number,
  { signal, onProgress }: SampleOptions,
): Promise<void> {
  let done = total - missing.length;
  onProgress?.(done, total);
  for (const folder of new Set(missing.map((picture) => picture.folder))) {
    await realSystem.makeFolder(path.join(dir, folder));
  }
  let failure: { readonly error: unknown } | undefined;
  const queue = missing.values();
  const lane = async (): Promise<void> => {
    for (const { label, index, folder, name } of queue) {
      if (failure) return;
      try {
        signal?.throwIfAborted();
        const pixels = drawPicture(seed, label, index);
        const jpeg = await sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 3 } })
          .jpeg({ quality: 90 })
          .toBuffer();
        await writeWhole(path.join(dir, folder), name, jpeg);
        onProgress?.(++done, total);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  if (failure) throw failure.error;
}
