import { existsSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { CacheError, FileError } from '../errors.js';

/** @returns the code of a system error (`ENOSPC`, `ENOENT`, …), undefined for any other */
export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code !== undefined && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** @returns where the disk that a path lies on, or would lie on, is mounted */
export function diskOf(path: string): string {
  let place = resolve(path);
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place);
  try {
    const disk = statSync(place).dev;
    while (dirname(place) !== place && statSync(dirname(place)).dev === disk) place = dirname(place);
  } catch {
    // what may not be looked at is named as far as it was seen
  }
  return place;
}

/** @returns why a file cannot be read, as the end of a sentence about it; absent is never said of what is there */
export function whyUnreadable(error: unknown): string {
  const { code, limit } = Object(error) as NodeJS.ErrnoException & { limit?: number };
  switch (code) {
    case 'ENOENT':
      return 'does not exist';
    case 'ENOTDIR':
      return 'does not exist: a part of its path is a file';
    case 'EISDIR':
      return 'is a folder';
    case 'EFTYPE':
      return 'is a pipe or a device, no file';
    case 'EFBIG':
      return limit === undefined ? 'is too large' : `is larger than ${limit} bytes`;
    case 'EACCES':
    case 'EPERM':
      return `may not be read (${code})`;
    default:
      return `cannot be read (${code ?? (error instanceof Error ? error.message : String(error))})`;
  }
}

/**
 * Why something cannot be written at a path and what to do about it, for the end of a sentence.
 * @returns undefined for what is no system error
 */
export function whyUnwritable(error: unknown, path: string): string | undefined {
  const code = errorCode(error);
  switch (code) {
    case undefined:
      return undefined;
    case 'ENOSPC':
      return `no space is left on the disk ${diskOf(path)}: free some and run the same command again`;
    case 'EDQUOT':
      return `the quota of the disk ${diskOf(path)} is used up: free some space and run the same command again`;
    case 'EROFS':
      return `the disk ${diskOf(path)} is read-only: choose another place`;
    case 'EACCES':
    case 'EPERM':
      return `no permission at ${firstThere(path)} (${code}): change it, or choose another place`;
    case 'ENOTDIR':
    case 'EEXIST':
      return `${firstThere(path)} is a file, not a folder: choose another place`;
    case 'EISDIR':
      return 'it is a folder: give the name of a file';
    case 'EFTYPE':
      return 'it is a pipe or a device: give the name of a file';
    case 'ENAMETOOLONG':
      return 'its name is too long: choose a shorter one';
    default:
      return `the disk ${diskOf(path)} fails (${code}): check it and run the same command again`;
  }
}

function firstThere(path: string): string {
  let place = resolve(path);
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place);
  return place;
}

/**
 * What a failed file operation means to the user, where a file of theirs was to be written.
 * @returns a FileError for system errors; any other error as it is
 */
export function writeError(error: unknown, path: string): unknown {
  const why = whyUnwritable(error, path);
  return why === undefined ? error : new FileError(`${path} could not be written: ${why}`, { cause: error });
}

/**
 * What a failed file operation in the cache means to the user.
 * @param doing what was tried, as `to write …`
 * @returns a CacheError for system errors; any other error as it is
 */
export function storeError(error: unknown, doing: string, path: string): unknown {
  const code = errorCode(error);
  if (code === undefined) return error;
  const options = { cause: error };
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new CacheError(
        `no space is left at ${dirname(path)} ${doing}; free some and run the same command again, what is finished is kept`,
        options,
      );
    case 'EROFS':
      return new CacheError(
        `it failed ${doing} at ${path}: the disk ${diskOf(path)} is read-only; choose another folder with --cache`,
        options,
      );
    case 'EACCES':
    case 'EPERM':
      return new CacheError(
        `no permission ${doing} at ${path} (${code}); change it, or choose another folder with --cache`,
        options,
      );
    case 'ENOENT':
      return new CacheError(
        `${path} is gone, so it failed ${doing}: something took it out of the cache meanwhile; run the same command again, what is finished is kept`,
        options,
      );
    case 'EFTYPE':
      return new CacheError(`${path} is a pipe or a device, no file: remove ${basename(path)}`, options);
    default:
      return new CacheError(
        `it failed ${doing} at ${path} (${code}); check the disk and run the same command again, what is finished is kept`,
        options,
      );
  }
}
