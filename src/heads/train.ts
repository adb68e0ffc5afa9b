import { HeadModel, writeHeadModel } from '../engine/onnx/head-model.js';
import { type DenseWeights, type HeadActivation, HeadEvaluator, HeadTrainer } from '../engine/onnx/head-trainer.js';
import { CacheError, HeadError, LabelError } from '../errors.js';
import { Random } from '../random.js';
import { type Labels, type Metrics, majorityBaseline, measure } from './metrics.js';
import { type HeadOptions, type ResolvedOptions, resolveOptions } from './options.js';
import { fitStandardization, foldStandardization, type Standardization } from './standardize.js';

/** `binary`: Dense(1, sigmoid) on two classes; `multiclass`: Dense(K, softmax). */
export type Task = 'binary' | 'multiclass';

/** Vectors and the class of each. */
export interface Vectors {
  /** `[n, d]` */
  readonly x: Float32Array;
  readonly n: number;
  readonly d: number;
  /** `[n]`, class numbers */
  readonly y: Labels;
}

/** One epoch; numbers from 1. Losses are mean cross-entropies without the penalty. */
export interface EpochRecord {
  readonly epoch: number;
  /** Over the epoch, each minibatch measured before its step. */
  readonly loss: number;
  /** Null without validation vectors. */
  readonly valLoss: number | null;
  readonly valAccuracy: number | null;
}

/** A head in memory. */
export interface TrainedHead {
  readonly task: Task;
  readonly classes: readonly string[];
  readonly d: number;
  /** For raw vectors: the standardisation is folded in. `kernel` `[units, d]`, units 1 (binary) or K. */
  readonly weights: DenseWeights;
  /** What was folded into the weights. */
  readonly standardization: Standardization | null;
  readonly options: ResolvedOptions;
  readonly train: number;
  readonly val: number;
  readonly history: readonly EpochRecord[];
  /** The epoch whose weights these are. */
  readonly bestEpoch: number;
  /** On the validation vectors; null without any. */
  readonly metrics: Metrics | null;
  /** Accuracy on the validation vectors of always answering the commonest class of training. */
  readonly majority: number | null;
}

export interface TrainHooks {
  readonly onEpoch?: (record: EpochRecord) => void;
  /** Ends training between two steps by throwing its reason. */
  readonly signal?: AbortSignal;
  /** Threads of the engine. Default 1: the steps of a head are too short to share. */
  readonly threads?: number;
}

/** @returns the ending of the head of a task */
export const activationOf = (task: Task): HeadActivation => (task === 'binary' ? 'sigmoid' : 'softmax');

/**
 * Trains a Dense head on ready vectors with Adam: glorot-uniform weights, a fresh order every epoch, early stopping on the
 * validation loss with the best weights kept. The same vectors, options and machine give the same bits. Without validation
 * vectors every epoch is run and the last weights are kept.
 * @throws UsageError for options out of range, LabelError when training holds one class only, CacheError for vectors that
 * are not finite, HeadError when the first epoch already diverges
 */
export async function trainHead(
  data: Vectors & { readonly classes: readonly string[] },
  val: Vectors,
  options: HeadOptions = {},
  hooks: TrainHooks = {},
): Promise<TrainedHead> {
  const resolved = resolveOptions(options);
  const { classes, d } = data;
  checkVectors(data, classes.length, d, 'training');
  checkVectors(val, classes.length, d, 'validation');
  checkClasses(data.y, classes);
  const task: Task = classes.length === 2 ? 'binary' : 'multiclass';
  const units = task === 'binary' ? 1 : classes.length;
  const activation = activationOf(task);
  const spec = { d, units, activation, standardize: resolved.standardize, penalize: resolved.l2 > 0 };
  const standardization = resolved.standardize ? fitStandardization(data.x, data.n, d) : null;
  const folded = (weights: DenseWeights): DenseWeights =>
    standardization === null ? weights : foldStandardization(weights, standardization);

  const trainer = await HeadTrainer.create(
    spec,
    data.x,
    glorotUniform(d, units, resolved.seed),
    standardization === null
      ? undefined
      : { mean: standardization.mean, inverse: standardization.scale.map((scale) => 1 / scale) },
    hooks.threads,
  );
  const evaluator = await HeadEvaluator.create(spec, hooks.threads);
  try {
    const random = new Random(`order ${resolved.seed}`);
    const history: EpochRecord[] = [];
    let best: { epoch: number; loss: number; weights: DenseWeights } | undefined;
    for (let epoch = 1; epoch <= resolved.epochs; epoch++) {
      const loss = await trainer.epoch(random.permutation(data.n), data.y, resolved, () =>
        hooks.signal?.throwIfAborted(),
      );
      const weights = folded(trainer.weights);
      const measured = val.n === 0 ? undefined : await evaluator.evaluate(val.x, val.y, weights);
      const chosen = measured?.loss ?? loss;
      if (!Number.isFinite(loss) || !Number.isFinite(chosen)) break;
      const record: EpochRecord = {
        epoch,
        loss,
        valLoss: measured?.loss ?? null,
        valAccuracy: measured?.accuracy ?? null,
      };
      history.push(record);
      hooks.onEpoch?.(record);
      if (best === undefined || measured === undefined || chosen < best.loss) best = { epoch, loss: chosen, weights };
      if (epoch - best.epoch >= resolved.patience) break;
    }
    if (best === undefined) {
      throw new HeadError(
        `training diverged in its first epoch with learning rate ${resolved.learningRate}: lower it, or standardise the vectors`,
      );
    }
    const head = { task, classes: [...classes], d, weights: best.weights };
    return {
      ...head,
      standardization,
      options: resolved,
      train: data.n,
      val: val.n,
      history,
      bestEpoch: best.epoch,
      metrics: val.n === 0 ? null : measure(await probabilitiesOf(head, val.x, val.n), val.y, classes.length),
      majority: val.n === 0 ? null : majorityBaseline(data.y, val.y, classes.length),
    };
  } finally {
    await trainer.release();
    await evaluator.release();
  }
}

/**
 * @param x `[n, d]`
 * @returns `[n, classes]`, what the head gives for raw vectors
 */
export async function probabilitiesOf(
  head: Pick<TrainedHead, 'task' | 'weights' | 'd'>,
  x: Float32Array,
  n: number,
): Promise<Float32Array> {
  const model = await HeadModel.load(
    writeHeadModel(head.weights, activationOf(head.task), {}),
    head.d,
    head.weights.bias.length,
  );
  try {
    return bothClasses(head.task, await model.run(x, n));
  } finally {
    await model.release();
  }
}

/** @returns `[n, classes]`: a binary head's `[n, 1]`, the probability of the second class, becomes two columns */
export function bothClasses(task: Task, probabilities: Float32Array): Float32Array {
  if (task === 'multiclass') return probabilities;
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

function checkVectors({ x, n, d, y }: Vectors, classes: number, expected: number, which: string): void {
  if (d !== expected) {
    throw new TypeError(`${which} vectors have ${d} features, the training vectors ${expected}`);
  }
  if (!Number.isInteger(d) || d < 1 || x.length !== n * d || y.length !== n) {
    throw new TypeError(`${which}: expected ${n} x ${d} features and ${n} labels, found ${x.length} and ${y.length}`);
  }
  const wrong = y.findIndex((label) => label < 0 || label >= classes);
  if (wrong >= 0) throw new TypeError(`${which} label ${y[wrong]} of row ${wrong} is not below ${classes}`);
  for (let i = 0; i < x.length; i++) {
    if (Number.isFinite(x[i])) continue;
    throw new CacheError(
      `feature ${i % d} of ${which} vector ${Math.floor(i / d)} is ${x[i]}: extract these vectors again, or remove the image`,
    );
  }
}

function checkClasses(y: Labels, classes: readonly string[]): void {
  if (y.length === 0) throw new LabelError('no images to train on: label some, or give fewer to validation and test');
  const first = y[0] as number;
  if (classes.length >= 2 && y.some((label) => label !== first)) return;
  throw new LabelError(
    `all training images are of the class ${classes[first]}: a head needs images of at least two classes`,
  );
}
