import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { canonicalJson, type Json, sha256Hex } from '../canonical.js';
import { realSystem, removeStale, type StoreOptions, writeAtomically } from '../files/index.js';
import { openBase } from './open.js';
import { type BaseOptions, baseFile, checkBaseOptions, type OpenHooks } from './options.js';
import type { BaseSpec } from './spec.js';

/** Bumped when the same options and files would give another spec. */
const REVISION = 2;
/** A file changed this shortly before it was looked at may change again without its time telling (ms). */
const RACY = 2000;

/** Models that may keep their weights in other files of their folder; which, only opening them tells. */
const MANY_FILES = /\.(onnx|json)$/i;

/** A model file and all that lies in its folder. */
async function beside(file: string): Promise<string[]> {
  const folder = path.dirname(file);
  return [file, ...(await readdir(folder)).sort().map((name) => path.join(folder, name))];
}

export interface Named {
  readonly name: string;
  readonly spec: BaseSpec;
}

/**
 * What names a base: its options and the identity of its files. null where one is not there or only just changed, or where weights
 * may lie in folders below.
 */
async function identity(options: BaseOptions): Promise<string | null> {
  const { base, weights, alpha, includeTop, layer, pooling, inputSize, preprocess, image, store } = options;
  const given = { base, weights, alpha, includeTop, layer, pooling, inputSize, preprocess, image, store };
  const known: Record<string, Json> = { revision: REVISION };
  for (const [key, value] of Object.entries(given)) if (value !== undefined) known[key] = value as Json;
  const file = baseFile(options);
  if (file === null) return canonicalJson(known);
  try {
    const files = MANY_FILES.test(file) ? await beside(file) : [file];
    const stats = await Promise.all(files.map((one) => stat(one)));
    if (stats.some((one) => one.isDirectory() || Date.now() - one.mtimeMs < RACY)) return null;
    return canonicalJson({ ...known, file, files: stats.map(({ size, mtimeMs, ino }) => [size, mtimeMs, ino]) });
  } catch {
    return null;
  }
}

/**
 * The name and spec of a base without opening it, where the same options and files have been opened with this cache before; a
 * shortcut that may be lost at any time.
 */
async function recall(cache: string, key: string): Promise<Named | null> {
  try {
    const value = JSON.parse(await readFile(shortcut(cache, key), 'utf8')) as { key?: unknown } & Named;
    return value.key === key && value.spec.format === 1 ? { name: value.name, spec: value.spec } : null;
  } catch {
    return null;
  }
}

const shortcut = (cache: string, key: string): string =>
  path.join(cache, 'bases', `_opened-${sha256Hex(key).slice(0, 16)}.json`);

/** Remembers the spec of a base for `nameBase`; failing to is no error. */
export async function rememberBase(
  cache: string,
  options: BaseOptions,
  { name, spec }: Named,
  { system = realSystem }: StoreOptions = {},
): Promise<void> {
  const key = await identity(options);
  if (key === null) return;
  const file = shortcut(cache, key);
  const text = canonicalJson({ key, name, spec: spec as unknown as Json });
  try {
    await system.makeFolder(path.dirname(file));
    await removeStale(system, path.dirname(file));
    await writeAtomically(system, path.dirname(file), path.basename(file), [Buffer.from(text)]);
  } catch {
    // the base is opened again next time
  }
}

/**
 * The name and spec of a base: remembered, or found by opening it.
 * @throws as `openBase`
 */
export async function nameBase(
  cache: string,
  options: BaseOptions,
  hooks: OpenHooks & StoreOptions = {},
): Promise<Named> {
  checkBaseOptions(options);
  const key = await identity(options);
  const known = key === null ? null : await recall(cache, key);
  if (known) return known;
  const base = await openBase(options, hooks);
  await rememberBase(cache, options, base, hooks);
  return base;
}
