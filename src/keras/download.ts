import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import path from 'node:path';
import { DownloadError } from '../errors.js';
import { isFromSource, openRegular, realSystem, removeStale, whyUnwritable, writeFiles } from '../files/index.js';
import type { PublishedWeights } from './applications/index.js';
import { SIGNATURE as HDF5_SIGNATURE, isHdf5 } from './hdf5.js';

export interface DownloadOptions {
  /** Default: `$KERAS_HOME/models`, else `~/.keras/models`, where Keras looks too. */
  readonly cacheDir?: string;
  /** Takes the place of the URL up to the file's name: for a mirror. Default: `$PERMAFROST_WEIGHTS_URL`, else Keras's own. */
  readonly baseUrl?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (received: number, total: number | null) => void;
}

/** The folder in which Keras keeps weights. */
export const kerasModels = (): string => path.join(process.env.KERAS_HOME ?? path.join(homedir(), '.keras'), 'models');

const algorithm = (hash: string): 'md5' | 'sha256' => (hash.length === 32 ? 'md5' : 'sha256');

async function digest(file: string, hash: string): Promise<string> {
  const sum = createHash(algorithm(hash));
  const handle = await openRegular(file);
  try {
    for await (const chunk of handle.createReadStream({ autoClose: false })) sum.update(chunk as Buffer);
  } finally {
    await handle.close();
  }
  return sum.digest('hex');
}

/** Whether a file has the published hash; false where there is none. */
export const isPublished = async (file: string, hash: string | null): Promise<boolean> =>
  hash !== null && isGood(file, hash);

/** Whether the file is there and is what Keras publishes. */
async function isGood(file: string, hash: string | null): Promise<boolean> {
  if ((await realSystem.kind(file)) !== 'file') return false;
  return hash === null ? isHdf5(file) : (await digest(file, hash)) === hash;
}

/**
 * Brings Keras's own weights file into Keras's cache folder, or finds it there. The file appears complete and checked, or not
 * at all.
 * @returns its path
 * @throws DownloadError without a network, for a cut connection or a wrong hash; it says which file to put where
 */
export async function downloadWeights(source: PublishedWeights, options: DownloadOptions = {}): Promise<string> {
  const folder = options.cacheDir ?? kerasModels();
  const file = path.join(folder, source.file);
  if (await isGood(file, source.hash)) return file;
  const base = options.baseUrl ?? process.env.PERMAFROST_WEIGHTS_URL;
  const url = base === undefined ? source.url : `${base.replace(/\/$/, '')}/${source.file}`;
  const advice = `fetch ${url} by other means and put it at ${file}, or give --weights FILE`;
  try {
    await realSystem.makeFolder(folder);
    await removeStale(realSystem, folder);
    await writeFiles(realSystem, folder, [[source.file, checked(receive(url, options), source.hash, url, advice)]]);
    return file;
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof DownloadError) throw error;
    const why = isFromSource(error) ? undefined : whyUnwritable(error, file);
    if (why !== undefined) {
      throw new DownloadError(`${source.file} could not be stored in ${folder}: ${why}, or set KERAS_HOME`, {
        cause: error,
      });
    }
    throw new DownloadError(`${url} could not be downloaded (${reason(error)}): ${advice}`, { cause: error });
  }
}

/** @throws DownloadError after the last chunk, so before the file is in place, when they are not what Keras publishes */
async function* checked(
  chunks: AsyncIterable<Uint8Array>,
  hash: string | null,
  url: string,
  advice: string,
): AsyncGenerator<Uint8Array> {
  const sum = createHash(algorithm(hash ?? ''));
  let head = Buffer.alloc(0);
  for await (const chunk of chunks) {
    sum.update(chunk);
    if (head.length < HDF5_SIGNATURE.length) head = Buffer.concat([head, chunk]).subarray(0, HDF5_SIGNATURE.length);
    yield chunk;
  }
  if (hash === null && !HDF5_SIGNATURE.equals(head)) {
    throw new DownloadError(`what ${url} gave is no HDF5 file: ${advice}`);
  }
  if (hash !== null && sum.digest('hex') !== hash) {
    throw new DownloadError(`what ${url} gave does not have the published hash ${hash}: ${advice}`);
  }
}

async function* receive(url: string, { signal, onProgress }: DownloadOptions): AsyncGenerator<Uint8Array> {
  const response = await fetch(url, signal ? { signal } : {});
  if (!response.ok || !response.body) throw new Error(`HTTP ${response.status}`);
  const length = response.headers.get('content-length');
  const total = length === null || response.headers.has('content-encoding') ? null : Number(length);
  let received = 0;
  for await (const chunk of response.body) {
    yield chunk as Uint8Array;
    received += (chunk as Uint8Array).length;
    onProgress?.(received, total);
  }
  if (total !== null && received !== total) throw new Error(`the connection ended after ${received} of ${total} bytes`);
}

function reason(error: unknown): string {
  const { cause, message } = error as Error;
  const inner = cause as NodeJS.ErrnoException | undefined;
  return inner?.code ?? (inner?.message || message);
}
