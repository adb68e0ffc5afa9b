import { byCodePoint } from '../canonical.js';
import type { EngineOptions } from '../engine/engine.js';
import { DataError, LabelError } from '../errors.js';
import { hashedFiles } from '../extract/hashes.js';
import { readSeen } from '../heads/examples.js';
import type { HeadInfo } from '../heads/head-info.js';
import { type Answers, metricsOf } from '../heads/judge.js';
import type { DataFile, Example } from '../labels/labels.js';
import { strataOf, targetsOf } from '../labels/task.js';
import { type Coverage, measureCoverage } from '../metrics/conformal.js';
import type { Intervals } from '../metrics/intervals.js';
import type { Metrics } from '../metrics/metrics.js';
import { checkOptions, usage } from '../options/check.js';
import { plain } from '../plain.js';
import { FileIndex } from '../store/index.js';
import type { ReadingOptions } from './corpus.js';
import { type OpenedHead, type Outputs, openHead } from './predict.js';
import { type LabelScore, said } from './prediction.js';
import { readLabels } from './read-labels.js';
import type { WrongImage } from './train.js';

/** What heads are measured on. */
export interface MeasuredOn extends ReadingOptions, EngineOptions {
  /** File of labels. Default: metadata beside the images, else folder names. */
  readonly labels?: string;
  /** Rows without an image or a label: `error` (default) or `skip`. */
  readonly missing?: 'error' | 'skip';
  /** Default `cache`. */
  readonly cache?: string;
  /** Default 8, fewer where feature maps are large. */
  readonly batchSize?: number;
  /** As of `predict`. */
  readonly noStore?: boolean;
  /** Resamples of intervals. Default 1000. */
  readonly bootstrap?: number;
  readonly signal?: AbortSignal;
  readonly onWarning?: (message: string) => void;
  readonly onLabels?: (message: string) => void;
}

export interface EvaluateOptions extends MeasuredOn {
  /** Folder of labelled images. */
  readonly path: string;
  /** A head's folder, or its name in `cache/heads`. */
  readonly head: string;
  /** Above which a binary head says its second class, or a multilabel one each label. Default: the head's own. */
  readonly threshold?: number;
}

/** @throws UsageError for a task that has no threshold */
function withThreshold(info: HeadInfo, threshold: number | undefined): HeadInfo {
  if (threshold === undefined) return info;
  if (info.threshold === null) throw usage(`{threshold} is of binary and multilabel heads: this one is ${info.task}`);
  return { ...info, threshold: { criterion: 'fixed', values: info.threshold.values.map(() => threshold) } };
}

/** An image of which a head says something else than its label. */
export interface WrongAnswer extends WrongImage {
  readonly scores: readonly LabelScore[];
}

/** How many of some images a head has seen before. */
export interface SeenBefore {
  /** How many of them the head was trained on; null of a head that was saved without its images. */
  readonly trainedOn: number | null;
  /** How many of them were its validation, and so chose its epoch or threshold; null as above. */
  readonly chosenOn: number | null;
}

export interface Evaluation extends SeenBefore {
  readonly head: string;
  readonly task: HeadInfo['task'];
  readonly classes: readonly string[];
  /** Labelled images that were measured. */
  readonly images: number;
  readonly metrics: Metrics;
  readonly intervals: Intervals | null;
  /** Images by true class (row) and answer (column); null of several labels and of regressions. */
  readonly confusion: readonly (readonly number[])[] | null;
  /** How the head's sets of classes do, where it makes some. */
  readonly coverage?: Coverage;
  /** The surest first; of a regression none. */
  readonly wrong: readonly WrongAnswer[];
}

/** Labelled images of a folder. */
export async function labelledImages(
  data: string,
  { task, classes }: Pick<HeadInfo, 'task' | 'classes'>,
  options: MeasuredOn,
): Promise<Example[]> {
  const { cache = 'cache', labels, onWarning, onLabels } = options;
  const index = await FileIndex.open(cache);
  const files: DataFile[] = [];
  for await (const { path, sha256 } of hashedFiles(data, index, options.signal))
    if (sha256 !== null) files.push({ path, sha256 });
  const reading = { ...options, task, known: classes };
  const labelled = await readLabels({ data, files, labels }, reading, onWarning);
  onLabels?.(plain(labelled.understood));
  for (const warning of labelled.warnings) onWarning?.(plain(warning));
  const strange = new Set(labelled.examples.flatMap(({ label }) => strataOf(task, label)));
  for (const name of classes) strange.delete(name);
  if (task !== 'regression' && strange.size > 0) {
    throw new LabelError(
      `${[...strange].slice(0, 5).join(', ')} ${strange.size === 1 ? 'is no class' : 'are no classes'} of this head, which says ${classes.join(', ')}: put the labels right, or leave those images out`,
    );
  }
  return [...labelled.examples];
}

/** What a head says of labelled images, those in front for which it says anything. */
export interface Measured {
  readonly examples: readonly Example[];
  readonly answers: Answers;
}

/**
 * @param onOutput is told of every image of the folder, labelled or not
 * @throws DataError where none of the images can be used
 */
export async function measure(
  head: OpenedHead,
  data: string,
  options: MeasuredOn,
  onOutput?: (output: Outputs) => void,
): Promise<Measured> {
  const all = await labelledImages(data, head.info, options);
  const outputs = new Map<string, readonly number[]>();
  for await (const one of head.outputs([data])) {
    if (one.error !== undefined) continue;
    outputs.set(one.sha256, one.outputs);
    onOutput?.(one);
  }
  // In the order in which training measures, so that the same images give the same bits.
  const examples = all.filter(({ sha256 }) => outputs.has(sha256)).sort((a, b) => byCodePoint(a.sha256, b.sha256));
  if (examples.length === 0) throw new DataError(`${data} holds no labelled image that can be used`);
  if (examples.length < all.length) {
    const left = all.length - examples.length;
    options.onWarning?.(`${left} labelled image${left === 1 ? '' : 's'} cannot be used: left out`);
  }
  const scores = Float32Array.from(examples.flatMap(({ sha256 }) => [...(outputs.get(sha256) ?? [])]));
  return { examples, answers: answersOn(head.info, examples, scores) };
}

/** @returns how many of some images a head was trained or chosen on */
export async function seenBefore(
  { dir, info }: Pick<OpenedHead, 'dir' | 'info'>,
  examples: readonly Pick<Example, 'sha256'>[],
): Promise<SeenBefore> {
  const seen = await readSeen(dir, info);
  const among = (contents: ReadonlySet<string>): number => examples.filter(({ sha256 }) => contents.has(sha256)).length;
  return {
    trainedOn: seen === null ? null : among(seen.trained),
    chosenOn: seen === null ? null : among(seen.chose),
  };
}

/** @param scores of these examples, in their order */
export function answersOn(
  { task, classes }: Pick<HeadInfo, 'task' | 'classes'>,
  examples: readonly Example[],
  scores: Float32Array,
): Answers {
  const labels = examples.map(({ label }) => label);
  return { task, classes: classes.length, scores, y: targetsOf(task, labels, classes) };
}

/**
 * Measures a head on labelled images, as training measures it on validation.
 * @throws HeadError, DataError or LabelError for what is missing or wrong, as `predict` and `train`
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  checkOptions('evaluate', options);
  const head = await openHead(options.head, options);
  try {
    const info = withThreshold(head.info, options.threshold);
    const { examples, answers } = await measure(head, options.path, options);
    const { bootstrap = 1000 } = options;
    const metrics = metricsOf(answers, info.threshold, { resamples: bootstrap, seed: info.seed }) as Metrics;
    const columns = answers.scores.length / examples.length;
    const wrong = examples.flatMap(({ path, label: is }, i): WrongAnswer[] => {
      const one = said(info, Array.from(answers.scores.subarray(i * columns, (i + 1) * columns)));
      return info.task === 'regression' || isSame(info, one.label, is) ? [] : [{ path, is, ...one }];
    });
    wrong.sort((a, b) => b.score - a.score || byCodePoint(a.path, b.path));
    return {
      head: options.head,
      task: info.task,
      classes: info.classes,
      images: examples.length,
      ...(await seenBefore(head, examples)),
      metrics,
      intervals: metrics.intervals,
      confusion: 'confusion' in metrics ? metrics.confusion : null,
      ...(info.coverage === null
        ? {}
        : { coverage: measureCoverage(answers.scores, answers.y, info.classes.length, info.coverage) }),
      wrong,
    };
  } finally {
    await head.close();
  }
}

/** Whether two labels are one; of several labels whatever their order. */
export const isSame = ({ task }: Pick<HeadInfo, 'task'>, a: string, b: string): boolean => {
  const sorted = (label: string): string => [...strataOf(task, label)].sort().join('|');
  return task === 'multilabel' ? sorted(a) === sorted(b) : a === b;
};
