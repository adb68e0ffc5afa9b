import * as fs from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { errorCode } from './failure.js';
import { openRegular } from './open.js';

/** An open file of the store. */
export interface StoreFile {
  size(): Promise<number>;
  /** Fills `target` from `position` on. @returns the bytes read: fewer only where the file ends */
  read(target: Uint8Array, position: number): Promise<number>;
  /** Writes all of `bytes` behind what was written before. */
  write(bytes: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** What tells a file from another, and from itself at another time. */
export interface FileIdentity {
  readonly isFile: boolean;
  /** Device, inode, bytes, and when it was last written and last changed in any way (ns since 1970, which no program can set back). */
  readonly facts: readonly string[];
  /** The later of the two times, in ms since 1970. */
  readonly touched: number;
}

/** All that the store asks of the machine: file operations, clock and process, as one object, so that tests can make each fail. */
export interface StoreSystem {
  /** `read` takes regular files only (see `openRegular`); `create` fails where the file exists. */
  open(path: string, mode: 'read' | 'create'): Promise<StoreFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Gives a file a second name, which must not be there. */
  link(from: string | Buffer, to: string): Promise<void>;
  /** Names in a folder, in no order. */
  list(folder: string): Promise<string[]>;
  /** Makes the folder and those above it, durably. */
  makeFolder(folder: string): Promise<void>;
  /** Makes the names in a folder durable, where the system can. */
  syncFolder(folder: string): Promise<void>;
  /** Removes an empty folder. */
  removeFolder(folder: string): Promise<void>;
  /** When a file was last written, in ms since 1970. */
  modified(path: string): Promise<number>;
  /** What a path leads to, links followed; null where nothing is there. */
  kind(path: string): Promise<'file' | 'folder' | 'other' | null>;
  /** What the file is that a path leads to, links followed. */
  identity(path: string): Promise<FileIdentity>;
  /** The path with all links followed. */
  realPath(path: string): Promise<string>;
  /** Bytes of a file. */
  size(path: string): Promise<number>;
  /** Sets the time of a file to now; makes it, empty, where it is absent. */
  touch(path: string): Promise<void>;
  /** Ms since 1970. */
  now(): number;
  /** Calls back once after `ms`; the result cancels it. Does not keep the process alive. */
  after(ms: number, callback: () => void): () => void;
  readonly host: string;
  readonly pid: number;
  /** When this process began, in ms since 1970. */
  readonly started: number;
  /** Whether a process of this host runs. */
  alive(pid: number): boolean;
}

/** Options of everything that touches the cache folder. */
export interface StoreOptions {
  /** Default: the real one. */
  readonly system?: StoreSystem;
}

/** Answers of file systems that cannot sync a folder. */
const NO_FOLDER_SYNC = new Set(['EINVAL', 'ENOTSUP', 'EISDIR', 'EACCES', 'EPERM', 'EBADF']);

class RealFile implements StoreFile {
  constructor(private readonly handle: fs.FileHandle) {}

  async size(): Promise<number> {
    return (await this.handle.stat()).size;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      // One call reads less than 2 GiB.
      const length = Math.min(target.length - filled, 2 ** 30);
      const { bytesRead } = await this.handle.read(target, filled, length, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }

  async write(bytes: Uint8Array): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      const length = Math.min(bytes.length - written, 2 ** 30);
      written += (await this.handle.write(bytes, written, length)).bytesWritten;
    }
  }

  sync(): Promise<void> {
    return this.handle.sync();
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

/** Makes the topmost folder that is missing: of a disk that is read-only the recursive call says ENOENT. */
async function makeFirst(folder: string): Promise<void> {
  let place = folder;
  while (dirname(place) !== place && !(await isThere(dirname(place)))) place = dirname(place);
  await fs.mkdir(place);
}

const isThere = (path: string): Promise<boolean> =>
  fs.stat(path).then(
    () => true,
    () => false,
  );

/** The machine as it is. */
export const realSystem: StoreSystem = {
  open: async (path, mode) => new RealFile(mode === 'read' ? await openRegular(path) : await fs.open(path, 'wx')),
  rename: (from, to) => fs.rename(from, to),
  unlink: (path) => fs.unlink(path),
  link: (from, to) => fs.link(from, to),
  list: (folder) => fs.readdir(folder),

  async makeFolder(folder) {
    const topmost = await fs.mkdir(folder, { recursive: true }).catch(async (error: unknown) => {
      if (errorCode(error) === 'ENOENT') await makeFirst(resolve(folder)); // throws why not
      throw error;
    });
    if (topmost === undefined) return;
    const first = resolve(topmost);
    for (let made = resolve(folder); made.length >= first.length; made = dirname(made))
      await this.syncFolder(dirname(made));
  },

  async syncFolder(folder) {
    if (process.platform === 'win32') return;
    try {
      const handle = await fs.open(folder, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (!NO_FOLDER_SYNC.has(errorCode(error) ?? '')) throw error;
    }
  },

  removeFolder: (folder) => fs.rmdir(folder),
  modified: async (path) => (await fs.stat(path)).mtimeMs,

  async kind(path) {
    try {
      const found = await fs.stat(path);
      return found.isFile() ? 'file' : found.isDirectory() ? 'folder' : 'other';
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return null;
      throw error;
    }
  },

  async identity(path) {
    const found = await fs.stat(path, { bigint: true });
    const { dev, ino, size, mtimeNs, ctimeNs } = found;
    return {
      isFile: found.isFile(),
      facts: [dev, ino, size, mtimeNs, ctimeNs].map(String),
      touched: Math.max(Number(mtimeNs / 1_000_000n), Number(ctimeNs / 1_000_000n)),
    };
  },

  realPath: (path) => fs.realpath(path),
  size: async (path) => (await fs.stat(path)).size,

  async touch(path) {
    const handle = await fs.open(path, 'a');
    try {
      const now = new Date(this.now());
      await handle.utimes(now, now);
    } finally {
      await handle.close();
    }
  },

  now: () => Date.now(),

  after(ms, callback) {
    const timer = setTimeout(callback, ms).unref();
    return () => clearTimeout(timer);
  },

  // Only what every file system takes in a name.
  host:
    hostname()
      .replace(/[^A-Za-z0-9.-]/g, '_')
      .slice(0, 100) || 'host',
  pid: process.pid,
  // Of the process, also in its threads.
  started: Date.now() - process.uptime() * 1000,

  alive(pid) {
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      return errorCode(error) !== 'ESRCH';
    }
  },
};
