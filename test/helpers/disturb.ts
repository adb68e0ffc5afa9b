import { realSystem, type StoreFile, type StoreSystem } from '../../src/store/index.js';
import { systemError } from './store.js';

/** One disturbance of a run: at which of the operations that change the disk, counted from 1, and what. */
export interface Disturbance {
  readonly at: number;
  /** `before` and `half`: the process kills itself instead of the operation, or with half of a write done. Else the code that fails. */
  readonly what: 'before' | 'half' | 'ENOSPC' | 'EIO';
}

/** The real system that counts what changes the disk, and is disturbed once. A write that fails, or dies, has done half of its work. */
export function disturbed(
  disturbance: Disturbance | null,
  onOperation: (count: number, operation: string) => void = () => {},
  more: Partial<StoreSystem> = {},
): StoreSystem {
  let count = 0;
  const act = async <T>(operation: string, work: () => Promise<T>, half?: () => Promise<void>): Promise<T> => {
    onOperation(++count, operation);
    if (count !== disturbance?.at) return work();
    if (disturbance.what !== 'before') await half?.();
    if (disturbance.what === 'before' || disturbance.what === 'half') {
      process.kill(process.pid, 'SIGKILL');
      return new Promise(() => {});
    }
    throw systemError(disturbance.what);
  };
  const wrap = (file: StoreFile): StoreFile => ({
    size: () => file.size(),
    read: (target, position) => file.read(target, position),
    write: (bytes) =>
      act(
        'write',
        () => file.write(bytes),
        () => file.write(bytes.subarray(0, bytes.length >> 1)),
      ),
    sync: () => act('sync', () => file.sync()),
    close: () => file.close(),
  });
  return {
    ...realSystem,
    open: (path, mode) =>
      mode === 'read' ? realSystem.open(path, mode) : act('open', async () => wrap(await realSystem.open(path, mode))),
    rename: (from, to) => act('rename', () => realSystem.rename(from, to)),
    unlink: (path) => act('unlink', () => realSystem.unlink(path)),
    removeFolder: (folder) => act('removeFolder', () => realSystem.removeFolder(folder)),
    makeFolder: (folder) => act('makeFolder', () => realSystem.makeFolder(folder)),
    syncFolder: (folder) => act('syncFolder', () => realSystem.syncFolder(folder)),
    ...more,
  };
}
