import { isUtf8 } from 'node:buffer';
import { type BigIntStats, statSync, stat as statThen } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { breathe } from '../breathe.js';
import { byCodePoint } from '../canonical.js';
import { DataError } from '../errors.js';
import { isTemporary } from '../files/index.js';
import { looksLikeImage, type SystemPath } from '../images/index.js';
import { nameOf } from '../plain.js';
import { type FoundFile, NOISE, type WalkOptions } from './found.js';
import { FACTS, KIND, LookThread } from './look-aside.js';

interface Entry {
  readonly relative: string;
  readonly absolute: SystemPath;
}

/** @returns what to do about a name that lost its bytes on the way to us, in brackets; else nothing */
export const notUtf8 = (name: string): string =>
  name.includes('\ufffd') ? ' (a name that is no UTF-8 cannot be given: rename it, or give the folder above it)' : '';

function failure(error: unknown, dir: string): DataError {
  if (error instanceof DataError) return error;
  const { code } = error as NodeJS.ErrnoException;
  const reason =
    code === 'ENOENT'
      ? `there is no such folder${notUtf8(dir)}`
      : code === 'EACCES'
        ? 'it may not be read'
        : `it cannot be read (${code})`;
  return new DataError(`${dir}: ${reason}: give a folder of images`, { cause: error });
}

/** The walk of one folder, and where it must stay. */
interface Bounds extends WalkOptions {
  /** The real path of the folder that was given. */
  readonly root: Buffer;
}

const SEPARATOR = Buffer.from(path.sep);

const isWithin = (folder: Buffer, root: Buffer): boolean =>
  folder.equals(root) || folder.subarray(0, root.length + 1).equals(Buffer.concat([root, SEPARATOR]));

/**
 * Files in order, one folder's names in memory at a time; hidden ones left out, links followed, loops of links cut. They come in
 * runs that lie side by side in one folder: handed over one by one, most of the time of a large folder would go into that.
 */
async function* entries(
  dir: SystemPath,
  prefix: string,
  above: readonly Buffer[],
  bounds: Bounds,
): AsyncGenerator<readonly Entry[]> {
  let here: Buffer;
  let names: readonly Named[];
  try {
    here = await realpath(dir, { encoding: 'buffer' });
    if (above.some((folder) => folder.equals(here))) return;
    if (!isWithin(here, bounds.root)) {
      bounds.onLinkOut?.(
        `${prefix} is a link out of the folder and is not followed: give its target as a folder of its own`,
      );
      return;
    }
    names = await list(dir);
  } catch (error) {
    throw failure(error, nameOf(Buffer.from(dir as string)));
  }
  let run: Entry[] = [];
  for (const entry of names) {
    const relative = [prefix, entry.shown].join(''); // flat in memory, where + leaves both halves beside their sum
    let { isFolder } = entry;
    if (entry.isLink)
      isFolder = await stat(entry.absolute).then(
        (found) => found.isDirectory(),
        () => false,
      );
    if (!isFolder) {
      run.push({ relative, absolute: entry.absolute });
      continue;
    }
    if (run.length > 0) yield run;
    run = [];
    yield* entries(entry.absolute, `${relative}/`, [...above, here], bounds);
  }
  if (run.length > 0) yield run;
}

interface Named {
  readonly shown: string;
  readonly absolute: SystemPath;
  readonly isFolder: boolean;
  readonly isLink: boolean;
}

/** What a folder holds, sorted, without hidden names; sockets, pipes and devices are left out. */
async function list(dir: SystemPath): Promise<Named[]> {
  const found = await readdir(dir, { withFileTypes: true, encoding: 'buffer' });
  const named: Named[] = [];
  for (const entry of found) {
    const bytes = entry.name;
    const shown = nameOf(bytes);
    const isFolder = entry.isDirectory();
    const isLink = entry.isSymbolicLink();
    if (shown.startsWith('.') || isTemporary(shown) || NOISE.has(shown) || !(isFolder || isLink || entry.isFile()))
      continue;
    const absolute =
      typeof dir === 'string' && isUtf8(bytes)
        ? dir + (dir.endsWith(path.sep) ? '' : path.sep) + shown
        : Buffer.concat([Buffer.from(dir as string), SEPARATOR, bytes]);
    named.push({ shown, absolute, isFolder, isLink });
  }
  named.sort((a, b) => byCodePoint(a.shown, b.shown));
  const twin = named.find(({ shown }, i) => shown === named[i - 1]?.shown);
  if (twin === undefined) return named;
  throw new DataError(
    `${nameOf(Buffer.from(dir as string))} holds two names that are both written ${twin.shown}, as one of them is no UTF-8: rename one`,
  );
}

/**
 * The files of a folder and all folders below it, sorted by code point. Hidden files and folders (a dot in front) are left out, as are files that are still being written;
 * links are followed, but not in circles, nor to folders outside of this one; a link that leads nowhere, or to a pipe or device,
 * is given only where it is named like an image.
 * A file in the place of the folder is given alone.
 * @throws DataError when the folder, or one below it, cannot be read
 */
export async function* walkFolder(dir: string, options: WalkOptions = {}): AsyncGenerator<FoundFile> {
  const looker = new Looker();
  let waiting: Entry[] = [];
  // Looked at while those before them are worked on.
  const ahead: Promise<FoundFile[]>[] = [];
  let given = 0;
  try {
    for await (const run of await candidates(dir, options)) {
      for (const entry of run) {
        waiting.push(entry);
        if (waiting.length < looker.atOnce) continue;
        ahead.push(looker.look(waiting));
        given += waiting.length;
        waiting = [];
        while (ahead.length > looker.ahead) yield* (await ahead.shift()) ?? [];
        if (given < FILES_A_BREATH) continue;
        given = 0;
        await breathe(options.signal);
      }
    }
    ahead.push(looker.look(waiting));
    for (const looked of ahead) yield* await looked;
  } finally {
    looker.end();
  }
}

/** What `walkFolder` looks at, by name alone. */
async function candidates(
  dir: string,
  options: WalkOptions = {},
): Promise<AsyncIterable<readonly Entry[]> | readonly (readonly Entry[])[]> {
  const root = path.resolve(dir);
  const top = await stat(root).catch((error: unknown) => {
    throw failure(error, dir);
  });
  return top.isDirectory()
    ? entries(root, '', [], { ...options, root: await realpath(root, { encoding: 'buffer' }) })
    : [[{ relative: path.basename(root), absolute: root }]];
}

/** Looks in this thread let nothing else go on: a signal of the system must be heard, and progress be shown. */
const FILES_A_BREATH = 1024;

/** The promise that node:fs makes of it takes twice the time, which a rerun over 100,000 files feels. */
const statElsewhere = (file: SystemPath): Promise<BigIntStats> =>
  new Promise((resolve, reject) => {
    statThen(file, { bigint: true }, (error, stats) => (error ? reject(error) : resolve(stats)));
  });

/** Ms that a look at a file may take this thread. */
const NEAR_MS = 0.1;
/** Files after one that took longer, at which other threads look. */
const FAR = 1024;

/** Files after which a thread is worth starting, which takes some 40 ms. */
const MANY = 16_384;
/** Files that are asked for at once, and times that these are asked for ahead: here, and of the thread. */
const HERE = { atOnce: 64, ahead: 1 } as const;
const ASIDE = { atOnce: 512, ahead: 8 } as const;

/**
 * Looks at files: in this thread while the system knows them by heart, which takes half the time of handing them to another; where there
 * are very many in a second thread, which goes ahead of what is done with them; where looks take long in several.
 */
class Looker {
  private far = 0;
  private looked = 0;
  private aside: LookThread | null | undefined;

  get atOnce(): number {
    return this.mode.atOnce;
  }

  get ahead(): number {
    return this.mode.ahead;
  }

  /** @returns the files that are there, and those that are named like images */
  async look(entries: readonly Entry[]): Promise<FoundFile[]> {
    this.looked += entries.length;
    if (this.looked > MANY && this.aside === undefined) this.aside = LookThread.start();
    const files = (await this.thread(entries)) ?? (await this.oneByOne(entries));
    return files.filter((file) => file !== null);
  }

  end(): void {
    this.aside?.end();
  }

  private get mode(): typeof HERE | typeof ASIDE {
    return this.aside && this.far <= 0 ? ASIDE : HERE;
  }

  /** @returns null where it is not asked, or has ended */
  private async thread(entries: readonly Entry[]): Promise<(FoundFile | null)[] | null> {
    if (!this.aside || this.far > 0) return null;
    const paths = entries.flatMap(({ absolute }) => (typeof absolute === 'string' ? absolute : []));
    if (paths.length < entries.length || paths.length === 0) return null;
    const looked = await this.aside.look(paths);
    if (looked === null) {
      this.aside = null;
      return null;
    }
    if (looked.ms > NEAR_MS * paths.length) this.far = FAR;
    const [facts, inodes] = [new BigInt64Array(looked.facts), new BigUint64Array(looked.facts)];
    const keys = new Uint8Array(looked.keys);
    return entries.map((entry, i) => {
      const at = i * FACTS;
      if (facts[at] === KIND.absent) return absent(entry);
      if (facts[at] !== KIND.file && !looksLikeImage(entry.relative)) return null;
      return {
        path: entry.relative,
        absolute: entry.absolute,
        size: Number(facts[at + 1]),
        mtimeNs: facts[at + 2] as bigint,
        ino: inodes[at + 3] as bigint,
        pathKey: keys.subarray(i * 32, i * 32 + 32),
      };
    });
  }

  private oneByOne(entries: readonly Entry[]): Promise<(FoundFile | null)[]> {
    return Promise.all(entries.map((entry) => (this.far > 0 ? this.elsewhere(entry) : this.here(entry))));
  }

  private here(entry: Entry): FoundFile | null {
    const began = performance.now();
    try {
      return fileOf(entry, statSync(entry.absolute, { bigint: true }));
    } catch {
      return absent(entry);
    } finally {
      if (performance.now() - began > NEAR_MS) this.far = FAR;
    }
  }

  private async elsewhere(entry: Entry): Promise<FoundFile | null> {
    this.far--;
    return statElsewhere(entry.absolute).then(
      (found) => fileOf(entry, found),
      () => absent(entry),
    );
  }
}

function fileOf({ relative, absolute }: Entry, found: BigIntStats): FoundFile | null {
  if (!found.isFile() && !looksLikeImage(relative)) return null;
  const { size, mtimeNs, ino } = found;
  return { path: relative, absolute, size: Number(size), mtimeNs, ino };
}

const absent = ({ relative, absolute }: Entry): FoundFile | null =>
  looksLikeImage(relative) ? { path: relative, absolute, size: 0, mtimeNs: 0n, ino: 0n } : null;

/** @returns how many files `walkFolder` gives, or will nearly */
export async function countFolder(dir: string): Promise<number> {
  let count = 0;
  for await (const run of await candidates(dir)) count += run.length;
  return count;
}

/**
 * Whether `walkFolder` gives any file, or nearly so; it looks no further than the first.
 * @throws DataError when the folder cannot be read
 */
export async function folderHoldsFiles(dir: string): Promise<boolean> {
  for await (const _ of await candidates(dir)) return true;
  return false;
}

/** @returns the folders one and two levels below, relative with `/`, sorted: those that may name splits and classes */
export async function foldersBelow(dir: string): Promise<string[]> {
  const found: string[] = [];
  const visit = async (at: SystemPath, prefix: string, depth: number): Promise<void> => {
    const names = await list(at).catch((error: unknown) => {
      throw failure(error, nameOf(Buffer.from(at as string)));
    });
    for (const { shown, absolute, isFolder, isLink } of names) {
      const leads = isLink
        ? await stat(absolute).then(
            (found) => found.isDirectory(),
            () => false,
          )
        : isFolder;
      if (!leads) continue;
      found.push(prefix + shown);
      if (depth < 2) await visit(absolute, `${prefix}${shown}/`, depth + 1);
    }
  };
  await visit(path.resolve(dir), '', 1);
  return found;
}
