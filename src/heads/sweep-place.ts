import path from 'node:path';
import { HeadError } from '../errors.js';
import type { HeadInfo } from './head-info.js';
import { type Choosing, foundAt, type Place, type Wanted } from './place.js';
import { readSweep, type SavedSweep } from './sweep-facts.js';
import type { SweepRow } from './sweep-row.js';

/** Where a sweep goes. */
export interface SweepPlace {
  readonly name: string;
  /** Folder of the results, absolute. */
  readonly dir: string;
  /** Of the best head. */
  readonly place: Place;
  /** What is written over, for people. */
  readonly replaced: string | null;
  /** The same sweep and its best head, where both are there already; else null. */
  readonly same: {
    readonly tried: SavedSweep['tried'];
    readonly rows: readonly SweepRow[];
    readonly best: HeadInfo;
  } | null;
}

/**
 * Chooses the folders of a sweep and its best head as `choosePlace` does that of a head. A sweep of the same identity that another
 * version or engine made, or that is not whole, is made again in its own place.
 * @param wanted where it would go
 * @param wantedSweep its identity, of its problem and all that it tries, and what would make it
 * @throws HeadError where another sweep or head is in the way
 */
export async function chooseSweepPlace(
  { cache, name }: { readonly cache: string; readonly name: string },
  wantedSweep: Wanted,
  { out, isGiven, replace }: Choosing & { readonly out: string | undefined },
): Promise<SweepPlace> {
  const dir = path.resolve(cache, 'sweeps', name);
  const place = {
    head: out === undefined ? name : path.basename(out),
    dir: path.resolve(out ?? path.join(cache, 'heads', name)),
  };
  const { identity, versions } = wantedSweep;
  const was = await readSweep(dir);
  const isOther = was !== null && was.identity !== identity;
  const head = await foundAt(place.dir, { identity: (isOther ? null : was?.head) ?? '', versions });
  const inWay = isOther ? 'another sweep' : head.kind === 'another' ? head.what : null;
  const same =
    !isOther && was?.rows && head.kind === 'same' ? { tried: was.tried, rows: was.rows, best: head.info } : null;
  if (inWay === null || replace) return { name, dir, place, replaced: inWay, same };
  if (isGiven || (!isOther && out !== undefined)) {
    throw new HeadError(
      `${isOther ? dir : place.dir} holds ${inWay}, which would be lost: give another name or folder, or --replace to write over it`,
    );
  }
  const beside = `${name}-${identity.slice(0, 8)}`;
  return chooseSweepPlace({ cache, name: beside }, wantedSweep, { out, isGiven: true, replace });
}
