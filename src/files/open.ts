import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';

/** Opening must not wait: of a pipe for a writer, of a device for anything. */
const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** @returns an error as the system gives them, for what it does not refuse and we do */
export function refusal(code: 'EFTYPE' | 'EFBIG' | 'EISDIR', path: string, limit?: number): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`${code}: ${path}`);
  return Object.assign(error, { code, path, ...(limit === undefined ? {} : { limit }) });
}

/**
 * Opens a regular file to read; never waits.
 * @throws system errors as they are; `EISDIR` for a folder, `EFTYPE` for a pipe, a socket or a device
 */
export async function openRegular(path: string): Promise<FileHandle> {
  const check = (found: { isFile(): boolean; isDirectory(): boolean }): void => {
    if (!found.isFile()) throw refusal(found.isDirectory() ? 'EISDIR' : 'EFTYPE', path);
  };
  check(await stat(path)); // opening some devices does something
  const handle = await open(path, READ);
  try {
    check(await handle.stat());
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}
