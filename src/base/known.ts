import path from 'node:path';
import { canonicalJson, type Json, sha256Hex } from '../canonical.js';
import { DataError } from '../errors.js';
import {
  readWhole,
  realSystem,
  removeStale,
  type StoreOptions,
  type StoreSystem,
  writeAtomically,
} from '../files/index.js';
import { PIXELS_REVISIONS } from '../images/modes.js';
import type { Base } from './base.js';
import { openBase } from './open.js';
import { type BaseOptions, baseFile, checkBaseOptions, type OpenHooks } from './options.js';
import { seal, unseal } from './sealed.js';
import { type BaseSpec, baseDigest } from './spec.js';

/** Bumped when the same options and files would give another spec, for another reason than the pixels. */
const REVISION = 3;
/** A file changed this shortly before it was looked at may change again without its time telling (ms). */
const RACY = 2000;
/** Bytes of a shortcut. */
const LARGEST = 2 ** 20;
/** Times that a base is read whose files change meanwhile. */
const TRIES = 3;

/** Models that may keep their weights in other files of their folder; which, only opening them tells. */
const MANY_FILES = /\.(onnx|json)$/i;

export interface Named {
  readonly name: string;
  readonly spec: BaseSpec;
}

/** Options that name a base, and what its files are at a moment. */
interface Look {
  /** null where a file is not there, or where weights may lie in folders below. */
  readonly key: string | null;
  /** Whether a file only just changed, so that it may change again and look the same. */
  readonly racy: boolean;
}

async function look(options: BaseOptions, system: StoreSystem): Promise<Look> {
  const { base, weights, alpha, includeTop, layer, pooling, inputSize, preprocess, image = 'photo', store } = options;
  const given = { base, weights, alpha, includeTop, layer, pooling, inputSize, preprocess, image, store };
  const known: Record<string, Json> = { revision: REVISION, pixels: PIXELS_REVISIONS[image] };
  for (const [key, value] of Object.entries(given)) if (value !== undefined) known[key] = value as Json;
  const file = baseFile(options);
  if (file === null) return { key: canonicalJson(known), racy: false };
  try {
    const files = MANY_FILES.test(file) ? [file, ...(await beside(file, system))] : [file];
    const found = [];
    for (const one of files) found.push(await system.identity(one));
    if (found.some(({ isFile }) => !isFile)) return { key: null, racy: false };
    const key = canonicalJson({ ...known, file, files: found.map(({ facts }) => facts) });
    return { key, racy: found.some(({ touched }) => system.now() - touched < RACY) };
  } catch {
    return { key: null, racy: false };
  }
}

/** All that lies in the folder of a model. */
async function beside(file: string, system: StoreSystem): Promise<string[]> {
  const folder = path.dirname(file);
  return (await system.list(folder)).sort().map((name) => path.join(folder, name));
}

/**
 * The name and spec of a base without opening it, where the same options and files have been opened with this cache before; a
 * shortcut that may be lost at any time.
 */
async function recall(cache: string, key: string, system: StoreSystem): Promise<Named | null> {
  const found = await readShortcut(shortcut(cache, key), system);
  return found?.key === key ? found.named : null;
}

const shortcut = (cache: string, key: string): string =>
  path.join(cache, 'bases', `_opened-${sha256Hex(key).slice(0, 16)}.json`);

/** @returns what a shortcut leads to; null where it is damaged, of another version, or names another base than its spec */
export async function readShortcut(
  file: string,
  system: StoreSystem = realSystem,
): Promise<{ readonly key: string; readonly named: Named } | null> {
  let text: string;
  try {
    text = Buffer.from(await readWhole(system, file, LARGEST)).toString('utf8');
  } catch {
    return null;
  }
  const { key, name, spec, base } = (unseal(text) ?? {}) as Partial<Named & { key: string; base: string }>;
  if (key === undefined || name === undefined || spec === undefined || base !== baseDigest(spec)) return null;
  return { key, named: { name, spec } };
}

/** How a base is opened and remembered. */
export interface KnownHooks extends OpenHooks, StoreOptions {
  /** Whether the command makes a cache where there is none. Default false. */
  readonly makesCache?: boolean;
}

/** Whether a folder is a cache already: a command that fails must not leave the beginnings of one. */
const isCache = async (cache: string, system: StoreSystem): Promise<boolean> =>
  (await system.list(cache).catch(() => [])).some((name) => name === 'bases' || /-[0-9a-f]{12}$/.test(name));

/** Remembers the spec of a base for `nameFloatBase`, in what is a cache already or becomes one; failing to is no error. */
async function remember(
  cache: string,
  key: string,
  { name, spec }: Named,
  { system = realSystem, makesCache = false }: KnownHooks,
): Promise<void> {
  const file = shortcut(cache, key);
  const text = seal({ key, name, spec: spec as unknown as Json, base: baseDigest(spec) });
  if (!makesCache && !(await isCache(cache, system))) return;
  try {
    await system.makeFolder(path.dirname(file));
    await removeStale(system, path.dirname(file));
    await writeAtomically(system, path.dirname(file), path.basename(file), [Buffer.from(text)]);
  } catch {
    // the base is opened again next time
  }
}

/**
 * Opens a base, and remembers it for `nameFloatBase` where its files were the same before they were read and afterwards.
 * @throws as `openBase`; DataError where its files change each time they are read
 */
export async function readBase(cache: string, options: BaseOptions, hooks: KnownHooks = {}): Promise<Base> {
  const { system = realSystem } = hooks;
  let earlier: string | undefined;
  for (let tries = 0; tries < TRIES; tries++) {
    const before = await look(options, system);
    const base = await openBase(options, hooks);
    const after = await look(options, system);
    if (before.key === after.key) {
      if (after.key !== null && !before.racy && !after.racy) await remember(cache, after.key, base, hooks);
      return base;
    }
    // Files beside a model may be none of its own: what reads the same twice is whole.
    const read = canonicalJson(base.spec as Json);
    if (read === earlier) return base;
    earlier = read;
  }
  throw new DataError(
    `${options.base} was changed each time it was read: run the same command again when it is in place`,
  );
}

/**
 * The name and spec of a base in float32: remembered, or found by opening it.
 * @param hooks `verify`: open it whatever is remembered
 * @throws as `readBase`
 */
export async function nameFloatBase(
  cache: string,
  options: BaseOptions,
  hooks: KnownHooks & { readonly verify?: boolean } = {},
): Promise<Named> {
  checkBaseOptions(options);
  const { system = realSystem, verify = false } = hooks;
  const { key, racy } = verify ? { key: null, racy: false } : await look(options, system);
  const known = key === null || racy ? null : await recall(cache, key, system);
  if (known !== null) return known;
  const { name, spec } = await readBase(cache, options, hooks);
  return { name, spec }; // the weights are let go
}
