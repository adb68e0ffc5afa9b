import { statSync } from 'node:fs';
import path from 'node:path';
import { DataError } from '../errors.js';
import type { SystemPath } from '../images/index.js';
import type { FoundFile } from './found.js';

const SCHEME = 's3://';
/** Names of buckets, https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, and those of older ones. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/;

/** A place in an object store. */
export interface ObjectAddress {
  readonly bucket: string;
  /** Key of an object, or what keys begin with; empty for the whole bucket. */
  readonly key: string;
}

/** @returns whether an address is one of an object store: `s3://bucket/prefix` */
export const isObjectAddress = (address: SystemPath): address is string =>
  typeof address === 'string' && address.slice(0, SCHEME.length).toLowerCase() === SCHEME;

/** @throws DataError for what is no address of an object store */
export function parseAddress(address: string): ObjectAddress {
  const rest = address.slice(SCHEME.length);
  const slash = rest.indexOf('/');
  const bucket = slash < 0 ? rest : rest.slice(0, slash);
  const key = slash < 0 ? '' : rest.slice(slash + 1);
  if (!isObjectAddress(address) || !BUCKET.test(bucket)) {
    throw new DataError(`${address} is no address of an object store: give s3://bucket/prefix`);
  }
  if (key.split('/').some((part) => part === '.' || part === '..')) {
    throw new DataError(`${address} has . or .. between slashes, which no request can name: rename the object`);
  }
  return { bucket, key };
}

/** @returns the address of an object */
export const addressOf = ({ bucket, key }: ObjectAddress): string => `${SCHEME}${bucket}/${key}`;

/** @returns whether what was given for a folder is a list of files: a file that ends in `.txt` */
export function isList(data: string): boolean {
  if (!data.toLowerCase().endsWith('.txt') || isObjectAddress(data)) return false;
  return statSync(data, { throwIfNoEntry: false })?.isFile() === true;
}

/** @returns the address of a line of a list: relative to the list's folder */
export const listedAddress = (list: string, line: string): string =>
  isObjectAddress(line) ? line : path.resolve(path.dirname(list), line);

/**
 * @param data folder of images, address of an object store or list
 * @param name an image of it, as `walk` gives its path
 * @returns where that image lies
 */
export function imageAddress(data: string, name: string): string {
  if (isObjectAddress(data)) {
    const { bucket, key } = parseAddress(data);
    return addressOf({ bucket, key: key === '' || key.endsWith('/') ? key + name : `${key}/${name}` });
  }
  return isList(data) ? listedAddress(data, name) : path.join(data, name);
}

/** @returns how people call a file that was found in what they gave */
export function shownAs(given: string, isFolder: boolean, { path: name, absolute }: FoundFile): string {
  if (isObjectAddress(absolute)) return absolute;
  if (isList(given)) return name;
  return isFolder ? path.join(given, name) : given;
}
