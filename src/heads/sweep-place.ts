import path from 'node:path';
import { HeadError } from '../errors.js';
import { type Choosing, foundAt, type Place } from './place.js';
import { readSweepFacts } from './sweep-facts.js';

/** Where a sweep goes. */
export interface SweepPlace {
  readonly name: string;
  /** Folder of the results, absolute. */
  readonly dir: string;
  /** Of the best head. */
  readonly place: Place;
  /** What is written over, for people. */
  readonly replaced: string | null;
}

/**
 * Chooses the folders of a sweep and its best head as `choosePlace` does that of a head. A sweep of the same identity is made again
 * in its own place.
 * @param wanted where it would go
 * @param identity of the sweep: its problem and all that it tries
 * @throws HeadError where another sweep or head is in the way
 */
export async function chooseSweepPlace(
  { cache, name }: { readonly cache: string; readonly name: string },
  identity: string,
  { out, isGiven, replace }: Choosing & { readonly out: string | undefined },
): Promise<SweepPlace> {
  const dir = path.resolve(cache, 'sweeps', name);
  const place = {
    head: out === undefined ? name : path.basename(out),
    dir: path.resolve(out ?? path.join(cache, 'heads', name)),
  };
  const was = await readSweepFacts(dir);
  const isOther = was !== null && was.identity !== identity;
  const head = await foundAt(place.dir, { identity: (isOther ? null : was?.head) ?? '', versions: {} });
  const inWay = isOther ? 'another sweep' : head.kind === 'another' ? head.what : null;
  if (inWay === null || replace) return { name, dir, place, replaced: inWay };
  if (isGiven || (!isOther && out !== undefined)) {
    throw new HeadError(
      `${isOther ? dir : place.dir} holds ${inWay}, which would be lost: give another name or folder, or --replace to write over it`,
    );
  }
  const beside = `${name}-${identity.slice(0, 8)}`;
  return chooseSweepPlace({ cache, name: beside }, identity, { out, isGiven: true, replace });
}
