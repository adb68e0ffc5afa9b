import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type FeatureSet, realSystem, type SetSpec, type StoreFile, type StoreSystem } from '../../src/store/index.js';

export const MAKER = { engine: 'onnx', engineVersion: '1.2.3', version: '0.1.0' };

export function spec(features: number, type: SetSpec['type'] = 'float32'): SetSpec {
  return { format: 1, features, type, base: 'test' };
}

/** A folder that is gone after the test. */
export async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'permafrost-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** As `folder`, in memory where the system has such a place: for tests that sync thousands of times. */
export async function memoryFolder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'permafrost-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** @returns the key of image i, 32 bytes */
export function key(i: number): Uint8Array {
  return createHash('sha256').update(`image ${i}`).digest();
}

export function hex(i: number): string {
  return Buffer.from(key(i)).toString('hex');
}

/** @returns the vector of image i; every value is exact in float16 for i < 1000 */
export function vector(i: number, d: number): Float32Array {
  return Float32Array.from({ length: d }, (_, j) => i + (j % 4) / 4);
}

/** @returns hash → vector bits: two sets are equal when these are */
export async function bits(set: FeatureSet): Promise<Map<string, string>> {
  const result = new Map<string, string>();
  for await (const batch of set.batches()) {
    const d = batch.vectors.length / batch.rows;
    for (let row = 0; row < batch.rows; row++) {
      const values = batch.vectors.slice(row * d, (row + 1) * d);
      const name = Buffer.from(batch.keys.subarray(row * 32, row * 32 + 32)).toString('hex');
      result.set(name, Buffer.from(values.buffer).toString('hex'));
    }
  }
  return new Map([...result].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Names of temporary files anywhere under a folder. */
export async function temporaries(path: string): Promise<string[]> {
  const names = await readdir(path, { recursive: true });
  return names.filter((name) => name.includes('_tmp-'));
}

export type Operation =
  | 'open'
  | 'size'
  | 'read'
  | 'write'
  | 'sync'
  | 'close'
  | 'rename'
  | 'unlink'
  | 'list'
  | 'makeFolder'
  | 'syncFolder'
  | 'modified'
  | 'removeFolder'
  | 'touch';

/** What a dead process sees: no file operation works any more. It is not an error of the system, so nothing handles it. */
export class Crash extends Error {}

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

/**
 * The real system, asked before each operation whether it shall fail.
 * @param fault what to throw, undefined to go on; after a Crash everything throws it
 */
export function faulty(
  fault: (operation: Operation, path: string) => Error | undefined,
  more: Partial<StoreSystem> = {},
): StoreSystem {
  let crash: Error | undefined;
  const check = (operation: Operation, path: string): void => {
    const error = crash ?? fault(operation, path);
    if (error instanceof Crash) crash = error;
    if (error !== undefined) throw error;
  };
  const wrap = (path: string, file: StoreFile): StoreFile => ({
    async size() {
      check('size', path);
      return file.size();
    },
    async read(target, position) {
      check('read', path);
      return file.read(target, position);
    },
    async write(bytes) {
      try {
        check('write', path);
      } catch (error) {
        await file.write(bytes.subarray(0, bytes.length >> 1));
        throw error;
      }
      return file.write(bytes);
    },
    async sync() {
      check('sync', path);
      return file.sync();
    },
    async close() {
      await file.close();
      check('close', path);
    },
  });
  const checked =
    <Args extends [string, ...unknown[]], R>(operation: Operation, act: (...args: Args) => Promise<R>) =>
    async (...args: Args): Promise<R> => {
      check(operation, args[0]);
      return act(...args);
    };
  return {
    ...realSystem,
    open: checked('open', async (path: string, mode: 'read' | 'create') =>
      wrap(path, await realSystem.open(path, mode)),
    ),
    rename: checked('rename', realSystem.rename),
    unlink: checked('unlink', realSystem.unlink),
    list: checked('list', realSystem.list),
    makeFolder: checked('makeFolder', (path: string) => realSystem.makeFolder(path)),
    syncFolder: checked('syncFolder', realSystem.syncFolder),
    modified: checked('modified', realSystem.modified),
    size: checked('size', realSystem.size),
    removeFolder: checked('removeFolder', realSystem.removeFolder),
    touch: checked('touch', (path: string) => realSystem.touch(path)),
    ...more,
  };
}

/** A clock that only moves when told. */
export class FakeClock {
  private time = 1_700_000_000_000;
  private timers: { at: number; callback: () => void }[] = [];

  readonly now = (): number => this.time;

  readonly after = (ms: number, callback: () => void): (() => void) => {
    const timer = { at: this.time + ms, callback };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  };

  advance(ms: number): void {
    this.time += ms;
    const due = this.timers.filter(({ at }) => at <= this.time);
    this.timers = this.timers.filter(({ at }) => at > this.time);
    for (const { callback } of due) callback();
  }
}
