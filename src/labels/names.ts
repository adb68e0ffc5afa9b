import { dirname, resolve } from 'node:path';
import { plain } from '../plain.js';
import type { DataFile } from './labels.js';
import { IMAGE_NAME } from './table.js';

/** How a name of a label file was matched to a file, as people are told. */
const WAYS = {
  spelling: 'by another spelling of the path',
  case: 'in another case',
  ending: 'by the name without its ending',
  otherEnding: 'with another ending',
  below: 'inside folders that the name leaves out',
  above: 'without folders in front of the name',
  prefix: 'without the folders that all names share',
  upload: 'without the prefix of an upload',
} as const;
export type Way = keyof typeof WAYS;

/** What came of one name. */
export type Match = { readonly file: DataFile; readonly ways: readonly Way[] } | { readonly why: string | null };

/** A name taken apart. */
interface Parts {
  readonly folders: readonly string[];
  readonly base: string;
}

const ENDING = /\.[A-Za-z0-9]{1,5}$/;
const stemOf = (base: string): string => (IMAGE_NAME.test(base) ? base.replace(ENDING, '') : base);
const fold = (text: string): string => text.normalize('NFC').toLowerCase();

/** @returns a path with `/`, composed characters, no drive, no scheme and no root: what two spellings of it have in common */
export function plainPath(name: string): string {
  let path = name.trim();
  const local = /[?&]d=([^&#]+)/.exec(path)?.[1];
  const remote = /^[a-z][a-z0-9+.-]+:\/\/[^/]*/i.exec(path)?.[0];
  if (local !== undefined) path = decoded(local);
  else if (remote !== undefined) path = decoded(path.slice(remote.length).replace(/[?#].*$/, ''));
  const kept: string[] = [];
  for (const part of path
    .replaceAll('\\', '/')
    .replace(/^[a-z]:/i, '')
    .split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') kept.pop();
    else kept.push(part);
  }
  return kept.join('/').normalize('NFC');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const partsOf = (path: string): Parts => {
  const folders = path.split('/');
  const base = folders.pop() ?? '';
  return { folders, base };
};

const endsWith = (long: readonly string[], short: readonly string[]): boolean =>
  short.length <= long.length &&
  short.every((part, i) => fold(part) === fold(long[long.length - short.length + i] ?? ''));

/** The files of a data folder by the names that label files may have for them. */
export class FileNames {
  private readonly absolute = new Map<string, DataFile>();
  private readonly contents = new Map<string, DataFile>();
  private readonly plain = new Map<string, DataFile[]>();
  private readonly byBase = new Map<string, DataFile[]>();
  private readonly byStem = new Map<string, DataFile[]>();
  private readonly parts = new Map<DataFile, Parts>();

  /** @param beside the label file: paths are relative to its folder, then to the data folder */
  constructor(
    readonly files: readonly DataFile[],
    private readonly dataDir: string,
    private readonly beside: string,
  ) {
    const add = (map: Map<string, DataFile[]>, key: string, file: DataFile): void => {
      const there = map.get(key);
      if (there === undefined) map.set(key, [file]);
      else there.push(file);
    };
    for (const file of files) {
      const written = plain(file.path); // as tables that we write have it
      if (written !== file.path) this.absolute.set(resolve(dataDir, written), file);
    }
    for (const file of files) {
      this.absolute.set(resolve(dataDir, file.path), file);
      this.contents.set(file.sha256.toLowerCase(), file);
      const path = plainPath(file.path);
      const parts = partsOf(path);
      this.parts.set(file, parts);
      add(this.plain, path, file);
      add(this.byBase, fold(parts.base), file);
      add(this.byStem, fold(stemOf(parts.base)), file);
    }
  }

  /** @returns a file of a content, 64 hex digits in lower case */
  ofContent(sha256: string): DataFile | undefined {
    return this.contents.get(sha256);
  }

  /** @returns the file that a name says as it stands */
  exact(name: string): DataFile | undefined {
    return this.absolute.get(resolve(dirname(this.beside), name)) ?? this.absolute.get(resolve(this.dataDir, name));
  }

  /** @returns whether a text may be the name of a file here, for the guess which column holds names */
  mayName(text: string): boolean {
    if (text === '') return false;
    const { base } = partsOf(plainPath(text));
    return this.byBase.has(fold(base)) || this.byStem.has(fold(base)) || this.byStem.has(fold(stemOf(base)));
  }

  /**
   * Matches the names of a label file to files: a name as it stands, else where exactly one file answers to it and no other name asks
   * for that file.
   * @returns what came of each name
   */
  match(names: readonly string[]): Map<string, Match> {
    const matches = new Map<string, Match>();
    const taken = new Map<DataFile, string>();
    const open: string[] = [];
    for (const name of new Set(names)) {
      const file = this.exact(name);
      if (file === undefined) {
        open.push(name);
        continue;
      }
      matches.set(name, { file, ways: [] });
      taken.set(file, plainPath(name));
    }
    const folders = sharedFolders(names.map((name) => partsOf(plainPath(name)).folders));
    // Where some names are right as they stand, or there is such a folder, it means something.
    const shared = taken.size > 0 || this.hasFolder(folders.at(-1)) ? 0 : folders.length;
    const asking = new Map<DataFile, Set<string>>();
    for (const name of open) {
      const found = this.loose(name, shared);
      matches.set(name, found);
      if ('file' in found) {
        asking.set(found.file, (asking.get(found.file) ?? new Set()).add(plainPath(name)));
      }
    }
    for (const name of open) {
      const found = matches.get(name);
      if (found === undefined || !('file' in found)) continue;
      const owner = taken.get(found.file);
      const asked = asking.get(found.file)?.size ?? 0;
      if (asked > 1) matches.set(name, { why: `${asked} names ask for ${found.file.path}` });
      else if (owner !== undefined && found.ways.some((way) => way !== 'spelling')) {
        matches.set(name, { why: `${found.file.path} is named by another line` });
      }
    }
    return matches;
  }

  private hasFolder(name = ''): boolean {
    for (const { folders } of this.parts.values())
      if (folders.some((folder) => fold(folder) === fold(name))) return true;
    return false;
  }

  private loose(name: string, shared: number): Match {
    const path = plainPath(name);
    const same = this.plain.get(path);
    if (same?.length === 1) return { file: same[0] as DataFile, ways: ['spelling'] };
    const asked = partsOf(path);
    const upload = /^[0-9a-f]{8}-(.+)$/.exec(asked.base)?.[1];
    const found = this.among(asked, shared);
    if (upload === undefined || 'file' in found || found.why !== null) return found;
    const short = this.among({ folders: [], base: upload }, 0);
    return 'file' in short ? { file: short.file, ways: [...short.ways, 'upload'] } : short;
  }

  private among(asked: Parts, shared: number): Match {
    const { base } = asked;
    const candidates = new Set([
      ...(this.byBase.get(fold(base)) ?? []),
      ...(this.byStem.get(fold(base)) ?? []),
      ...(this.byStem.get(fold(stemOf(base))) ?? []),
    ]);
    // The closest kind of likeness first: the ending, then the folders.
    const tiers = new Map<number, { file: DataFile; ways: Way[] }[]>();
    for (const file of candidates) {
      const parts = this.parts.get(file) as Parts;
      const folders = relationOf(asked.folders, parts.folders, shared);
      if (folders === null) continue;
      const [ending, endingWays] = endingOf(base, parts.base);
      const tier = 2 * ending + (folders.length > 0 ? 1 : 0);
      tiers.set(tier, [...(tiers.get(tier) ?? []), { file, ways: [...endingWays, ...folders] }]);
    }
    const [first] = [...tiers].sort(([a], [b]) => a - b);
    if (first === undefined) return { why: null };
    const [, answers] = first;
    if (answers.length === 1) return answers[0] as { file: DataFile; ways: Way[] };
    const two = answers.slice(0, 2).map(({ file }) => file.path);
    return { why: `${answers.length} files answer to it, as ${two.join(' and ')}` };
  }

  /** @returns a sentence's end: the nearest file and what differs; nothing where there is no file */
  nearest(name: string): string {
    const { folders, base } = partsOf(plainPath(name));
    const same = this.byBase.get(fold(base))?.[0] ?? this.byStem.get(fold(stemOf(base)))?.[0];
    if (same !== undefined) {
      const parts = this.parts.get(same) as Parts;
      const differs = [
        ...(fold(folders.join('/')) === fold(parts.folders.join('/')) ? [] : ['the folder']),
        ...(fold(parts.base) === fold(base) ? (parts.base === base ? [] : ['the case']) : ['the ending']),
      ];
      return `the nearest file is ${same.path}: ${differs.join(' and ') || 'the path'} differs`;
    }
    let best: { file: DataFile; distance: number } | undefined;
    for (const file of this.files.slice(0, LOOKED_AT)) {
      const other = (this.parts.get(file) as Parts).base;
      const distance = editDistance(fold(base), fold(other), best?.distance ?? Number.POSITIVE_INFINITY);
      if (best === undefined || distance < best.distance) best = { file, distance };
    }
    return best === undefined ? 'there is no image' : `the nearest file is ${best.file.path}: the name differs`;
  }
}

/** Files that a search for the nearest one looks at. */
const LOOKED_AT = 20_000;

/** @returns how the folders of a name and of a file agree; null where they say different things */
function relationOf(asked: readonly string[], there: readonly string[], shared: number): Way[] | null {
  if (asked.length === there.length && endsWith(asked, there)) {
    return asked.every((part, i) => part === there[i]) ? [] : ['case'];
  }
  if (endsWith(there, asked)) return ['below'];
  if (endsWith(asked, there)) return ['above'];
  return shared > 0 && endsWith(there, asked.slice(shared)) ? ['prefix'] : null;
}

/** @returns how near two base names are, 0 the nearest */
function endingOf(asked: string, there: string): [number, Way[]] {
  if (asked === there) return [0, []];
  if (fold(asked) === fold(there)) return [0, ['case']];
  if (fold(asked) === fold(stemOf(there))) return [1, ['ending']];
  return [2, ['otherEnding']];
}

/** @returns the folders that all names begin with */
function sharedFolders(all: readonly (readonly string[])[]): readonly string[] {
  const [first = [], ...rest] = all;
  let shared = first.length;
  for (const folders of rest) {
    let same = 0;
    while (same < Math.min(shared, folders.length) && folders[same] === first[same]) same += 1;
    shared = same;
    if (shared === 0) break;
  }
  return first.slice(0, shared);
}

/** Levenshtein's distance; stops where it cannot fall below `most`. */
function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) >= most) return most;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + same));
    }
    row = next;
    if (Math.min(...row) >= most) return most;
  }
  return row[b.length] as number;
}

/** @returns how many names were matched how, for people; nothing where all were as they stand */
export function matchedHow(matches: Iterable<Match>): string | null {
  const counts = new Map<string, number>();
  for (const match of matches) {
    if (!('file' in match) || match.ways.length === 0) continue;
    const how = match.ways.map((way) => WAYS[way]).join(', ');
    counts.set(how, (counts.get(how) ?? 0) + 1);
  }
  if (counts.size === 0) return null;
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([how, count]) => `${count} ${how}`)
    .join('; ');
}
