import { createHash } from 'node:crypto';
import { DataError, ImageError } from '../../errors.js';
import { isTemporary } from '../../files/index.js';
import {
  empty,
  HEAD_BYTES,
  type ImageFile,
  identify,
  looksLikeImage,
  MAX_BYTES,
  noImage,
  type ReadImage,
  sniff,
  tooLong,
} from '../../images/index.js';
import { addressOf, type ObjectAddress, parseAddress } from '../address.js';
import { type FoundFile, NOISE, type WalkOptions } from '../found.js';
import { type Answer, ObjectClient, RefusedError } from './client.js';
import { type ListedObject, type Listing, parseListing } from './listing.js';
import { PassingFault } from './retry.js';

/** Bytes of a list of a thousand objects, whose keys have at most 1,024 bytes each. */
const LISTING = 2 ** 24;
/** Larger ones whose names are no images' are looked at by their first bytes. */
const SMALL = 2 ** 20;

let opened: Promise<ObjectClient> | undefined;

/** The client of this process; connections are kept open. */
function client(): Promise<ObjectClient> {
  opened ??= ObjectClient.open();
  opened.catch(() => {
    opened = undefined;
  });
  return opened;
}

/** Puts another client in its place; `undefined`: the next is opened anew, from the environment. */
export function useClient(one: ObjectClient | undefined): void {
  opened = one === undefined ? undefined : Promise.resolve(one);
}

/** 124 bits of what tells a version of an object from others, as the time and inode of a file: of no time near now. */
function versionOf(endpoint: string | null, etag: string): Pick<FoundFile, 'mtimeNs' | 'ino' | 'etag'> {
  const hash = createHash('sha256')
    .update(`${endpoint ?? ''}\n${etag}`)
    .digest();
  return { mtimeNs: BigInt.asUintN(60, hash.readBigUInt64LE(0)), ino: hash.readBigUInt64LE(8), etag };
}

/** @throws DataError where a bucket cannot be listed */
async function list(
  { bucket, key }: ObjectAddress,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<Listing> {
  const where = addressOf({ bucket, key });
  let listing: Listing | undefined;
  try {
    await (await client()).ask({
      bucket,
      key: '',
      query: { 'list-type': '2', 'encoding-type': 'url', prefix: key, ...query },
      where,
      most: LISTING,
      signal,
      check: ({ bytes }) => {
        listing = parseListing(bytes.toString('utf8'), key, where);
      },
    });
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    throw new DataError(`${where} cannot be listed (${error.message}): ${await adviceFor(error)}`);
  }
  return listing as Listing;
}

async function adviceFor({ status }: RefusedError): Promise<string> {
  if (status !== 401 && status !== 403) return 'check the address and AWS_ENDPOINT_URL_S3';
  return (await client()).settings.credentials === null
    ? 'no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE'
    : 'the credentials must allow s3:ListBucket and s3:GetObject';
}

/** All lists of a prefix, the next being asked for while one is worked on. */
async function* listings(
  at: ObjectAddress,
  signal: AbortSignal | undefined,
  query: Readonly<Record<string, string>> = {},
): AsyncGenerator<Listing> {
  let ahead: Promise<Listing> | null = list(at, query, signal);
  while (ahead !== null) {
    const listing: Listing = await ahead;
    const { next } = listing;
    ahead = next === null ? null : list(at, { ...query, 'continuation-token': next }, signal);
    ahead?.catch(() => {}); // told when its turn comes
    yield listing;
    signal?.throwIfAborted();
  }
}

/** Keys below a prefix: it is a folder, whether or not a slash ends it. */
const folderOf = ({ bucket, key }: ObjectAddress): ObjectAddress => ({
  bucket,
  key: key === '' || key.endsWith('/') ? key : `${key}/`,
});

/** Whether an object counts: no marker of a folder, nothing hidden, nothing that systems put beside pictures. */
function counts(name: string): boolean {
  if (name === '' || name.endsWith('/')) return false;
  return name.split('/').every((part) => !part.startsWith('.') && !NOISE.has(part) && !isTemporary(part));
}

/** @returns the object of exactly this key */
async function exactly({ bucket, key }: ObjectAddress, signal: AbortSignal | undefined): Promise<ListedObject | null> {
  if (key === '' || key.endsWith('/')) return null;
  const { objects } = await list({ bucket, key }, { 'max-keys': '1' }, signal);
  return objects.find((object) => object.key === key) ?? null;
}

/**
 * The objects below a prefix, sorted by key as the server has them; hidden ones are left out, as of a folder. An object in the place
 * of the prefix is given alone.
 * @throws DataError where they cannot be listed, or two keys in a row say that the server goes in circles
 */
export async function* walkObjects(data: string, { signal }: WalkOptions = {}): AsyncGenerator<FoundFile> {
  const at = parseAddress(data);
  const folder = folderOf(at);
  const { endpoint } = (await client()).settings;
  const file = (object: ListedObject, name: string): FoundFile => ({
    path: name,
    absolute: addressOf({ bucket: at.bucket, key: object.key }),
    size: object.size,
    ...versionOf(endpoint, object.etag),
  });
  let before = '';
  let any = false;
  for await (const { objects } of listings(folder, signal)) {
    if (objects.length > 0 && objects[0]?.key === before) {
      throw new DataError(`${data}: the server's list of objects goes in circles: check AWS_ENDPOINT_URL_S3`);
    }
    before = objects.at(-1)?.key ?? before;
    any ||= objects.length > 0;
    for (const object of objects) {
      const name = object.key.slice(folder.key.length);
      if (counts(name)) yield file(object, name);
    }
  }
  if (any) return;
  const alone = await exactly(at, signal);
  if (alone) yield file(alone, alone.key.slice(alone.key.lastIndexOf('/') + 1));
}

/** @returns how many objects `walkObjects` gives */
export async function countObjects(data: string): Promise<number> {
  let count = 0;
  for await (const _ of walkObjects(data)) count++;
  return count;
}

/** @throws DataError where they cannot be listed */
export async function holdsObjects(data: string): Promise<boolean> {
  for await (const _ of walkObjects(data)) return true;
  return false;
}

/** @returns what keys have in front of their first and second slash below a prefix, sorted */
export async function prefixesBelow(data: string): Promise<string[]> {
  const folder = folderOf(parseAddress(data));
  const found: string[] = [];
  const visit = async (key: string, depth: number): Promise<void> => {
    for await (const { prefixes } of listings({ bucket: folder.bucket, key }, undefined, { delimiter: '/' }))
      for (const prefix of prefixes) {
        const name = prefix.slice(folder.key.length, -1);
        if (!counts(name)) continue;
        found.push(name);
        if (depth < 2) await visit(prefix, depth + 1);
      }
  };
  await visit(folder.key, 1);
  return found;
}

/** @returns the first label file among objects, as Hugging Face's ImageFolder has them: `metadata.csv` and its kin; null where there is none */
export async function labelledBeside(data: string, folders: readonly string[]): Promise<string | null> {
  const folder = folderOf(parseAddress(data));
  for (const name of ['', ...folders.map((one) => `${one}/`)]) {
    const key = `${folder.key}${name}metadata.`;
    const { objects } = await list({ bucket: folder.bucket, key }, {}, undefined);
    const found = objects.find((object) => /\/?metadata\.(csv|jsonl|parquet)$/.test(object.key));
    if (found !== undefined) return addressOf({ bucket: folder.bucket, key: found.key });
  }
  return null;
}

/** @returns what is known of an object by its address; null where there is none */
export async function findObject(
  address: string,
  signal: AbortSignal | undefined,
): Promise<Pick<FoundFile, 'size' | 'mtimeNs' | 'ino' | 'etag'> | null> {
  const asking = await client();
  try {
    const { headers } = await asking.ask({ ...parseAddress(address), method: 'HEAD', most: 0, signal });
    const [size, etag] = [headers.get('content-length'), headers.get('etag')];
    if (size === null || etag === null) throw new DataError(`${address}: the server does not say its size and ETag`);
    return { size: Number(size), ...versionOf(asking.settings.endpoint, etag) };
  } catch (error) {
    if (error instanceof RefusedError && error.status === 404) return null;
    // Who reads it is told why.
    if (error instanceof RefusedError) return { size: 1, mtimeNs: BigInt(Date.now()) * 1_000_000n, ino: 0n };
    throw error;
  }
}

/** Buckets whose ETags were seen to be no MD5 of their bytes. */
const notMd5 = new Set<string>();

/** @throws ImageError or DataError */
async function fetchObject(
  file: Partial<FoundFile>,
  at: ObjectAddress,
  signal: AbortSignal | undefined,
  range?: string,
): Promise<Buffer> {
  const headers = {
    ...(file.etag === undefined ? {} : { 'if-match': file.etag }),
    ...(range === undefined ? {} : { range }),
  };
  const check = ({ bytes: { length } }: Answer): void => {
    if (range === undefined && file.etag !== undefined && length !== file.size)
      throw new PassingFault(`${length} of ${file.size} bytes came`);
  };
  const asking = await client();
  const asked = { ...at, headers, most: MAX_BYTES, signal, check };
  try {
    const { bytes, headers: said } = await asking.ask(asked);
    const etag = said.get('etag');
    if (file.etag !== undefined && etag !== null && etag !== file.etag) throw new RefusedError(412, '');
    if (range !== undefined || notMd5.has(at.bucket)) return bytes;
    const md5 = /^"([0-9a-f]{32})"$/.exec(etag ?? '')?.[1];
    const isPlain = (said.get('x-amz-server-side-encryption') ?? 'AES256') === 'AES256';
    if (md5 === undefined || !isPlain || createHash('md5').update(bytes).digest('hex') === md5) return bytes;
    // Either it came otherwise than it was put, or this server's ETags are something else: then it comes the same twice.
    const again = await asking.ask(asked);
    if (createHash('md5').update(again.bytes).digest('hex') === md5) return again.bytes;
    if (!again.bytes.equals(bytes)) {
      throw new ImageError(
        'read',
        'came with other bytes each time it was read: the object store or the way to it is faulty',
      );
    }
    notMd5.add(at.bucket);
    return bytes;
  } catch (error) {
    if (error instanceof RefusedError) throw new ImageError('read', whyRefused(error), { cause: error });
    throw error;
  }
}

function whyRefused(error: RefusedError): string {
  if (error.status === 404) return 'is not there';
  if (error.status === 412) return 'was replaced while this command ran: run it again';
  if (error.code === 'InvalidObjectState') return 'lies in an archive: restore it';
  if (error.code.startsWith('content-encoding'))
    return `is stored with ${error.code}, which is not undone: store it plain`;
  return `cannot be read (${error.message})`;
}

/**
 * Reads an image of an object store whole, of the version that was listed.
 * @returns null for one that is an image neither by content nor by name; of large ones only the first bytes are read
 * @throws ImageError for one that is named or made like an image and cannot be used; DataError where the store does not answer
 */
export async function readObject(
  file: ImageFile & Partial<FoundFile>,
  address: string,
  signal: AbortSignal | undefined,
): Promise<ReadImage | null> {
  const at = parseAddress(address);
  const named = file.isListed === true || looksLikeImage(file.path);
  const known = file.etag === undefined ? await findObject(address, signal) : file;
  if (known === null) throw new ImageError('read', 'is not there');
  const { size = 0 } = known;
  if (size === 0) {
    if (named) throw empty();
    return null;
  }
  if (!named && size > SMALL && sniff(await fetchObject(known, at, signal, `bytes=0-${HEAD_BYTES - 1}`)) === null)
    return null;
  if (size > MAX_BYTES) throw tooLong(size);
  const bytes = await fetchObject(known, at, signal);
  if (!named && sniff(bytes.subarray(0, HEAD_BYTES)) === null) return null;
  return identify(bytes, noImage(file));
}
