import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { DataError } from '../errors.js';
import {
  errorCode,
  isSameFile,
  placeFile,
  realSystem,
  type StoreOptions,
  type StoreSystem,
  tryFolder,
  writeError,
} from '../files/index.js';
import type { HeadInfo } from '../heads/head-info.js';
import type { SystemPath } from '../images/index.js';
import { usage } from '../options/check.js';
import { nameOf } from '../plain.js';
import { isObjectAddress } from '../sources/index.js';

/** What became of the images that were to be sorted. */
export interface Sorted {
  /** Absolute. */
  readonly dir: string;
  /** Images of each class that has any, in the head's order; those of one name and one content are one file. */
  readonly classes: readonly { readonly label: string; readonly files: number }[];
  /** New files: second names of the images, on the same disk, and copies. */
  readonly linked: number;
  readonly copied: number;
  /** Files that an earlier run has placed, or that are the same image under the same name. */
  readonly there: number;
  /** Files that got digits of their content behind their names, as another image has the name. */
  readonly renamed: number;
  /** Images that lie in the folder of another class too, where an earlier run has put them. */
  readonly elsewhere: number;
  /** Images of which nothing was said, or nothing surely enough. */
  readonly unsaid: number;
}

/** An image that is to be sorted. */
export interface Sortable {
  readonly absolute: SystemPath;
  readonly sha256: string;
  /** Its classes; none where nothing is said of it. */
  readonly labels: readonly string[];
}

const FORBIDDEN = /[<>:"/\\|?*%\p{Cc}]/gu;
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$/i;
const percent = (letters: string): string =>
  Array.from(Buffer.from(letters), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');

/** @returns the folder of a class: its name, what no system takes in a name as `%2F`, so that no two classes have one folder */
export function folderOf(label: string): string {
  const safe = label.replace(FORBIDDEN, percent).replace(/^\.+|[. ]$/g, percent);
  return DEVICE.test(safe) ? percent(safe.slice(0, 1)) + safe.slice(1) : safe;
}

/** Sorts images into one folder a class, by links or copies; nothing is moved, removed or written over. */
export class Sorter {
  private readonly folders = new Map<string, string>();
  private readonly places = new Map<string, string>();
  private readonly counts = new Map<string, number>();
  private readonly count = { linked: 0, copied: 0, there: 0, renamed: 0, elsewhere: 0, unsaid: 0 };

  private constructor(
    private readonly dir: string,
    private readonly classes: readonly string[],
    private readonly system: StoreSystem,
    /** What lay in the folder of each class before. */
    private readonly before: ReadonlyMap<string, ReadonlySet<string>>,
  ) {}

  /**
   * @param paths whose images are sorted
   * @throws UsageError where the folder is among them, or they in it: what is sorted would be sorted again; FileError where it cannot
   *   be written
   */
  static async open(
    dir: string,
    { classes }: Pick<HeadInfo, 'classes'>,
    paths: readonly string[],
    options: StoreOptions = {},
  ): Promise<Sorter> {
    const { system = realSystem } = options;
    const place = path.resolve(dir);
    const [far] = paths.filter(isObjectAddress);
    if (far !== undefined)
      throw usage('{sortInto} places files of this machine, and % is none: fetch the images first', far);
    await checkApart('sortInto', place, paths, dir);
    const before = new Map<string, Set<string>>();
    try {
      await tryFolder(system, place);
      for (const label of classes) before.set(label, await namesIn(system, path.join(place, folderOf(label))));
    } catch (error) {
      throw writeError(error, place);
    }
    return new Sorter(place, classes, system, before);
  }

  /** @throws FileError where the folder cannot be written; DataError where the image is gone or lies in an object store, or two classes have one folder */
  async sort({ absolute, sha256, labels }: Sortable): Promise<void> {
    if (isObjectAddress(absolute))
      throw new DataError(`${absolute} lies in an object store, and only files of this machine are sorted: fetch it`);
    if (labels.length === 0) this.count.unsaid += 1;
    const name = baseOf(absolute);
    const ending = path.extname(name);
    const stem = ending === '' ? name : name.slice(0, -ending.length);
    const names = [name, ...[8, 64].map((digits) => `${stem}-${sha256.slice(0, digits)}${ending}`)];
    for (const label of labels) {
      await this.place(absolute, await this.folder(label), names);
      this.counts.set(label, (this.counts.get(label) ?? 0) + 1);
    }
    const others = this.classes.filter((label) => !labels.includes(label));
    if (await this.isIn(absolute, others, names)) this.count.elsewhere += 1;
  }

  private async place(absolute: SystemPath, folder: string, names: readonly string[]): Promise<void> {
    for (const [i, name] of names.entries()) {
      const to = path.join(folder, name);
      try {
        const placed = await placeFile(absolute, to, { system: this.system });
        if (placed === 'taken') continue;
        this.count[placed] += 1;
        if (i > 0 && placed !== 'there') this.count.renamed += 1;
        return;
      } catch (error) {
        throw writeError(error, to);
      }
    }
    throw new DataError(`${folder} holds other files of all names that ${names[0]} may have: give another folder`);
  }

  private async isIn(absolute: SystemPath, labels: readonly string[], names: readonly string[]): Promise<boolean> {
    for (const label of labels)
      for (const name of names.filter((one) => this.before.get(label)?.has(one)))
        if (await isSameFile(absolute, path.join(this.dir, folderOf(label), name)).catch(() => false)) return true;
    return false;
  }

  private async folder(label: string): Promise<string> {
    const known = this.folders.get(label);
    if (known !== undefined) return known;
    const folder = path.join(this.dir, folderOf(label));
    let identity: string;
    try {
      await this.system.makeFolder(folder);
      identity = (await this.system.identity(folder)).facts.slice(0, 2).join(' '); // device and inode
    } catch (error) {
      throw writeError(error, folder);
    }
    const other = this.places.get(identity);
    if (other !== undefined) {
      throw new DataError(
        `the disk of ${this.dir} has one folder for the classes ${other} and ${label}: give a folder on another`,
      );
    }
    this.places.set(identity, label);
    this.folders.set(label, folder);
    return folder;
  }

  get sorted(): Sorted {
    const classes = this.classes.flatMap((label) => {
      const files = this.counts.get(label) ?? 0;
      return files === 0 ? [] : [{ label, files }];
    });
    return { dir: this.dir, classes, ...this.count };
  }
}

async function namesIn(system: StoreSystem, folder: string): Promise<Set<string>> {
  try {
    return new Set(await system.list(folder));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return new Set();
    throw error;
  }
}

/** @returns the name of a file, for people */
export const baseOf = (absolute: SystemPath): string =>
  typeof absolute === 'string'
    ? path.basename(absolute)
    : nameOf(absolute.subarray(absolute.lastIndexOf(path.sep) + 1));

/** The real path, as far as it is there. */
async function realOf(place: string): Promise<string> {
  try {
    return await realpath(place);
  } catch {
    const above = path.dirname(place);
    return above === place ? place : path.join(await realOf(above), path.basename(place));
  }
}

/**
 * @param option that names the folder
 * @throws UsageError where a folder for results is among those that are read, or they in it: a second run would read the results
 */
export async function checkApart(
  option: 'sortInto' | 'out',
  folder: string,
  paths: readonly string[],
  shown = folder,
): Promise<void> {
  const real = await realOf(path.resolve(folder));
  for (const given of paths) {
    const other = await realOf(path.resolve(given));
    if (isWithin(real, other) || isWithin(other, real)) {
      throw usage(`{${option}} % and the images of % lie within each other: give a folder beside them`, shown, given);
    }
  }
}

const isWithin = (place: string, folder: string): boolean => {
  const way = path.relative(folder, place);
  return way === '' || !(way === '..' || way.startsWith(`..${path.sep}`) || path.isAbsolute(way));
};
