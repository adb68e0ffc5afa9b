import { CacheError, HeadError, LabelError } from '../errors.js';
import { type Task, widthOf } from '../labels/targets.js';
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
import { fitStandardization, type Standardization } from './standardize.js';
import { trainBySteps } from './steps.js';
import { fitTargetScale, ownUnit, ownUnitRecord, scaledTargets } from './target-scale.js';
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
): Promise<(TrainedHead | HeadError)[]> {
  const resolved = heads.map((options) => resolveOptions(options));
  for (const options of resolved) checkTask(options, data.task);
  const rows = data.rows ?? allRows(data.vectors.n);
  const valRows = val === null ? new Uint32Array(0) : (val.rows ?? allRows(val.vectors.n));
  checkTargets(data, rows, data, 'training');
  if (val !== null) checkTargets(val, valRows, data, 'validation');
  checkClasses(data, rows);
  await checkFinite(data.vectors, rows, 'training');
  if (val !== null) await checkFinite(val.vectors, valRows, 'validation');
  const standardization = resolved.some(({ scale }) => scale === 'standard')
    ? await fitStandardization(data.vectors, rows)
    : null;
  const held = val === null || valRows.length === 0 ? null : { vectors: val.vectors, y: val.y, rows: valRows };
  const run = { data: { ...data, rows }, val: held, standardization, hooks };
  const places = resolved.map((options, place) => ({ place, options }));
  const outcomes = await (data.task === 'regression' ? trainNumbers : trainWith)(run, places);
  return outcomes.map(({ place, outcome, failure }) =>
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
        },
  );
}

/** Trains on standardised targets, and puts nets and losses back into the unit that they came in. */
async function trainNumbers({ data, val, standardization, hooks }: TrainingRun, heads: readonly PlacedHead[]) {
  const scale = fitTargetScale(data.y, data.rows);
  const { onEpoch, drop } = hooks;
  const run: TrainingRun = {
    data: { ...data, y: scaledTargets(data.y, scale) },
    val: val && { ...val, y: scaledTargets(val.y, scale) },
    standardization,
    hooks: {
      ...hooks,
      ...(onEpoch ? { onEpoch: (place, record) => onEpoch(place, ownUnitRecord(record, scale)) } : {}),
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
  const outcomes = await trainWith(run, heads);
  return outcomes.map(({ place, outcome, ...rest }): Outcome => {
    if (outcome === null) return { place, outcome, ...rest };
    const history = outcome.history.map((record) => ownUnitRecord(record, scale));
    return { place, outcome: { ...outcome, net: ownUnit(outcome.net, scale), history } };
  });
}

async function trainWith(run: TrainingRun, heads: readonly PlacedHead[]): Promise<Outcome[]> {
  if (run.hooks.engine === 'tensorflow') {
    const { tensorflowTrainers } = await import('./tensorflow/trainer.js');
    return trainBySteps(run, heads, tensorflowTrainers);
  }
  const bySteps = heads.filter(({ options }) => isByMinibatch(options.optimizer));
  const whole = heads.filter(({ options }) => options.optimizer === 'lbfgs');
  const closed = heads.filter(({ options }) => isClosedForm(options.optimizer));
  const outcomes = [
    ...(await trainBySteps(run, bySteps, onnxTrainers)),
    ...(await trainWhole(run, whole)),
    ...(await trainClosed(run, closed)),
  ];
  return outcomes.sort((a, b) => a.place - b.place);
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
