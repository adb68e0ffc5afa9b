import { HeadModel, writeHeadModel } from '../engine/onnx/head-model.js';
import type { DenseWeights, HeadNet } from '../engine/onnx/head-net.js';
import { HeadEvaluator, HeadTrainer } from '../engine/onnx/head-trainer.js';
import { CacheError, HeadError, LabelError, UsageError } from '../errors.js';
import { Random } from '../random.js';
import { type HeadOptions, type ResolvedOptions, resolveOptions } from './options.js';
import { fitStandardization, foldStandardization, type Standardization } from './standardize.js';
import { endingOf, type Targets, type Task, unitsOf, widthOf } from './targets.js';
import { allRows, type VectorSource } from './vectors.js';

/** Vectors and what they should give. */
export interface Examples {
  readonly vectors: VectorSource;
  /** A target for each row of the source, in or out of `rows`. */
  readonly y: Targets;
  /** The rows that count, ascending. Default: all. */
  readonly rows?: Uint32Array;
}

/** What heads are trained on. */
export interface TrainingData extends Examples {
  readonly task: Task;
  /** Names, in the order of the class numbers or labels; none for regression. */
  readonly classes: readonly string[];
}

/** One epoch, or one iteration of lbfgs; numbers from 1. Losses are means over the rows without penalties. */
export interface EpochRecord {
  readonly epoch: number;
  /** Over the epoch, each minibatch measured before its step. */
  readonly loss: number;
  /** Without class weights and label smoothing. Null without validation vectors, and between the iterations of lbfgs. */
  readonly valLoss: number | null;
  /** Share of right answers (multilabel: of right labels); null for regression and where `valLoss` is. */
  readonly valAccuracy: number | null;
}

/**
 * Why training ended: all epochs were run, the validation loss fell no more, lbfgs converged, `drop` named the head, or the
 * loss was not finite.
 */
export type TrainingEnd = 'epochs' | 'patience' | 'converged' | 'dropped' | 'diverged';

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
}

export interface TrainHooks {
  /** @param head its place in the list */
  readonly onEpoch?: (head: number, record: EpochRecord) => void;
  /**
   * Asked after each epoch which heads to stop, as for successive halving.
   * @param losses of each head, on validation where there is any; NaN of heads that have ended
   * @returns their places in the list
   */
  readonly drop?: (epoch: number, losses: readonly number[]) => Iterable<number>;
  /** Ends training between two steps by throwing its reason. */
  readonly signal?: AbortSignal;
  /** Threads of the engine. Default 1: the steps of a head are too short to share. */
  readonly threads?: number;
}

/**
 * Trains heads on ready vectors: glorot-uniform weights, a fresh order every epoch, early stopping on the validation loss with
 * the best weights kept. The same vectors, options and machine give the same bits. Without validation vectors every epoch is
 * run and the last weights are kept. Heads whose options differ only in numbers are trained together, in one pass over the
 * vectors; each becomes the head that it would become alone, to 1e-5 in its probabilities.
 * @returns a head for each of the options, or the error of one that diverged before its first epoch was over
 * @throws UsageError for options out of range, LabelError when training holds one class only, CacheError for vectors that
 * are not finite
 */
export async function trainHeads(
  data: TrainingData,
  val: Examples | null,
  heads: readonly HeadOptions[],
  hooks: TrainHooks = {},
): Promise<(TrainedHead | HeadError)[]> {
  const resolved = heads.map((options) => resolveOptions(options));
  const rows = data.rows ?? allRows(data.vectors.n);
  const valRows = val === null ? new Uint32Array(0) : (val.rows ?? allRows(val.vectors.n));
  checkTargets(data, rows, data, 'training');
  if (val !== null) checkTargets(val, valRows, data, 'validation');
  checkClasses(data, rows);
  await checkFinite(data.vectors, rows, 'training');
  if (val !== null) await checkFinite(val.vectors, valRows, 'validation');
  const outcomes: (TrainedHead | HeadError)[] = [];
  for (const [i, options] of resolved.entries()) {
    try {
      outcomes.push(await trainAlone(data, rows, val, valRows, options, i, hooks));
    } catch (error) {
      if (!(error instanceof HeadError)) throw error;
      outcomes.push(error);
    }
  }
  return outcomes;
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

async function trainAlone(
  data: TrainingData,
  rows: Uint32Array,
  val: Examples | null,
  valRows: Uint32Array,
  options: ResolvedOptions,
  place: number,
  hooks: TrainHooks,
): Promise<TrainedHead> {
  const { task, classes } = data;
  const { d } = data.vectors;
  const ending = endingOf(task);
  const { optimizer, hidden, scale } = options;
  if (task === 'multilabel' || ending === 'linear' || optimizer !== 'adam' || hidden.length > 0 || scale === 'l2') {
    throw new UsageError(`${task} heads and these options are not trained yet`);
  }
  const take = async (source: VectorSource, wanted: Uint32Array) => {
    const x = new Float32Array(wanted.length * d);
    for await (const block of source.blocks(wanted)) {
      block.at.forEach((from, i) => {
        x.set(block.x.subarray(from * d, (from + 1) * d), i * d);
      });
    }
    return x;
  };
  const x = await take(data.vectors, rows);
  const y = Int32Array.from(rows, (row) => data.y[row] ?? 0);
  const valX = val === null ? new Float32Array(0) : await take(val.vectors, valRows);
  const valY = Int32Array.from(valRows, (row) => val?.y[row] ?? 0);
  const units = unitsOf(task, classes.length);
  const spec = { d, units, activation: ending, standardize: scale === 'standard', penalize: options.l2 > 0 } as const;
  const standardization = scale === 'standard' ? fitStandardization(x, rows.length, d) : null;
  const trainer = await HeadTrainer.create(
    spec,
    x,
    glorotUniform(d, units, options.seed),
    standardization === null
      ? undefined
      : { mean: standardization.mean, inverse: standardization.scale.map((one) => 1 / one) },
    hooks.threads,
  );
  const evaluator = await HeadEvaluator.create(spec, hooks.threads);
  try {
    const random = new Random(`order ${options.seed}`);
    const history: EpochRecord[] = [];
    let best: { epoch: number; loss: number; weights: DenseWeights } | undefined;
    let end: TrainingEnd = 'epochs';
    for (let epoch = 1; epoch <= options.epochs; epoch++) {
      const loss = await trainer.epoch(random.permutation(rows.length), y, options, () =>
        hooks.signal?.throwIfAborted(),
      );
      const weights =
        standardization === null ? trainer.weights : foldStandardization(trainer.weights, standardization);
      const measured = valRows.length === 0 ? undefined : await evaluator.evaluate(valX, valY, weights);
      const chosen = measured?.loss ?? loss;
      if (!Number.isFinite(loss) || !Number.isFinite(chosen)) {
        end = 'diverged';
        break;
      }
      const record = { epoch, loss, valLoss: measured?.loss ?? null, valAccuracy: measured?.accuracy ?? null };
      history.push(record);
      hooks.onEpoch?.(place, record);
      if (best === undefined || measured === undefined || chosen < best.loss) best = { epoch, loss: chosen, weights };
      if (epoch - best.epoch >= options.patience) {
        end = 'patience';
        break;
      }
    }
    if (best === undefined) {
      throw new HeadError(
        `training diverged in its first epoch with learning rate ${options.learningRate}: lower it, or use --scale standard`,
      );
    }
    return {
      task,
      classes: [...classes],
      d,
      net: { d, normalize: false, layers: [best.weights], activation: options.activation, ending },
      standardization,
      options,
      train: rows.length,
      val: valRows.length,
      history,
      bestEpoch: best.epoch,
      end,
    };
  } finally {
    await trainer.release();
    await evaluator.release();
  }
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
      const x = new Float32Array(Math.min(OUTPUT_ROWS, block.at.length) * d);
      for (let from = 0; from < block.at.length; from += OUTPUT_ROWS) {
        const count = Math.min(OUTPUT_ROWS, block.at.length - from);
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

const OUTPUT_ROWS = 4096;

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

/** Keras's default for Dense: uniform in ±sqrt(6 / (fan in + fan out)), zero bias. @returns kernel `[units, d]` */
function glorotUniform(d: number, units: number, seed: number): DenseWeights {
  const random = new Random(`weights ${seed}`);
  const limit = Math.sqrt(6 / (d + units));
  const kernel = Float32Array.from({ length: units * d }, () => random.uniform(-limit, limit));
  return { kernel, bias: new Float32Array(units) };
}

/** Shapes and ranges: what only a mistake in the calling program can get wrong. */
function checkTargets({ vectors, y }: Examples, rows: Uint32Array, data: TrainingData, which: string): void {
  const { task, classes } = data;
  if (vectors.d !== data.vectors.d) {
    throw new TypeError(`${which} vectors have ${vectors.d} features, the training vectors ${data.vectors.d}`);
  }
  const width = widthOf(task, classes.length);
  if (y.length !== vectors.n * width) {
    throw new TypeError(`${which}: expected ${vectors.n} x ${width} targets, found ${y.length}`);
  }
  const high = task === 'multilabel' || task === 'binary' ? 1 : task === 'multiclass' ? classes.length - 1 : Infinity;
  const low = task === 'regression' ? -Infinity : 0;
  for (const row of rows) {
    if (row >= vectors.n) throw new TypeError(`${which} row ${row} is not below ${vectors.n}`);
    for (let k = row * width; k < (row + 1) * width; k++) {
      const target = y[k] as number;
      if (Number.isFinite(target) && target >= low && target <= high) continue;
      throw new TypeError(`${which} target ${target} of row ${row} is not from ${low} to ${high}`);
    }
  }
}

function checkClasses({ task, classes, y }: TrainingData, rows: Uint32Array): void {
  if (rows.length === 0)
    throw new LabelError('no images to train on: label some, or give fewer to validation and test');
  if (task !== 'binary' && task !== 'multiclass') return;
  const first = y[rows[0] as number] as number;
  if (classes.length >= 2 && rows.some((row) => y[row] !== first)) return;
  throw new LabelError(
    `all training images are of the class ${classes[first]}: a head needs images of at least two classes`,
  );
}

/** @throws CacheError for a vector that is not finite */
export async function checkFinite(vectors: VectorSource, rows: Uint32Array, which: string): Promise<void> {
  const { d } = vectors;
  for await (const block of vectors.blocks(rows)) {
    block.at.forEach((at, i) => {
      for (let j = at * d; j < (at + 1) * d; j++) {
        if (Number.isFinite(block.x[j])) continue;
        throw new CacheError(
          `feature ${j - at * d} of ${which} vector ${block.rows[i]} is ${block.x[j]}: extract these vectors again, or remove the image`,
        );
      }
    });
  }
}
