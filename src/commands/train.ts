import path from 'node:path';
import type { BaseSpec } from '../base/index.js';
import { breathe } from '../breathe.js';
import { byCodePoint } from '../canonical.js';
import type { Engine, EngineName } from '../engine/engine.js';
import { openEngine } from '../engine/index.js';
import { onnxEngine } from '../engine/onnx/engine.js';
import { examplesFile } from '../heads/examples.js';
import { tryPlace } from '../heads/files.js';
import { type FittedHead, fitHead } from '../heads/fit.js';
import { decisiveFit, FIT_RULES, type FitOptions, resolveFit } from '../heads/fit-options.js';
import { type HeadOrigin, makeHead, saveHead } from '../heads/head.js';
import type { HeadInfo } from '../heads/head-info.js';
import type { VectorTable } from '../heads/joined-sets.js';
import { type Learned, learnedOf } from '../heads/learned.js';
import { choosePlace } from '../heads/place.js';
import { checkName } from '../heads/plan-file.js';
import { divideExamples, identityOf, noteGivenSplits, type Problem } from '../heads/problem.js';
import type { Task } from '../labels/targets.js';
import { checkOptions } from '../options/check.js';
import { layingOut } from '../train/laying-out.js';
import { HEAD_RULES, type HeadOptions, type ResolvedOptions, resolveOptions } from '../train/options.js';
import type { ClosedForm, EpochRecord } from '../train/run.js';
import { version } from '../version.js';
import { Corpus, type CorpusOptions, type LabelOptions } from './corpus.js';

export interface TrainOptions extends CorpusOptions, LabelOptions, HeadOptions, FitOptions {
  /** Name of the head in `cache/heads`. Default: the set's name; where another head has it, with 8 digits of the identity behind. */
  readonly name?: string;
  /** Folder of the head, in the place of a name. */
  readonly out?: string;
  /** Write over another head that is there. Default false: HeadError where it has the given name or folder. */
  readonly replace?: boolean;
  /** What trains. Default `onnx`; `tensorflow` trains heads of one layer. */
  readonly engine?: EngineName;
  readonly onEpoch?: (record: EpochRecord) => void;
}

export interface TrainResult extends Learned {
  /** Name of the head. */
  readonly head: string;
  /** Its absolute folder. */
  readonly dir: string;
  readonly task: Task;
  readonly classes: readonly string[];
  /** Whether the head was there already, trained by the same options on the same labels and vectors: nothing was trained then. */
  readonly reused: boolean;
  /** The head that was written over, for people; null where there was none. */
  readonly replaced: string | null;
  /** What lda or ridge chose; null of other heads. */
  readonly closedForm: ClosedForm | null;
  /**
   * Of the images that `metrics` are from those of which the head is surest and wrong, at most five, the surest first; none where an image
   * may have several classes, and of numbers. Null of a head that was there already.
   */
  readonly mistakes: readonly WrongImage[] | null;
  /** Epochs run. */
  readonly epochs: number;
  readonly seconds: number;
}

/** An image of which a head says another class. */
export interface WrongImage {
  /** Relative to the folder; where a label file names a content that lies in no file there, its SHA-256. */
  readonly path: string;
  /** What it is. */
  readonly is: string;
  /** What the head says, and how sure it is. */
  readonly label: string;
  readonly score: number;
}

type Given = Readonly<Record<string, unknown>>;

function picked(options: Given, names: object): Given {
  const entries = Object.keys(names).map((name) => [name, options[name]] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

/** @returns those of the options that say how a head is trained */
export const headOptionsOf = (options: object): HeadOptions => picked(options as Given, HEAD_RULES);
/** @returns those of the options that say how it is judged */
export const fitOptionsOf = (options: object): FitOptions => picked(options as Given, FIT_RULES);

/** @returns where the vectors came from and who trained, for `head.json` */
export function originOf(
  corpus: Corpus,
  identity: string,
  trainer: Engine = onnxEngine,
): HeadOrigin & { readonly identity: string } {
  const library = trainer.name === 'onnx' ? 'onnxruntime' : trainer.name;
  return { sets: corpus.sets.facts, versions: { permafrost: version, [library]: trainer.version }, identity };
}

/** Options that came when there were heads already: where they have no effect, those keep their identity. */
function withoutLater({ shrinkage, alphas, ...options }: ResolvedOptions): object {
  const { optimizer } = options;
  return { ...options, ...(optimizer === 'lda' ? { shrinkage } : {}), ...(optimizer === 'ridge' ? { alphas } : {}) };
}

/** @returns the identity of a head that these options train on a problem */
export const headIdentity = (
  corpus: Corpus,
  problem: Problem,
  options: HeadOptions,
  fit: FitOptions,
  signal?: AbortSignal,
): Promise<string> =>
  identityOf(
    problem,
    corpus.sets.facts.map(({ fingerprint }) => fingerprint),
    { head: withoutLater(resolveOptions(options)), fit: decisiveFit(resolveFit(fit)) },
    signal,
  );

/** @returns the folder of a head, absolute, and its name */
export function placeOf(
  { name, out, cache = 'cache' }: Pick<TrainOptions, 'name' | 'out' | 'cache'>,
  fallback: string,
) {
  const head = out === undefined ? (name ?? fallback) : path.basename(out);
  return { head, dir: path.resolve(out ?? path.join(cache, 'heads', head)) };
}

/**
 * Tries, before any work, whether heads can be written: where they are named, else where the cache keeps heads.
 * @throws HeadError where they cannot
 */
export async function tryHeadPlaces({
  name,
  out,
  cache = 'cache',
}: Pick<TrainOptions, 'name' | 'out' | 'cache'>): Promise<void> {
  await tryPlace(path.resolve(out ?? path.join(cache, 'heads', name ?? '')));
}

/** @returns what `train` reports of a head */
export function resultOf(
  {
    task,
    classes,
    history,
    closedForm = null,
  }: Pick<HeadInfo, 'task' | 'classes' | 'history'> & {
    readonly closedForm?: ClosedForm | null;
  },
  learned: Learned,
  place: Pick<TrainResult, 'head' | 'dir' | 'reused' | 'replaced'>,
  seconds: number,
  mistakes: TrainResult['mistakes'] = null,
): TrainResult {
  const epochs = history.at(-1)?.epoch ?? 0;
  return { ...place, task, classes, ...learnedOf(learned), closedForm, mistakes, epochs, seconds };
}

/** @returns the surest mistakes of a head by name; a content of several files by the first */
export function mistakesOf(
  { classes, train, val }: Problem,
  { rows }: VectorTable,
  { mistakes }: FittedHead,
): WrongImage[] {
  const paths = new Map(mistakes.map(({ at }) => [Buffer.from(rows.at(at)).toString('hex'), '']));
  for (const side of mistakes.length === 0 ? [] : [val, train]) {
    for (const { sha256, path: file } of side) {
      const known = paths.get(sha256);
      if (known === '' || (known !== undefined && byCodePoint(file, known) < 0)) paths.set(sha256, file);
    }
  }
  return mistakes.map(({ at, is, said, score }) => {
    const sha256 = Buffer.from(rows.at(at)).toString('hex');
    return {
      path: paths.get(sha256) || sha256,
      is: classes[is] as string,
      label: classes[said] as string,
      score,
    };
  });
}

/**
 * Stage two: trains a head on vectors that are stored already, and saves it. Opens no image that it has seen before and loads no
 * base. A head that is there already with the same identity is not trained again; another one is never written over unasked.
 * @throws UsageError, DataError, LabelError or CacheError for what is missing or wrong; HeadError when training diverges in its
 * first epoch, cannot be saved, or another one has the name or folder that was given
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const started = performance.now();
  checkOptions('train', options);
  if (options.name !== undefined) checkName(options.name);
  const [head, fit] = [headOptionsOf(options), fitOptionsOf(options)];
  const { seed } = resolveOptions(head);
  const { val, shots, folds } = resolveFit(fit);
  const engine = await openEngine(options);
  await tryHeadPlaces(options);
  const corpus = await Corpus.open(options);
  const place = placeOf(options, path.basename(corpus.sets.dirs[0] ?? 'head'));
  await tryPlace(place.dir);
  const labelled = await corpus.label(options);
  const table = await corpus.read([labelled], layingOut([{ ...labelled, options: head, folds }], options.engine));
  noteGivenSplits(labelled, fit.val, options.onWarning);
  const { signal } = options;
  await breathe(signal);
  const problem = await divideExamples(labelled, (sha256) => table.rows.has(sha256), { seed, val, shots }, signal);
  const origin = originOf(corpus, await headIdentity(corpus, problem, head, fit, signal), engine);
  const isGiven = options.name !== undefined || options.out !== undefined;
  const { same, replaced, ...chosen } = await choosePlace(place, origin, {
    isGiven,
    replace: options.replace === true,
  });
  const seconds = (): number => (performance.now() - started) / 1000;
  if (same !== null) return resultOf(same, same, { ...chosen, reused: true, replaced: null }, seconds());
  const fitted = await fitHead(problem, table, head, fit, options);
  table.vectors.rest?.();
  const examples = await examplesFile(problem, signal);
  await corpus.markUsed();
  await saveHead(chosen.dir, makeHead(fitted, origin, examples));
  const mistakes = mistakesOf(problem, table, fitted);
  return resultOf(fitted.trained, fitted.learned, { ...chosen, reused: false, replaced }, seconds(), mistakes);
}

/** The spec that a set or a head carries, as the base's own. */
export const specOf = (set: Readonly<Record<string, unknown>>): BaseSpec => set as unknown as BaseSpec;
