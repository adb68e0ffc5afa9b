import { breathe, inBreaths } from '../breathe.js';
import type { EngineName } from '../engine/engine.js';
import type { Targets } from '../labels/targets.js';
import type { Metrics } from '../metrics/metrics.js';
import { type Mistake, surestMistakes } from '../metrics/mistakes.js';
import { type HeadOptions, isByMinibatch, resolveOptions } from '../train/options.js';
import { numbersOf } from '../train/packs.js';
import type { EpochRecord, TrainHooks } from '../train/run.js';
import { sharesPasses, type TrainedHead, type TrainingJob } from '../train/train.js';
import { commonestOf, majorityOf, meanAnswer, type Part } from './baseline.js';
import { checkCoverage, type FitOptions, type ResolvedFit, resolveFit } from './fit-options.js';
import type { VectorTable } from './joined-sets.js';
import { JointTraining } from './joint.js';
import { type Answers, coverageOf, metricsInSteps, metricsOf, temperatureOf, thresholdOf } from './judge.js';
import type { Choice, Learned } from './learned.js';
import { joinRows, type LabelledRows, type Problem } from './problem.js';
import { logitsOf, type RowTask, rowJob, scoresOf, withTemperature } from './row-trainer.js';
import { type FoldRows, foldsOf, type Sides, sidesOf } from './sides.js';
import { WholeHead } from './whole-head.js';

/** A head with all that was learned about it. */
export interface FittedHead {
  /** Its weights, a temperature folded in. */
  readonly trained: TrainedHead;
  readonly learned: Learned;
  /** On the images that the metrics are from, the surest first, `at` a row of the table; none where an image may have several classes. */
  readonly mistakes: readonly Mistake[];
}

/** Mistakes that are told. */
const TOLD = 5;

export interface FitHooks {
  /** What trains. Default `onnx`. */
  readonly engine?: EngineName;
  readonly onEpoch?: (record: EpochRecord) => void;
  readonly onWarning?: (message: string) => void;
  readonly signal?: AbortSignal;
  /** Where other fits train beside this one. */
  readonly joint?: JointTraining;
}

const NO_INTERVALS = { resamples: 0 } as const;

/**
 * Trains one head on a problem and judges it: validation chooses the epoch, a temperature and thresholds where asked for, and gives
 * the metrics; the test images are measured once, at the end.
 * @throws what the trainer finds: HeadError when it diverges, LabelError for what cannot be trained on
 */
export async function fitHead(
  problem: Problem,
  table: VectorTable,
  options: HeadOptions,
  fitOptions: FitOptions,
  hooks: FitHooks = {},
): Promise<FittedHead> {
  const fit = resolveFit(fitOptions);
  checkCoverage(fit, problem);
  if (fit.folds !== null) return crossValidate(problem, table, options, { ...fit, folds: fit.folds }, hooks);
  const sides = await sidesOf(problem, table, hooks);
  return finishHead(sides, await trainOne(sides, sides.train, sides.val, options, hooks), options, fit, hooks);
}

/** Judges a head that was trained on the training rows, trains it anew on all where asked for, and measures it on test. */
export async function finishHead(
  sides: Sides,
  trained: TrainedHead,
  options: HeadOptions,
  fit: ResolvedFit,
  hooks: FitHooks = {},
): Promise<FittedHead> {
  const { val, train } = sides;
  const judged = await inTurn(hooks, () => judge(sides, [{ trained, val }], options, fit, hooks));
  const final =
    fit.refit && val.rows.length > 0
      ? await trainOne(sides, joinRows(sides, train, val), NO_ROWS, options, hooks, trained.bestEpoch)
      : trained;
  const { history, bestEpoch } = trained;
  const told = {
    ...judged,
    ...baselines(sides, [{ train: train.y, val: val.y }]),
    chosen: val.rows.length === 0 ? [] : chosenBy([trained], judged),
    end: trained.end,
    val: val.rows.length,
    folds: null,
  };
  return inTurn(hooks, () => finish(sides, { ...final, history, bestEpoch }, options, fit, told, hooks));
}

/** What answering without looking at an image gets right. */
function baselines({ task, classes }: RowTask, parts: readonly Part[]): Baselines {
  const isClasses = task === 'binary' || task === 'multiclass';
  const commonest = isClasses ? commonestOf(...parts.map(({ train }) => train)) : null;
  return {
    majority: isClasses ? majorityOf(parts) : null,
    commonest: commonest === null ? null : (classes[commonest] ?? null),
    meanAnswer: task === 'regression' ? meanAnswer(parts) : null,
  };
}

type Baselines = Pick<Learned, 'majority' | 'commonest' | 'meanAnswer'>;

/** lbfgs goes to its minimum and closed forms are solved, whatever validation says. */
const chosenBy = (
  heads: readonly TrainedHead[],
  { threshold, temperature }: Pick<Judged, 'threshold' | 'temperature'>,
): Choice[] => [
  ...(heads.some(({ options }) => isByMinibatch(options.optimizer)) ? (['epoch'] as const) : []),
  ...(threshold !== null && threshold.criterion !== 'fixed' ? (['threshold'] as const) : []),
  ...(temperature !== null ? (['temperature'] as const) : []),
];

type Judged = Pick<Learned, 'temperature' | 'threshold' | 'coverage' | 'metrics'> & Pick<FittedHead, 'mistakes'>;

/** What the images that heads did not train on say about them, each head asked about its own. */
async function judge(
  sides: RowTask,
  heads: readonly { readonly trained: TrainedHead; readonly val: LabelledRows }[],
  { seed = 0 }: HeadOptions,
  fit: ResolvedFit,
  { signal }: FitHooks = {},
): Promise<Judged & { readonly answers: readonly Answers[] }> {
  const { task, classes } = sides;
  const y = joinTargets(heads.map(({ val }) => val.y));
  const logits = fit.calibrate
    ? joinFloats(await Promise.all(heads.map(({ trained, val }) => logitsOf(sides, trained, val.rows))))
    : new Float32Array(0);
  const temperature = temperatureOf(task, classes.length, logits, y, fit);
  await breathe(signal);
  const answers = await Promise.all(
    heads.map(({ trained, val }) => answersOf(sides, cooled(trained, temperature), val)),
  );
  const all = { task, classes: classes.length, scores: joinFloats(answers.map(({ scores }) => scores)), y };
  sides.table.vectors.rest?.();
  const threshold = thresholdOf(all, fit);
  const metrics = await inBreaths(metricsInSteps(all, threshold, { resamples: fit.bootstrap, seed }), signal);
  await breathe(signal);
  const rows = heads.flatMap(({ val }) => Array.from(val.rows));
  const mistakes = mistakesOf(all, threshold).map((one) => ({ ...one, at: rows[one.at] as number }));
  return { temperature, threshold, coverage: coverageOf(all, fit), metrics, answers, mistakes };
}

/** @returns the surest mistakes; none of several labels an image, and of numbers */
const mistakesOf = ({ task, classes, scores, y }: Answers, threshold: Learned['threshold']): Mistake[] =>
  task === 'binary' || task === 'multiclass'
    ? surestMistakes(scores, y, classes, threshold?.values[0] ?? 0.5, TOLD)
    : [];

const cooled = (trained: TrainedHead, temperature: number | null): TrainedHead =>
  temperature === null ? trained : withTemperature(trained, temperature);

async function finish(
  sides: Sides,
  trained: TrainedHead,
  { seed = 0 }: HeadOptions,
  fit: ResolvedFit,
  told: Judged & Baselines & Pick<Learned, 'val' | 'folds' | 'chosen' | 'end'>,
  { signal }: FitHooks,
): Promise<FittedHead> {
  const { temperature, threshold, coverage, metrics, val, majority, commonest, meanAnswer, folds, chosen, end } = told;
  const final = cooled(trained, temperature);
  const tested = await answersOf(sides, final, sides.test);
  return {
    trained: final,
    learned: {
      train: trained.train,
      val,
      test: sides.test.rows.length,
      shots: fit.shots,
      refit: fit.refit && val > 0,
      metrics,
      testMetrics: await inBreaths(metricsInSteps(tested, threshold, { resamples: fit.bootstrap, seed }), signal),
      majority,
      commonest,
      meanAnswer,
      threshold,
      temperature,
      coverage,
      folds,
      chosen,
      end,
      bestEpoch: trained.bestEpoch,
    },
    mistakes: told.mistakes,
  };
}

/** A head that was trained on a part. */
export interface TrainedFold extends FoldRows {
  readonly trained: TrainedHead;
}

async function crossValidate(
  problem: Problem,
  table: VectorTable,
  options: HeadOptions,
  fit: ResolvedFit & { readonly folds: number },
  hooks: FitHooks,
): Promise<FittedHead> {
  const { sides, parts } = await foldsOf(problem, table, { folds: fit.folds, seed: options.seed ?? 0 }, hooks);
  const all: FoldRows = { train: sides.train, val: NO_ROWS };
  const whole = (await isWorthBeside(sides, all, options, hooks)) ? new WholeHead() : null;
  const heads = await trainParts(sides, whole ? [...parts, all] : parts, options, hooks, (part) =>
    part === all ? whole?.own : whole?.ofParts,
  );
  const trained = parts.map((part, i): TrainedFold => ({ ...part, trained: heads[i] as TrainedHead }));
  const beside = whole && ((epoch: number) => whole.after(heads[parts.length] as TrainedHead, epoch));
  return finishFolds(sides, trained, options, fit, hooks, beside);
}

/** @returns how well the heads of all parts do together, without intervals */
export async function measureFolds(
  sides: Sides,
  parts: readonly TrainedFold[],
  options: HeadOptions,
  fit: ResolvedFit,
): Promise<Metrics | null> {
  return (await judge(sides, parts, options, { ...fit, bootstrap: 0 })).metrics;
}

/** Numbers of the nets of all epochs that are kept at most. */
const MOST_KEPT = 2 ** 23;

async function isWorthBeside(
  sides: Sides,
  all: FoldRows,
  options: HeadOptions,
  { engine }: FitHooks,
): Promise<boolean> {
  const job = await rowJob(sides, all.train, all.val, [options], engine ? { engine } : {});
  const resolved = resolveOptions(options);
  return resolved.epochs * numbersOf(resolved, job.data) <= MOST_KEPT && sharesPasses(job);
}

/**
 * Judges the heads of all parts together, each on what it did not see, and trains the head that is kept on all.
 * @param beside gives that head by its last epoch, where it was trained beside them
 */
export async function finishFolds(
  sides: Sides,
  parts: readonly TrainedFold[],
  options: HeadOptions,
  fit: ResolvedFit,
  hooks: FitHooks = {},
  beside: ((epoch: number) => TrainedHead) | null = null,
): Promise<FittedHead> {
  const { answers, ...judged } = await inTurn(hooks, () => judge(sides, parts, options, fit, hooks));
  const folds = parts.map(({ trained, train, val }, i) => ({
    train: train.rows.length,
    val: val.rows.length,
    bestEpoch: trained.bestEpoch,
    epochs: trained.history.at(-1)?.epoch ?? 0,
    metrics: metricsOf(answers[i] as Answers, judged.threshold, NO_INTERVALS) as Metrics,
  }));
  const epochs = folds.map(({ bestEpoch }) => bestEpoch).sort((a, b) => a - b);
  const median = epochs[Math.floor((epochs.length - 1) / 2)] as number;
  const trained = beside?.(median) ?? (await trainOne(sides, sides.train, NO_ROWS, options, hooks, median));
  const told = {
    ...judged,
    ...baselines(
      sides,
      parts.map(({ train, val }) => ({ train: train.y, val: val.y })),
    ),
    chosen: chosenBy(
      parts.map((part) => part.trained),
      judged,
    ),
    end: parts.some((part) => part.trained.end === 'epochs') ? 'epochs' : (parts[0]?.trained.end ?? null),
    val: sides.train.rows.length,
    folds,
  };
  return inTurn(hooks, () => finish(sides, trained, options, fit, told, hooks));
}

const inTurn = <T>({ joint }: FitHooks, work: () => Promise<T>): Promise<T> => (joint ? joint.inTurn(work) : work());

const NO_ROWS: LabelledRows = { rows: new Uint32Array(0), y: new Int32Array(0), keys: [] };

/** @param stopAt the last epoch, where validation does not choose it; heads without minibatches go to their minimum whatever it is */
async function trainOne(
  sides: RowTask,
  train: LabelledRows,
  val: LabelledRows,
  options: HeadOptions,
  hooks: FitHooks,
  stopAt?: number,
): Promise<TrainedHead> {
  const stop: Pick<TrainHooks, 'drop'> =
    stopAt === undefined || !isByMinibatch(options.optimizer)
      ? {}
      : { drop: (epoch: number) => (epoch >= stopAt ? [0] : []) };
  const [trained] = await trainParts(sides, [{ train, val }], options, hooks, () => stop);
  return trained as TrainedHead;
}

/**
 * @param hooksOf what else the training of a part tells
 * @returns a head of each part, all trained side by side
 */
async function trainParts(
  sides: RowTask,
  parts: readonly FoldRows[],
  options: HeadOptions,
  { engine, onEpoch, signal, joint = new JointTraining() }: FitHooks,
  hooksOf: (part: FoldRows) => TrainHooks | undefined,
): Promise<TrainedHead[]> {
  const hooks: TrainHooks = {
    ...(engine ? { engine } : {}),
    ...(onEpoch ? { onEpoch: (_: number, record: EpochRecord) => onEpoch(record) } : {}),
    ...(signal ? { signal } : {}),
  };
  const jobs: TrainingJob[] = [];
  for (const part of parts) {
    jobs.push(await rowJob(sides, part.train, part.val, [options], { ...hooks, ...hooksOf(part) }));
  }
  const outcomes = await joint.train(jobs);
  const heads = outcomes.flat();
  const failed = heads.find((one) => one instanceof Error);
  if (failed !== undefined) throw failed;
  return heads as TrainedHead[];
}

async function answersOf(sides: RowTask, trained: TrainedHead, { rows, y }: LabelledRows): Promise<Answers> {
  const { task, classes } = sides;
  return { task, classes: classes.length, scores: await scoresOf(sides, trained, rows), y };
}

const joinFloats = (parts: readonly Float32Array[]): Float32Array =>
  parts.length === 1 ? (parts[0] as Float32Array) : Float32Array.from(parts.flatMap((part) => Array.from(part)));

/** Class numbers and numbers alike are exact in a float32. */
const joinTargets = (parts: readonly Targets[]): Targets =>
  parts.length === 1 ? (parts[0] as Targets) : Float32Array.from(parts.flatMap((part) => Array.from(part)));
