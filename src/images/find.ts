import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { byCodePoint } from '../canonical.js';
import { DataError } from '../errors.js';
import { looksLikeImage } from './sniff.js';

/** A file as a walk found it; nothing of it has been read. */
export interface FoundFile {
  /** Relative to the folder, with `/`. */
  readonly path: string;
  readonly absolute: string;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ino: bigint;
}

interface Entry {
  readonly relative: string;
  readonly absolute: string;
}

/** What systems put beside pictures. */
const NOISE = new Set(['__MACOSX', 'Thumbs.db', 'desktop.ini']);

function failure(error: unknown, dir: string): DataError {
  const { code } = error as NodeJS.ErrnoException;
  const reason =
    code === 'ENOENT'
      ? 'there is no such folder'
      : code === 'EACCES'
        ? 'it may not be read'
        : `it cannot be read (${code})`;
  return new DataError(`${dir}: ${reason}: give a folder of images`, { cause: error });
}

/** Files in order, one folder's names in memory at a time; hidden ones left out, links followed, loops of links cut. */
async function* entries(dir: string, prefix: string, above: readonly string[]): AsyncGenerator<Entry> {
  let here: string;
  let names: Awaited<ReturnType<typeof list>>;
  try {
    here = await realpath(dir);
    if (above.includes(here)) return;
    names = await list(dir);
  } catch (error) {
    throw failure(error, dir);
  }
  for (const entry of names) {
    const absolute = path.join(dir, entry.name);
    const relative = prefix + entry.name;
    let isFolder = entry.isDirectory();
    if (entry.isSymbolicLink())
      isFolder = await stat(absolute).then(
        (found) => found.isDirectory(),
        () => false,
      );
    else if (!isFolder && !entry.isFile()) continue; // sockets, pipes, devices
    if (isFolder) yield* entries(absolute, `${relative}/`, [...above, here]);
    else yield { relative, absolute };
  }
}

async function list(dir: string) {
  const found = await readdir(dir, { withFileTypes: true });
  return found
    .filter(({ name }) => !name.startsWith('.') && !NOISE.has(name))
    .sort((a, b) => byCodePoint(a.name, b.name));
}

/**
 * The files of a folder and all folders below it, sorted by code point. Hidden files and folders (a dot in front) are left out;
 * links are followed, but not in circles; a link that leads nowhere is given only where it is named like an image.
 * A file in the place of the folder is given alone.
 * @throws DataError when the folder, or one below it, cannot be read
 */
export async function* walk(dir: string): AsyncGenerator<FoundFile> {
  const root = path.resolve(dir);
  const top = await stat(root).catch((error: unknown) => {
    throw failure(error, dir);
  });
  const files = top.isDirectory() ? entries(root, '', []) : [{ relative: path.basename(root), absolute: root }];
  let waiting: Entry[] = [];
  for await (const entry of files) {
    waiting.push(entry);
    if (waiting.length < STATS_AT_ONCE) continue;
    yield* await found(waiting);
    waiting = [];
  }
  yield* await found(waiting);
}

/** One after the other, most of the time would go by between the calls. */
const STATS_AT_ONCE = 64;

async function found(entries: readonly Entry[]): Promise<FoundFile[]> {
  const files = await Promise.all(
    entries.map(async ({ relative, absolute }): Promise<FoundFile | null> => {
      try {
        const { size, mtimeNs, ino } = await stat(absolute, { bigint: true });
        return { path: relative, absolute, size: Number(size), mtimeNs, ino };
      } catch {
        return looksLikeImage(relative) ? { path: relative, absolute, size: 0, mtimeNs: 0n, ino: 0n } : null;
      }
    }),
  );
  return files.filter((file) => file !== null);
}

/** @returns how many files `walk` gives, or will nearly */
export async function countFiles(dir: string): Promise<number> {
  const root = path.resolve(dir);
  const top = await stat(root).catch((error: unknown) => {
    throw failure(error, dir);
  });
  if (!top.isDirectory()) return 1;
  let count = 0;
  for await (const _ of entries(root, '', [])) count++;
  return count;
}

/** @returns the folders one and two levels below, relative with `/`, sorted: those that may name splits and classes */
export async function classFolders(dir: string): Promise<string[]> {
  const found: string[] = [];
  const visit = async (at: string, prefix: string, depth: number): Promise<void> => {
    const names = await list(at).catch((error: unknown) => {
      throw failure(error, at);
    });
    for (const entry of names) {
      const absolute = path.join(at, entry.name);
      const isFolder = entry.isSymbolicLink()
        ? await stat(absolute).then(
            (s) => s.isDirectory(),
            () => false,
          )
        : entry.isDirectory();
      if (!isFolder) continue;
      found.push(prefix + entry.name);
      if (depth < 2) await visit(absolute, `${prefix}${entry.name}/`, depth + 1);
    }
  };
  await visit(path.resolve(dir), '', 1);
  return found;
}
