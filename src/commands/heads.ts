import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { CacheError, UsageError } from '../errors.js';
import { discard, errorCode, isTemporary, realSystem } from '../files/index.js';
import { loadHead } from '../heads/head.js';
import type { HeadInfo } from '../heads/head-info.js';
import { holdsHead } from '../heads/place.js';
import type { Metrics } from '../metrics/metrics.js';
import { mcNemar, pairedDifference } from '../metrics/paired.js';
import { checkOptions } from '../options/check.js';
import type { ComparedPair, Comparison } from '../report/comparison.js';
import { FeatureSet } from '../store/index.js';
import { isSame, type Measured, type MeasuredOn, measure, type SeenBefore, seenBefore } from './evaluate.js';
import { headDir, openHead } from './predict.js';
import { said } from './prediction.js';

/** What `heads ls` shows of a head. */
export interface ListedHead {
  readonly head: string;
  readonly dir: string;
  readonly task: HeadInfo['task'];
  readonly classes: readonly string[];
  /** Images trained on. */
  readonly train: number;
  readonly metrics: Metrics | null;
  /** Of the set that it was trained on. */
  readonly fingerprint: string;
  /** The sets whose vectors it takes: their folders in the cache, of those that cannot be opened there 12 digits of the fingerprint. */
  readonly sets: readonly string[];
  /** When it was saved. */
  readonly saved: Date;
}

/** @returns the heads of a cache, by name; those that are damaged are told of */
export async function listHeads(cache = 'cache', onWarning?: (message: string) => void): Promise<ListedHead[]> {
  const folder = path.join(cache, 'heads');
  const names = await readdir(folder).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  const heads: ListedHead[] = [];
  for (const head of names.filter((name) => !isTemporary(name)).sort()) {
    const dir = path.resolve(folder, head);
    if (!(await holdsHead(dir))) continue;
    try {
      const { task, classes, train, metrics, fingerprint, joined } = (await loadHead(dir)).info;
      const prints = [fingerprint, ...joined.map((other) => other.fingerprint)];
      const sets = await Promise.all(prints.map((print) => setName(cache, print)));
      const saved = (await stat(path.join(dir, 'head.json'))).mtime;
      heads.push({ head, dir, task, classes, train, metrics, fingerprint, sets, saved });
    } catch (error) {
      onWarning?.(error instanceof Error ? error.message : String(error));
    }
  }
  return heads;
}

/** A set that is damaged, of which `cache ls` tells, leaves its heads as they are. */
async function setName(cache: string, print: string): Promise<string> {
  const set = await FeatureSet.find(cache, print).catch((error: unknown) => {
    if (error instanceof CacheError) return null;
    throw error;
  });
  return path.basename(set?.dir ?? print.slice(0, 12));
}

export type { ComparedPair, Comparison };

/** Heads beside each other, and which of the images each has seen before. */
export interface HeadsCompared extends Comparison {
  readonly heads: readonly ({ readonly head: string } & SeenBefore)[];
}

export interface CompareOptions extends MeasuredOn {
  /** Two heads or more, by name or folder. */
  readonly heads: readonly string[];
  /** Folder of labelled images. */
  readonly data: string;
}

/**
 * Compares heads on the same labelled images, each with each.
 * @throws UsageError for fewer than two, or of different tasks or classes; else as `evaluate`
 */
export async function compareHeads(options: CompareOptions): Promise<HeadsCompared> {
  checkOptions('heads compare', options);
  const { heads, data, bootstrap = 1000 } = options;
  if (heads.length < 2) throw new UsageError('give two heads or more to compare');
  const told = new Set<string>();
  const once = (say?: (message: string) => void) => (message: string) => {
    if (!told.has(message)) say?.(message);
    told.add(message);
  };
  const own = { ...options, onLabels: once(options.onLabels), onWarning: once(options.onWarning) };
  const all: (ComparedHead & { readonly dir: string })[] = [];
  let first: HeadInfo | undefined;
  for (const name of heads) {
    const head = await openHead(name, own);
    try {
      first ??= head.info;
      if (
        first.task !== head.info.task ||
        [...first.classes].sort().join('\n') !== [...head.info.classes].sort().join('\n')
      ) {
        throw new UsageError(`${heads[0]} and ${name} do not say the same classes: compare heads of one task`);
      }
      all.push({ name, info: head.info, dir: head.dir, measured: await measure(head, data, own) });
    } finally {
      await head.close();
    }
  }
  const common = new Set(commonTo(all.map(({ measured }) => measured.examples.map(keyOf))));
  const seen: ({ readonly head: string } & SeenBefore)[] = [];
  for (const head of all) {
    const images = head.measured.examples.filter((one) => common.has(keyOf(one)));
    seen.push({ head: head.name, ...(await seenBefore(head, images)) });
  }
  return { ...compare(all, bootstrap), heads: seen };
}

const keyOf = ({ path: file, sha256 }: { readonly path: string; readonly sha256: string }): string =>
  `${sha256} ${file}`;

/** @returns what all lists hold, in order */
function commonTo(lists: readonly (readonly string[])[]): string[] {
  const [first = [], ...others] = lists;
  const rest = others.map((list) => new Set(list));
  return first.filter((key) => rest.every((keys) => keys.has(key))).sort();
}

/** A head that was asked about labelled images. */
export interface ComparedHead {
  readonly name: string;
  readonly info: HeadInfo;
  readonly measured: Measured;
}

/** @returns each with each, on the images that all were asked about; their tasks and classes are the same */
export function compare(heads: readonly ComparedHead[], resamples: number): Comparison {
  const values = heads.map(({ info, measured: { examples, answers } }) => {
    const columns = answers.scores.length / examples.length;
    return new Map(
      examples.map((example, i) => {
        const one = said(info, Array.from(answers.scores.subarray(i * columns, (i + 1) * columns)));
        const isNumber = info.task === 'regression';
        const { label } = example;
        const value = isNumber ? Math.abs(one.score - Number(label)) : Number(isSame(info, one.label, label));
        return [keyOf(example), value];
      }),
    );
  });
  const common = commonTo(values.map((one) => [...one.keys()]));
  const columns = values.map((one) => common.map((key) => one.get(key) as number));
  const isRegression = heads[0]?.info.task === 'regression';
  const pairs = heads.flatMap(({ name: a }, i) =>
    heads.slice(i + 1).map(({ name: b }, k): ComparedPair => {
      const [left, right] = [columns[i] as number[], columns[i + 1 + k] as number[]];
      const only = (x: number[], y: number[]): number => x.filter((value, at) => value > (y[at] as number)).length;
      const p = isRegression ? null : mcNemar(only(left, right), only(right, left));
      const of = isRegression ? 'mae' : 'accuracy';
      return { a, b, of, ...pairedDifference(left, right, { resamples }), p };
    }),
  );
  return { images: common.length, pairs };
}

/** Removes a head of a cache at once. @returns its folder @throws HeadError where there is none */
export async function removeHead(head: string, cache = 'cache'): Promise<string> {
  const dir = path.resolve(await headDir(head, cache));
  await loadHead(dir); // nothing but a head is removed
  await discard(realSystem, dir);
  return dir;
}
