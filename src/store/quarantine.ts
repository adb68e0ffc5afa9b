import { join } from 'node:path';
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

const FILE = '_quarantine.jsonl';
const MAX_BYTES = 2 ** 30;
const NEWLINE = 10;

/** Two entries of one name are about the same thing; the later one counts. */
function nameOf(entry: QuarantineEntry): string {
  return entry.sha256 ?? `path:${entry.path}`;
}

function line(entry: QuarantineEntry): string {
  const { sha256, path, stage, message } = entry;
  return `${JSON.stringify({ sha256, path, stage, message })}\n`;
}

/** @returns null for a line that is no entry, as a crash or two appends at once may leave it */
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

/** The images of a set that could not be used: `_quarantine.jsonl`, one line each, appended to, safe with several writers. */
export class Quarantine {
  private pending: string[] = [];

  private constructor(
    private readonly system: StoreSystem,
    private readonly dir: string,
    private byName: Map<string, QuarantineEntry>,
    /** Whether the file ends within a line. */
    private torn: boolean,
  ) {}

  /** @param dir the set's folder */
  static async open(dir: string, options: StoreOptions = {}): Promise<Quarantine> {
    const system = options.system ?? realSystem;
    const { entries, torn } = await load(system, dir);
    return new Quarantine(system, dir, entries, torn);
  }

  get size(): number {
    return this.byName.size;
  }

  /** @param sha256 64 hexadecimal digits */
  has(sha256: string): boolean {
    return this.byName.has(sha256);
  }

  /** @returns all entries, the latest for each content, and for each path that could not be read */
  entries(): QuarantineEntry[] {
    return [...this.byName.values()];
  }

  /** Remembers an image; it is on disk after the next flush. */
  add(entry: QuarantineEntry): void {
    const name = nameOf(entry);
    const known = this.byName.get(name);
    if (known !== undefined && line(known) === line(entry)) return;
    this.byName.set(name, entry);
    this.pending.push(line(entry));
  }

  /** Appends what was added, durably. */
  async flush(): Promise<void> {
    if (this.pending.length === 0) return;
    const path = join(this.dir, FILE);
    // One write, so that lines of two processes do not mix; a newline first ends what a crash has torn.
    const bytes = Buffer.from((this.torn ? '\n' : '') + this.pending.join(''));
    try {
      const file = await this.system.open(path, 'append');
      try {
        this.torn = true;
        await file.write(bytes);
        this.torn = false;
        await file.sync();
      } finally {
        await file.close();
      }
      await this.system.syncFolder(this.dir);
    } catch (error) {
      throw storeError(error, `to write ${FILE}`, path);
    }
    this.pending = [];
  }

  /**
   * Takes entries out, so that their images are tried again (`--retry-failed`): those of the given contents, or all.
   * What another process appends in the same moment may be lost, which costs a second try.
   */
  async forget(sha256s?: Iterable<string>): Promise<void> {
    await this.flush();
    const { entries, torn } = await load(this.system, this.dir);
    const before = entries.size;
    if (sha256s === undefined) entries.clear();
    else for (const sha256 of sha256s) entries.delete(sha256);
    this.byName = entries;
    if (entries.size === before && !torn) return;
    await writeAtomically(this.system, this.dir, FILE, [Buffer.from([...entries.values()].map(line).join(''))]);
    this.torn = false;
  }
}

async function load(
  system: StoreSystem,
  dir: string,
): Promise<{ entries: Map<string, QuarantineEntry>; torn: boolean }> {
  const path = join(dir, FILE);
  const entries = new Map<string, QuarantineEntry>();
  let bytes: Buffer;
  try {
    const whole = await readWhole(system, path, MAX_BYTES);
    bytes = Buffer.from(whole.buffer, 0, whole.length);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { entries, torn: false };
    throw storeError(error, `to read ${FILE}`, path);
  }
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    const entry = parse(bytes.toString('utf8', start, end));
    if (entry !== null) entries.set(nameOf(entry), entry);
    start = end + 1;
  }
  return { entries, torn: bytes.length > 0 && bytes[bytes.length - 1] !== NEWLINE };
}
