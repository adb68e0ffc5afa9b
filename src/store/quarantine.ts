import { join } from 'node:path';
import { byCodePoint, sha256Hex } from '../canonical.js';
import {
  errorCode,
  readWhole,
  realSystem,
  type StoreOptions,
  type StoreSystem,
  storeError,
  writeAtomically,
} from '../files/index.js';

/** An image that could not be used. */
export interface QuarantineEntry {
  /** Of the file, 64 hexadecimal digits; null where it could not be read. */
  readonly sha256: string | null;
  /** Where it was seen first. */
  readonly path: string;
  /** Where it failed: `read`, `sniff`, `decode`, … */
  readonly stage: string;
  readonly message: string;
}

/** The one file of older versions, which was appended to. */
const OLD_FILE = '_quarantine.jsonl';
const NAME = /^_quarantine-[0-9a-f]{32}\.jsonl$/;
const MAX_BYTES = 2 ** 30;
/** Bytes at which a file ends and another begins. */
const FILE_BYTES = 2 ** 26;
const NEWLINE = 10;

/** Two entries of one name are about the same thing. */
function nameOf(entry: QuarantineEntry): string {
  return entry.sha256 ?? `path:${entry.path}`;
}

function line(entry: QuarantineEntry): string {
  const { sha256, path, stage, message } = entry;
  return `${JSON.stringify({ sha256, path, stage, message })}\n`;
}

/** @returns null for a line that is no entry, as a crash or two appends at once may have left it in an old file */
function parse(text: string): QuarantineEntry | null {
  try {
    const value = JSON.parse(text) as Partial<Record<string, unknown>> | null;
    const { sha256, path, stage, message } = value ?? {};
    if (sha256 !== null && !(typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256))) return null;
    if (typeof path !== 'string' || typeof stage !== 'string' || typeof message !== 'string') return null;
    return { sha256, path, stage, message };
  } catch {
    return null;
  }
}

/** @returns whether files of that name are of a quarantine */
export const isQuarantineName = (name: string): boolean => NAME.test(name) || name === OLD_FILE;

const fileName = (bytes: Uint8Array): string => `_quarantine-${sha256Hex(bytes).slice(0, 32)}.jsonl`;

/** What the files of a quarantine say. */
interface Loaded {
  readonly entries: Map<string, QuarantineEntry>;
  /** File names, in the order in which they are read. */
  readonly files: readonly string[];
  /** Those of them whose bytes are not those of their name. */
  readonly damaged: readonly string[];
}

/**
 * The images of a set that could not be used: files `_quarantine-<digest of its bytes>.jsonl`, a line an image, each written once and
 * whole, so that any number of writers on any number of machines may add some and a copy of the folder is right at any time.
 */
export class Quarantine {
  private readonly pending = new Map<string, QuarantineEntry>();

  private constructor(
    private readonly system: StoreSystem,
    private readonly dir: string,
    private byName: Map<string, QuarantineEntry>,
    /** Files whose bytes are not those of their name, as a copy that was cut leaves them: they count for nothing. */
    readonly damaged: readonly string[],
  ) {}

  /** @param dir the set's folder */
  static async open(dir: string, options: StoreOptions = {}): Promise<Quarantine> {
    const system = options.system ?? realSystem;
    const { entries, damaged } = await load(system, dir);
    return new Quarantine(system, dir, entries, damaged);
  }

  get size(): number {
    return this.byName.size;
  }

  /** @param sha256 64 hexadecimal digits */
  has(sha256: string): boolean {
    return this.byName.has(sha256);
  }

  /** @returns all entries: one for each content, and for each path that could not be read */
  entries(): QuarantineEntry[] {
    return [...this.byName.values()];
  }

  /** Remembers an image; it is on disk after the next flush. */
  add(entry: QuarantineEntry): void {
    const name = nameOf(entry);
    const known = this.byName.get(name);
    if (known !== undefined && line(known) === line(entry)) return;
    this.byName.set(name, entry);
    this.pending.set(name, entry);
  }

  /** Writes what was added, durably. */
  async flush(): Promise<void> {
    if (this.pending.size === 0) return;
    const given = [...this.pending];
    const added = new Map(given);
    const before = await load(this.system, this.dir);
    for (const [name, entry] of added) {
      const known = before.entries.get(name);
      if (known !== undefined && line(known) === line(entry)) added.delete(name);
    }
    const isAnew = [...added.keys()].some((name) => before.entries.has(name));
    if (isAnew) await this.replace(before, new Map([...before.entries, ...added]));
    else await this.write(added.values());
    for (const [name, entry] of given) if (this.pending.get(name) === entry) this.pending.delete(name);
  }

  /**
   * Takes entries out, so that their images are tried again (`--retry-failed`): those of the given contents, or all. What another process
   * adds in the same moment stays.
   */
  async forget(sha256s?: Iterable<string>): Promise<void> {
    await this.flush();
    const before = await load(this.system, this.dir);
    const left = new Map(sha256s === undefined ? [] : before.entries);
    for (const sha256 of sha256s ?? []) left.delete(sha256);
    this.byName = left;
    if (left.size < before.entries.size || before.damaged.length > 0) await this.replace(before, left);
  }

  /** Makes one file of several. */
  async merge(): Promise<void> {
    await this.flush();
    const before = await load(this.system, this.dir);
    if (before.files.length > 1 || before.files.includes(OLD_FILE)) await this.replace(before, before.entries);
  }

  /** What stays is in place before what said it goes. */
  private async replace(before: Loaded, entries: ReadonlyMap<string, QuarantineEntry>): Promise<void> {
    const written = await this.write(entries.values());
    for (const name of before.files) {
      if (written.has(name)) continue;
      const path = join(this.dir, name);
      await this.system.unlink(path).catch((error: unknown) => {
        if (errorCode(error) !== 'ENOENT') throw storeError(error, `to remove ${name}`, path);
      });
    }
  }

  /** @returns the names of the files. The same entries in any order are the same files */
  private async write(entries: Iterable<QuarantineEntry>): Promise<Set<string>> {
    const written = new Set<string>();
    let lines: string[] = [];
    let length = 0;
    const end = async (): Promise<void> => {
      if (lines.length === 0) return;
      const bytes = Buffer.from(lines.join(''));
      await writeAtomically(this.system, this.dir, fileName(bytes), [bytes]);
      written.add(fileName(bytes));
      lines = [];
      length = 0;
    };
    for (const text of Array.from(entries, line).sort(byCodePoint)) {
      lines.push(text);
      length += text.length;
      if (length >= FILE_BYTES) await end();
    }
    await end();
    return written;
  }
}

/** Of two entries about one thing the one counts whose file comes first by name; those of an old file come last. */
async function load(system: StoreSystem, dir: string): Promise<Loaded> {
  const entries = new Map<string, QuarantineEntry>();
  const damaged: string[] = [];
  const names = await system.list(dir).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw storeError(error, 'to list the feature set', dir);
  });
  const files: string[] = [];
  for (const name of [...names.filter((name) => NAME.test(name)).sort(), OLD_FILE]) {
    const bytes = await bytesOf(system, dir, name);
    if (bytes === null) continue;
    files.push(name);
    if (name !== OLD_FILE && name !== fileName(bytes)) damaged.push(name);
    else readLines(bytes, entries, name === OLD_FILE);
  }
  return { entries, files, damaged };
}

/** @returns null where it is not there, or not any more */
async function bytesOf(system: StoreSystem, dir: string, name: string): Promise<Buffer | null> {
  const path = join(dir, name);
  try {
    const whole = await readWhole(system, path, MAX_BYTES);
    return Buffer.from(whole.buffer, 0, whole.length);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw storeError(error, `to read ${name}`, path);
  }
}

/** @param isLaterFirst whether of two lines about one thing the later counts, as where lines were appended */
function readLines(bytes: Buffer, entries: Map<string, QuarantineEntry>, isLaterFirst: boolean): void {
  const here = new Map<string, QuarantineEntry>();
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    const entry = parse(bytes.toString('utf8', start, end));
    if (entry !== null && (isLaterFirst || !here.has(nameOf(entry)))) here.set(nameOf(entry), entry);
    start = end + 1;
  }
  for (const [name, entry] of here) if (!entries.has(name)) entries.set(name, entry);
}
