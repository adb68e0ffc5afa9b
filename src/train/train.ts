import type { EngineName } from '../engine/engine.js';
import { HeadError } from '../errors.js';
import type { Task } from '../labels/targets.js';
import { Checks, checkClasses, checkTargets } from './checks.js';
import { classWeights } from './class-weights.js';
import { trainClosed } from './closed/fit.js';
import { HeadModel, writeHeadModel } from './head-model.js';
import type { HeadNet } from './head-net.js';
import { onnxTrainers } from './onnx/trainer.js';
import {
  checkTask,
  type HeadOptions,
  isByMinibatch,
  isClosedForm,
  type ResolvedOptions,
  resolveOptions,
} from './options.js';
import { type Entrants, specOf } from './packs.js';
import type {
  ClosedForm,
  EpochRecord,
  Examples,
  Outcome,
  PlacedHead,
  TrainHooks,
  TrainingData,
  TrainingEnd,
  TrainingRun,
} from './run.js';
import type { Standardization } from './standardize.js';
import { trainBySteps } from './steps.js';
import { fitTargetScale, ownUnit, ownUnitRecord, scaledTargets } from './target-scale.js';
import type { TrainerMaker } from './trainer.js';
import { allRows, type VectorSource } from './vectors.js';
import { trainWhole } from './whole.js';

/** A head in memory. */
export interface TrainedHead {
  readonly task: Task;
  readonly classes: readonly string[];
  readonly d: number;
  /** For raw vectors. */
  readonly net: HeadNet;
  /** What was folded into the first layer of the net. */
  readonly standardization: Standardization | null;
  readonly options: ResolvedOptions;
  /** Rows trained on, and validated on. */
  readonly train: number;
  readonly val: number;
  readonly history: readonly EpochRecord[];
  /** The epoch whose weights these are: the lowest validation loss; without validation vectors the last. */
  readonly bestEpoch: number;
  readonly end: TrainingEnd;
  /** What `lda` or `ridge` chose. */
  readonly closedForm?: ClosedForm;
}

/** Heads to train on the same rows. */
export interface TrainingJob {
  readonly data: TrainingData;
  readonly val: Examples | null;
  readonly heads: readonly HeadOptions[];
  /** Engine and threads are the same for all that train together. */
  readonly hooks?: TrainHooks;
}

/** A head for each of the options, or the error of one that diverged before its first epoch was over, or has no solution. */
export type Trained = (TrainedHead | HeadError)[];

/**
 * Trains heads on ready vectors: glorot-uniform weights, a fresh order every epoch, early stopping on the validation loss with
 * the best weights kept. The same vectors, options and machine give the same bits. Without validation vectors every epoch is
 * run and the last weights are kept. Heads whose options differ only in numbers are trained together, in one pass over the
 * vectors; each becomes the head that it would become alone, to 1e-5 in its probabilities.
 * @returns a head for each of the options, or the error of one that diverged before its first epoch was over, or has no solution
 * @throws UsageError for options out of range, LabelError when training holds one class only, CacheError for vectors that
 * are not finite
 */
export async function trainHeads(
  data: TrainingData,
  val: Examples | null,
  heads: readonly HeadOptions[],
  hooks: TrainHooks = {},
): Promise<Trained> {
  const [trained] = trainTogether([{ data, val, heads, hooks }]);
  return trained as Promise<Trained>;
}

/**
 * `trainHeads` for several problems side by side: heads of one shape on the same rows share a graph, whatever their targets are,
 * and heads on other rows go through the same epochs beside them.
 * @returns what `trainHeads` returns or throws, for each problem, as soon as all of its heads have ended
 */
export function trainTogether(jobs: readonly TrainingJob[]): Promise<Trained>[] {
  const seats = jobs.map((job) => new Seat(job));
  const run = async (): Promise<void> => {
    const maker = await makerOf(jobs[0]?.hooks?.engine);
    const checks = new Checks(jobs);
    const ready: Ready[] = [];
    for (const seat of seats) {
      try {
        ready.push(await makeReady(seat, maker, checks));
      } catch (error) {
        seat.reject(error);
      }
    }
    const bySteps = ready.filter(({ entrants }) => entrants.heads.length > 0);
    for (const one of ready) if (!bySteps.includes(one)) one.finish([]);
    await trainBySteps(
      bySteps.map(({ entrants }) => entrants),
      maker,
      (at, outcomes) => bySteps[at]?.finish(outcomes),
    );
  };
  run().catch((error: unknown) => {
    for (const seat of seats) seat.reject(error);
  });
  return seats.map(({ promise }) => promise);
}

/** A job and the promise of its heads. */
class Seat {
  readonly promise: Promise<Trained>;
  resolve: (trained: Trained) => void = () => {};
  reject: (error: unknown) => void = () => {};

  constructor(readonly job: TrainingJob) {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/** A job that is checked: what goes by minibatches, and what ends it. */
interface Ready {
  readonly entrants: Entrants;
  readonly finish: (outcomes: readonly Outcome[]) => void;
}

async function makerOf(engine: EngineName | undefined): Promise<TrainerMaker> {
  return engine === 'tensorflow' ? (await import('./tensorflow/trainer.js')).tensorflowTrainers : onnxTrainers;
}

/** @returns whether the heads of a job train in the passes of others that see other rows of the same vectors, when those are asked for too */
export async function sharesPasses({ data, heads, hooks = {} }: TrainingJob): Promise<boolean> {
  const maker = await makerOf(hooks.engine);
  const isMixed = (options: ResolvedOptions): boolean =>
    isByMinibatch(options.optimizer) && maker.mixes(specOf(options, data), heads.length, options.batchSize);
  return data.vectors.isWhole === true && heads.every((options) => isMixed(resolveOptions(options)));
}

/** Checks a job, and trains what does not go by minibatches. */
async function makeReady({ job, resolve }: Seat, maker: TrainerMaker, checks: Checks): Promise<Ready> {
  const { data, val, hooks = {} } = job;
  const resolved = job.heads.map((options) => resolveOptions(options));
  for (const options of resolved) checkTask(options, data.task);
  const rows = data.rows ?? allRows(data.vectors.n);
  const valRows = val === null ? new Uint32Array(0) : (val.rows ?? allRows(val.vectors.n));
  checkTargets(data, rows, data, 'training');
  if (val !== null) checkTargets(val, valRows, data, 'validation');
  checkClasses(data, rows);
  await checks.finite(data.vectors, rows, 'training');
  if (val !== null) await checks.finite(val.vectors, valRows, 'validation');
  const standardization = resolved.some(({ scale }) => scale === 'standard')
    ? await checks.standardization(data.vectors, rows)
    : null;
  const held = val === null || valRows.length === 0 ? null : { vectors: val.vectors, y: val.y, rows: valRows };
  const given: TrainingRun = { data: { ...data, rows }, val: held, standardization, hooks };
  const { run, own } = data.task === 'regression' ? scaledRun(given) : { run: given, own: (one: Outcome) => one };
  const places = resolved.map((options, place) => ({ place, options }));
  const heads = places.filter(({ options }) => hooks.engine === 'tensorflow' || isByMinibatch(options.optimizer));
  for (const { options } of heads) {
    maker.check(options);
    classWeights(options.classWeight, data, rows);
  }
  const others = places.filter((one) => !heads.includes(one));
  const isClosed = ({ options }: PlacedHead): boolean => isClosedForm(options.optimizer);
  const whole = [
    ...(await trainWhole(
      run,
      others.filter((one) => !isClosed(one)),
    )),
    ...(await trainClosed(run, others.filter(isClosed))),
  ];
  const headOf = ({ place, outcome, failure }: Outcome): TrainedHead | HeadError =>
    outcome === null
      ? (failure ??
        new HeadError(
          `training diverged in its first epoch with learning rate ${resolved[place]?.learningRate}: lower it, or use --scale standard`,
        ))
      : {
          task: data.task,
          classes: [...data.classes],
          d: data.vectors.d,
          standardization: resolved[place]?.scale === 'standard' ? standardization : null,
          options: resolved[place] as ResolvedOptions,
          train: rows.length,
          val: valRows.length,
          ...outcome,
        };
  return {
    entrants: { run, heads },
    finish: (outcomes) =>
      resolve([...whole, ...outcomes].sort((a, b) => a.place - b.place).map((one) => headOf(own(one)))),
  };
}

/** @returns the run on standardised targets, and what puts nets and losses back into the unit that they came in */
function scaledRun({ data, val, standardization, hooks }: TrainingRun) {
  const scale = fitTargetScale(data.y, data.rows);
  const { onEpoch, onNet, drop } = hooks;
  const run: TrainingRun = {
    data: { ...data, y: scaledTargets(data.y, scale) },
    val: val && { ...val, y: scaledTargets(val.y, scale) },
    standardization,
    hooks: {
      ...hooks,
      ...(onEpoch ? { onEpoch: (place, record) => onEpoch(place, ownUnitRecord(record, scale)) } : {}),
      ...(onNet ? { onNet: (place, net) => onNet(place, ownUnit(net, scale)) } : {}),
      ...(drop
        ? {
            drop: (epoch, losses) =>
              drop(
                epoch,
                losses.map((loss) => loss * scale.scale ** 2),
              ),
          }
        : {}),
    },
  };
  const own = ({ place, outcome, ...rest }: Outcome): Outcome => {
    if (outcome === null) return { place, outcome, ...rest };
    const history = outcome.history.map((record) => ownUnitRecord(record, scale));
    return { place, outcome: { ...outcome, net: ownUnit(outcome.net, scale), history } };
  };
  return { run, own };
}

/** Trains one head. @throws HeadError when its first epoch already diverges; else as `trainHeads` */
export async function trainHead(
  data: TrainingData,
  val: Examples | null,
  options: HeadOptions = {},
  hooks: TrainHooks = {},
): Promise<TrainedHead> {
  const [head] = await trainHeads(data, val, [options], hooks);
  if (head instanceof Error) throw head;
  return head as TrainedHead;
}

/**
 * What a head gives for raw vectors.
 * @param rows of the source; default all
 * @returns a row for each: `[n, classes]` probabilities (both of a binary head), for regression `[n, 1]` numbers
 */
export async function outputsOf(
  head: Pick<TrainedHead, 'task' | 'net'>,
  vectors: VectorSource,
  rows: Uint32Array = allRows(vectors.n),
): Promise<Float32Array> {
  const { d } = vectors;
  const units = head.net.layers.at(-1)?.bias.length ?? 0;
  const outputs = new Float32Array(rows.length * units);
  const model = await HeadModel.load(writeHeadModel(head.net, {}), d, units);
  const place = new Uint32Array(vectors.n);
  rows.forEach((row, i) => {
    place[row] = i;
  });
  try {
    for await (const block of vectors.blocks(rows)) {
      const most = Math.max(1, Math.floor(OUTPUT_VALUES / d));
      const x = new Float32Array(Math.min(most, block.at.length) * d);
      for (let from = 0; from < block.at.length; from += most) {
        const count = Math.min(most, block.at.length - from);
        for (let i = 0; i < count; i++) {
          const at = block.at[from + i] as number;
          x.set(block.x.subarray(at * d, (at + 1) * d), i * d);
        }
        const given = await model.run(x.subarray(0, count * d), count);
        for (let i = 0; i < count; i++) {
          const row = place[block.rows[from + i] as number] as number;
          outputs.set(given.subarray(i * units, (i + 1) * units), row * units);
        }
      }
    }
  } finally {
    await model.release();
  }
  return bothClasses(head.task, outputs);
}

/** Numbers of the vectors of one call, which stay in the processor's cache. */
const OUTPUT_VALUES = 2 ** 19;

/** @returns `[n, classes]`: a binary head's `[n, 1]`, the probability of the second class, becomes two columns */
export function bothClasses(task: Task, probabilities: Float32Array): Float32Array {
  if (task !== 'binary') return probabilities;
  const both = new Float32Array(2 * probabilities.length);
  probabilities.forEach((p, i) => {
    both[2 * i] = 1 - p;
    both[2 * i + 1] = p;
  });
  return both;
}
