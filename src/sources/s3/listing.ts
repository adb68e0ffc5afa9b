import { DataError } from '../../errors.js';
import { PassingFault } from './retry.js';

/** An object of a list. */
export interface ListedObject {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
}

/** One answer to `ListObjectsV2`. */
export interface Listing {
  readonly objects: readonly ListedObject[];
  /** With a delimiter: what keys have in front of it. */
  readonly prefixes: readonly string[];
  /** Where the list goes on; null at its end. */
  readonly next: string | null;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

const plainText = (text: string): string =>
  text.replace(
    /&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|([a-z]+));/gi,
    (whole, hex?: string, number?: string, name = '') => {
      const code = hex === undefined ? Number(number) : Number.parseInt(hex, 16);
      if (hex !== undefined || number !== undefined) return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
      return ENTITIES[name] ?? whole;
    },
  );

const field = (block: string, name: string): string | undefined => {
  const found = new RegExp(`<${name}>([^<]*)</${name}>`).exec(block)?.[1];
  return found === undefined ? undefined : plainText(found);
};

/**
 * Reads a list of objects, asked for with `encoding-type=url`: flat XML, as every server that speaks S3 gives it.
 * @param where for messages
 * @throws PassingFault for an answer that is cut; DataError for one that is no list
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 */
export function parseListing(xml: string, prefix: string, where: string): Listing {
  const wrong = (what: string): DataError =>
    new DataError(`${where}: the server's list of objects ${what}: check AWS_ENDPOINT_URL_S3`);
  if (!xml.includes('<ListBucketResult')) throw wrong('is none');
  if (!xml.includes('</ListBucketResult>')) throw new PassingFault('the list of objects is cut off');
  const isEncoded = field(xml, 'EncodingType') === 'url';
  const named = (text: string): string => {
    try {
      const name = isEncoded ? decodeURIComponent(text.replaceAll('+', '%20')) : text;
      if (name.startsWith(prefix)) return name;
    } catch {
      // said below
    }
    throw wrong(`has a name that was not asked for, ${JSON.stringify(text.slice(0, 200))}`);
  };
  const objects: ListedObject[] = [];
  for (const [, block = ''] of xml.matchAll(/<Contents>([\s\S]*?)<\/Contents>/g)) {
    const [key, size, etag] = ['Key', 'Size', 'ETag'].map((name) => field(block, name));
    if (key === undefined || size === undefined || etag === undefined || !/^\d{1,15}$/.test(size) || etag === '') {
      throw wrong('has an object without key, size or ETag');
    }
    objects.push({ key: named(key), size: Number(size), etag });
  }
  const prefixes = [...xml.matchAll(/<CommonPrefixes>([\s\S]*?)<\/CommonPrefixes>/g)].map(([, block = '']) =>
    named(field(block, 'Prefix') ?? ''),
  );
  const next = field(xml, 'NextContinuationToken') ?? null;
  const isTruncated = field(xml, 'IsTruncated');
  if (isTruncated === 'true' && next === null) throw wrong('is not whole and does not say how it goes on');
  return { objects, prefixes, next: isTruncated === 'true' ? next : null };
}
