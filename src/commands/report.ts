import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { HeadError } from '../errors.js';
import { realSystem, tryOutput, writeOutput } from '../files/index.js';
import type { HeadInfo } from '../heads/head-info.js';
import { holdsHead } from '../heads/place.js';
import { readPlan } from '../heads/plan-file.js';
import { readSweepResults, type SweepResults } from '../heads/sweep-results.js';
import { checkOptions, optionsOfCommand, usage } from '../options/check.js';
import type { Comparison } from '../report/comparison.js';
import type { HeadReport, Report, ReportImage } from '../report/model.js';
import { MOST_CHAPTERS, page } from '../report/page/page.js';
import { wantedPictures } from '../report/pictures.js';
import { FeatureSet } from '../store/index.js';
import { version } from '../version.js';
import type { MeasuredOn } from './evaluate.js';
import type { ExplainerOptions } from './explainer.js';
import { type ComparedHead, compare, listHeads } from './heads.js';
import { cachesOf, findHead, headDir, openHead } from './predict.js';
import { Images, kindOf, lookAt } from './report-data.js';
import { heatOf } from './report-heat.js';
import { picturesOf } from './report-pictures.js';

export interface ReportOptions extends MeasuredOn {
  /** Heads by name or folder; or one sweep by name or folder, or the YAML file of a plan. */
  readonly heads: readonly string[];
  /** Folder of labelled images that the heads are measured on, and whose pictures are shown. Default: none. */
  readonly data?: string;
  /** The page. Default `report.html`. */
  readonly out?: string;
}

export interface ReportResult {
  /** Absolute. */
  readonly out: string;
  readonly bytes: number;
  /** Names of the heads that it tells of. */
  readonly heads: readonly string[];
  readonly sweep: string | null;
  /** Images that were measured. */
  readonly images: number;
  /** Pictures that it holds. */
  readonly pictures: number;
}

/** A head that a report tells of. */
interface Wanted {
  readonly name: string;
  readonly dir: string;
  /** Of a plan that has a label file for it. */
  readonly labels?: string;
}

/** What a report is of. */
interface Subject {
  readonly title: string;
  readonly heads: readonly Wanted[];
  readonly sweep: SweepResults | null;
  readonly notes: readonly string[];
}

/** Labels and measuring mean nothing without images. */
function checkData(options: ReportOptions): void {
  if (options.data !== undefined) return;
  for (const [name, { group, type }] of optionsOfCommand('report')) {
    const isOfData = ['Labels', 'Vectors', 'Judging', 'Run'].includes(group) && type !== 'hook';
    if (isOfData && (options as unknown as Record<string, unknown>)[name] !== undefined) {
      throw usage(`{${name}} belongs to {data}, whose images are measured: give that too`);
    }
  }
}

const named = (given: string): string => path.basename(path.resolve(given));

/** @returns the folder of a sweep's results by name, folder or file; null where there is none */
async function sweepDir(given: string, cache: string): Promise<string | null> {
  const isFile = path.basename(given) === 'results.arrow';
  const places = [
    ...(/[/\\]/.test(given) ? [] : [path.join(cache, 'sweeps', given)]),
    isFile ? path.dirname(given) : given,
  ];
  for (const place of places) {
    const kind = await realSystem.kind(path.join(place, 'results.arrow')).catch(() => null);
    if (kind === 'file') return place;
  }
  return null;
}

async function ofSweep(dir: string, cache: string): Promise<Subject> {
  const sweep = await readSweepResults(dir);
  const beside = path.resolve(dir, '..', '..', 'heads', sweep.name);
  const isBest = async (place: string): Promise<boolean> =>
    sweep.head !== null && (await holdsHead(place)) && (await findHead(place, cache)).info.identity === sweep.head;
  const own: Wanted[] = (await isBest(beside)) ? [{ name: sweep.name, dir: beside }] : [];
  const heads = own.length > 0 || sweep.head === null ? own : await bestElsewhere(sweep, cache);
  const notes =
    heads.length > 0
      ? []
      : ['The best head of this sweep is not in the cache any more, so nothing more is told of it.'];
  return { title: sweep.name, heads, sweep, notes };
}

async function bestElsewhere({ head }: SweepResults, cache: string): Promise<Wanted[]> {
  for (const { head: name, dir } of await listHeads(cache)) {
    if ((await findHead(dir, cache)).info.identity === head) return [{ name, dir }];
  }
  return [];
}

async function ofPlan(file: string, cache: string): Promise<Subject> {
  const { heads: planned } = await readPlan(file);
  const heads: Wanted[] = [];
  const missing: string[] = [];
  for (const { name, labels } of planned) {
    const dir = path.join(cache, 'heads', name);
    if (await holdsHead(dir)) heads.push({ name, dir, ...(labels === undefined ? {} : { labels }) });
    else missing.push(name);
  }
  if (heads.length === 0) {
    throw new HeadError(`no head of ${file} is in ${path.join(cache, 'heads')}: run permafrost train --plan ${file}`);
  }
  const notes = missing.length === 0 ? [] : [`Of this plan these are not trained yet: ${missing.join(', ')}.`];
  return { title: named(file), heads, sweep: null, notes };
}

async function subjectOf({ heads, cache = 'cache' }: ReportOptions): Promise<Subject> {
  const [first] = heads;
  if (first === undefined) throw usage('give a head, a sweep or a plan to report on: {heads}');
  if (heads.length === 1) {
    if (/\.ya?ml$/i.test(first)) return ofPlan(first, cache);
    const sweep = await sweepDir(first, cache);
    if (sweep !== null) return ofSweep(sweep, cache);
  }
  const twice = heads.find((one, i) => heads.indexOf(one) < i);
  if (twice !== undefined) throw usage('% is given twice', twice);
  const all: Wanted[] = [];
  for (const one of heads) all.push({ name: named(one), dir: await headDir(one, cache) });
  const names = all.map(({ name }) => name);
  const isAlike = new Set(names).size < names.length;
  const title = names.length === 1 ? (names[0] as string) : `${names.length} heads`;
  return {
    title,
    heads: isAlike ? all.map((one, i) => ({ ...one, name: heads[i] as string })) : all,
    sweep: null,
    notes: [],
  };
}

/** @returns the names of the folders of a head's sets, their first digits where they are not in the cache */
async function setNames(dir: string, info: HeadInfo, cache: string): Promise<string[]> {
  const names: string[] = [];
  for (const fingerprint of [info.fingerprint, ...info.joined.map((one) => one.fingerprint)]) {
    let name: string | undefined;
    for (const one of cachesOf(dir, cache)) {
      const found = await FeatureSet.find(one, fingerprint).catch(() => null); // a name for people is not worth a failure
      if (found !== null) name ??= path.basename(found.dir);
    }
    names.push(name ?? fingerprint.slice(0, 12));
  }
  return names;
}

/** @returns the heads with where they find what they say */
async function heated(
  { heads: wanted }: Subject,
  heads: readonly HeadReport[],
  data: string,
  { cache, engine, device, threads, batchSize, signal, onWarning }: ReportOptions,
  images: readonly ReportImage[],
  thumbnails: ReadonlyMap<string, Uint8Array>,
): Promise<HeadReport[]> {
  const given = Object.entries({ cache, engine, device, threads, batchSize, signal, onWarning });
  const options = Object.fromEntries(given.filter(([, value]) => value !== undefined)) as ExplainerOptions;
  const all: HeadReport[] = [];
  for (const [at, head] of heads.entries()) {
    const { onData, info } = head;
    const dir = wanted[at]?.dir ?? '';
    const heat = onData && (await heatOf(dir, data, options, { info, onData }, images, thumbnails));
    all.push(onData === null || heat === null ? head : { ...head, onData: { ...onData, heat } });
  }
  return all;
}

/** Heads of the same classes on the same images. */
function compared(heads: readonly ComparedHead[], resamples: number, notes: string[]): Comparison | null {
  const [first] = heads;
  if (first === undefined) return null;
  const alike = heads.filter(({ info }) => kindOf(info) === kindOf(first.info));
  if (alike.length < heads.length) {
    notes.push(`Only heads of the same task and classes as ${first.name} are compared with it.`);
  }
  return alike.length < 2 ? null : compare(alike, resamples);
}

/** Bytes of the largest page, as far as pictures decide it. */
const MOST_BYTES = 3_000_000;

/** @returns the page; where it would be too large, without the pictures that tell least */
function fitted(report: Report, script: string): { readonly text: string; readonly pictures: number } {
  const thumbnails = [...report.thumbnails];
  for (;;) {
    const text = page({ ...report, thumbnails: new Map(thumbnails) }, script);
    let over = Buffer.byteLength(text) - MOST_BYTES;
    if (over <= 0 || thumbnails.length === 0) return { text, pictures: thumbnails.length };
    // In base64 four bytes are three.
    while (over > 0 && thumbnails.length > 0) over -= ((thumbnails.pop()?.[1].length ?? 0) * 4) / 3;
  }
}

/** Heads that read the same labels would say the same of them. */
function toldOnce(options: ReportOptions): ReportOptions {
  const told = new Set<string>();
  const once = (tell: ((message: string) => void) | undefined) => (message: string) => {
    if (!told.has(message)) tell?.(message);
    told.add(message);
  };
  return { ...options, onWarning: once(options.onWarning), onLabels: once(options.onLabels) };
}

/** The script of a page, as it was compiled. */
const scriptOf = (): Promise<string> => readFile(new URL('../report/client/client.js', import.meta.url), 'utf8');

/**
 * Writes one page that tells of heads, of a sweep or of the heads of a plan; with `data`, measured on labelled images, with pictures. The
 * page is one file that asks nothing of the network. The same heads and images give the same bytes.
 * @returns what was written, once it is in place
 * @throws UsageError for options that contradict; HeadError, DataError or LabelError for what is missing or damaged, as `evaluate`;
 *   FileError where the page cannot be written, before any work
 */
export async function report(asked: ReportOptions): Promise<ReportResult> {
  checkOptions('report', asked);
  checkData(asked);
  const options = toldOnce(asked);
  const { cache = 'cache', data, bootstrap = 1000 } = options;
  const out = path.resolve(options.out ?? 'report.html');
  const subject = await subjectOf(options);
  await tryOutput(out);
  const notes = [...subject.notes];
  if (data !== undefined && subject.heads.length > MOST_CHAPTERS) {
    notes.push(
      `The first ${MOST_CHAPTERS} heads are measured on ${data}; of the others the table has what training measured.`,
    );
  }
  const images = new Images();
  const heads: HeadReport[] = [];
  const measured: ComparedHead[] = [];
  for (const [at, { name, dir, labels }] of subject.heads.entries()) {
    options.signal?.throwIfAborted();
    const found = await findHead(dir, cache);
    const { info } = found;
    const sets = await setNames(dir, info, cache);
    if (data === undefined || at >= MOST_CHAPTERS) {
      heads.push({ name, info, sets, onData: null });
      continue;
    }
    const own = options.labels === undefined && labels !== undefined ? { ...options, labels } : options;
    const head = await openHead(found, own);
    try {
      const { onData, measured: on } = await lookAt(head, data, own, images);
      heads.push({ name, info, sets, onData });
      measured.push({ name, info, measured: on });
    } finally {
      await head.close();
    }
  }
  const wanted = wantedPictures(heads).map((place) => images.all[place] as (typeof images.all)[number]);
  const thumbnails = data === undefined ? new Map() : await picturesOf(data, wanted, { ...options, cache });
  const drawn: Report = {
    title: subject.title,
    version,
    data: data ?? null,
    images: images.all,
    heads: data === undefined ? heads : await heated(subject, heads, data, options, images.all, thumbnails),
    sweep: subject.sweep,
    compared: compared(measured, bootstrap, notes),
    thumbnails,
    notes,
  };
  const { text, pictures } = fitted(drawn, await scriptOf());
  await writeOutput(out, [Buffer.from(text)]);
  return {
    out,
    bytes: Buffer.byteLength(text),
    heads: heads.map(({ name }) => name),
    sweep: subject.sweep?.name ?? null,
    images: images.all.length,
    pictures,
  };
}
