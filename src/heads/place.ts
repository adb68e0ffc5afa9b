import { join } from 'node:path';
import { HeadError, PermafrostError } from '../errors.js';
import { realSystem, type StoreSystem, whyUnreadable } from '../files/index.js';
import { loadHead } from './head.js';
import type { HeadInfo } from './head-info.js';

/** Name of a head, and its absolute folder. */
export interface Place {
  readonly head: string;
  readonly dir: string;
}

/** What decides a head, and what made it. */
export interface Wanted {
  /** 64 hex digits. */
  readonly identity: string;
  /** Names to versions, as `head.json` has them. */
  readonly versions: Readonly<Record<string, string>>;
}

/**
 * What lies in the folder of a head: `none`; the `same` head, which is not made again; the same one as another version or engine made
 * it, which is `stale`; or `another`, described for people, which damaged ones are too.
 */
export type Found =
  | { readonly kind: 'none' | 'stale' }
  | { readonly kind: 'same'; readonly info: HeadInfo }
  | { readonly kind: 'another'; readonly what: string };

/**
 * @returns whether a folder holds a head, the mark of which is `head.json`
 * @throws HeadError where it cannot be told
 */
export async function holdsHead(dir: string, system: StoreSystem = realSystem): Promise<boolean> {
  try {
    return (await system.kind(join(dir, 'head.json'))) !== null;
  } catch (error) {
    throw new HeadError(`${dir} ${whyUnreadable(error)}: change its permissions, or give the folder of another head`, {
      cause: error,
    });
  }
}

const isSameMaker = (a: Wanted['versions'], b: Wanted['versions']): boolean =>
  Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([name, one]) => b[name] === one);

/** @returns what is in the way of a head, or in its place */
export async function foundAt(dir: string, { identity, versions }: Wanted): Promise<Found> {
  if (!(await holdsHead(dir))) return { kind: 'none' };
  let info: HeadInfo;
  try {
    ({ info } = await loadHead(dir));
  } catch (error) {
    if (!(error instanceof PermafrostError)) throw error;
    return { kind: 'another', what: 'a head that is damaged' };
  }
  if (info.identity === identity) {
    const isWhole = info.examples !== null; // of an earlier version it is not
    return isWhole && isSameMaker(info.versions, versions) ? { kind: 'same', info } : { kind: 'stale' };
  }
  return { kind: 'another', what: describe(info) };
}

function describe({ task, classes, train }: HeadInfo): string {
  const shown = classes.length <= 6 ? classes.join(' / ') : `${classes.length} classes`;
  return `another head (${task}${classes.length === 0 ? '' : ` of ${shown}`}, trained on ${train} images)`;
}

/** How a place was chosen. */
export interface Choosing {
  /** Whether the place was named, so that no other may be taken instead. */
  readonly isGiven: boolean;
  /** Write over what is there. */
  readonly replace: boolean;
}

/**
 * Chooses the folder of a head so that none is written over that is another: a place that nobody named gives way to one beside it,
 * which has the first digits of the identity behind its name.
 * @returns the folder; the head that lies in it already, if it is the same; and what is replaced, for people
 * @throws HeadError where another head is in the way
 */
export async function choosePlace(
  place: Place,
  wanted: Wanted,
  { isGiven, replace }: Choosing,
): Promise<Place & { readonly same: HeadInfo | null; readonly replaced: string | null }> {
  const found = await foundAt(place.dir, wanted);
  if (found.kind !== 'another') return { ...place, same: found.kind === 'same' ? found.info : null, replaced: null };
  if (replace) return { ...place, same: null, replaced: found.what };
  if (isGiven) {
    throw new HeadError(
      `${place.dir} holds ${found.what}, which would be lost: give another name or folder, or --replace to write over it`,
    );
  }
  const digits = `-${wanted.identity.slice(0, 8)}`;
  const beside = { head: `${place.head}${digits}`, dir: `${place.dir}${digits}` };
  return choosePlace(beside, wanted, { isGiven: true, replace });
}
