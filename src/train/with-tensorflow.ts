import { UsageError } from '../errors.js';
import { widthOf } from '../labels/targets.js';
import { Random } from '../random.js';
import type { HeadNet } from './head-net.js';
import { endingOf, foldedNet, initialVariables, unitsOf } from './net.js';
import { NetEvaluator } from './onnx/head-pack.js';
import type { ResolvedOptions } from './options.js';
import { note, type Outcome, outcomeOf, type PlacedHead, type Progress, type TrainingRun } from './run.js';
import type { Standardization } from './standardize.js';

const OPTIMIZERS = ['adam', 'sgd', 'rmsprop'] as const;

const isKnown = (optimizer: string): optimizer is (typeof OPTIMIZERS)[number] =>
  OPTIMIZERS.some((known) => known === optimizer);

/** @throws UsageError that names what this engine does not train */
function checkSupported(options: ResolvedOptions): (typeof OPTIMIZERS)[number] {
  const { optimizer, hidden, dropout, batchNorm, weightDecay, schedule, warmup, classWeight, labelSmoothing } = options;
  const beyond = Object.entries({
    hidden: hidden.length > 0,
    dropout: dropout > 0,
    batchNorm,
    weightDecay: weightDecay > 0,
    [`schedule ${schedule}`]: schedule !== 'constant',
    warmup: warmup > 0,
    classWeight: classWeight !== null,
    labelSmoothing: labelSmoothing > 0,
    'scale l2': options.scale === 'l2',
    [`optimizer ${optimizer}`]: !isKnown(optimizer),
  }).flatMap(([name, isAsked]) => (isAsked ? [name] : []));
  if (beyond.length > 0 || !isKnown(optimizer)) {
    throw new UsageError(
      `the tensorflow engine trains one Dense layer with ${OPTIMIZERS.join(', ')}, without ${beyond.join(', ')}: ` +
        'leave that out, or use --engine onnx',
    );
  }
  return optimizer;
}

/** The training vectors, standardised where that is asked for, and their targets. */
async function gather(
  { vectors, y: targets, task, classes }: TrainingRun['data'],
  rows: Uint32Array,
  scaling: Standardization | null,
) {
  const { d } = vectors;
  const width = widthOf(task, classes.length);
  const x = new Float32Array(rows.length * d);
  const y = new Float32Array(rows.length * width);
  const place = new Map(Array.from(rows, (row, i) => [row, i]));
  for await (const block of vectors.blocks(rows)) {
    for (const [i, at] of block.at.entries()) {
      const row = block.rows[i] ?? 0;
      const to = place.get(row) ?? 0;
      x.set(block.x.subarray(at * d, (at + 1) * d), to * d);
      y.set(targets.subarray(row * width, (row + 1) * width), to * width);
    }
  }
  if (scaling === null) return { x, y };
  const { mean, scale } = scaling;
  return { x: x.map((value, i) => (value - (mean[i % d] ?? 0)) / (scale[i % d] ?? 1)), y };
}

/**
 * Trains heads of one layer with TensorFlow, one after the other, with the start, the order of rows and the early stopping of
 * `trainBySteps`; the training vectors are held in memory.
 * @throws UsageError for options that this engine does not train
 */
export async function trainOnTensorflow(run: TrainingRun, heads: readonly PlacedHead[]): Promise<Outcome[]> {
  if (run.hooks.drop && heads.length > 1) {
    throw new UsageError('the tensorflow engine trains heads one after the other and drops none: use --engine onnx');
  }
  const outcomes: Outcome[] = [];
  for (const head of heads) outcomes.push(await trainOne(run, head));
  return outcomes;
}

async function trainOne(
  { data, val, standardization, hooks }: TrainingRun,
  { place, options }: PlacedHead,
): Promise<Outcome> {
  const optimizer = checkSupported(options);
  const { task, classes, vectors, rows } = data;
  const units = unitsOf(task, classes.length);
  const ending = endingOf(task);
  const { activation, seed } = options;
  const net = { d: vectors.d, units, ending, hidden: [], activation, normalize: false, batchNorm: false };
  const scaling = options.scale === 'standard' ? standardization : null;
  const training = await gather(data, rows, scaling);
  const variables = initialVariables(net, seed);
  const start = { kernel: variables.get('kernel0') as Float32Array, bias: variables.get('bias0') as Float32Array };
  const { TensorflowHeadTrainer } = await import('./tensorflow/head-trainer.js');
  const trainer = await TensorflowHeadTrainer.create(
    { ...options, d: net.d, units, ending, optimizer },
    training,
    start,
  );
  const evaluator = await NetEvaluator.create(net, hooks.threads);
  try {
    const random = new Random(`order ${seed}`);
    const head: Progress = { options, history: [] };
    for (let epoch = 1; head.end === undefined; epoch++) {
      const loss = await trainer.epoch(random.permutation(rows.length), () => hooks.signal?.throwIfAborted());
      const { kernel, bias } = await trainer.weights();
      const folded = foldedNet(
        net,
        new Map([
          ['kernel0', kernel],
          ['bias0', bias],
        ]),
        scaling,
      );
      const record = { epoch, loss, ...(await measure(evaluator, folded, val)) };
      if (note(head, record, folded)) hooks.onEpoch?.(place, record);
      for (const dropped of hooks.drop?.(epoch, [record.valLoss ?? loss]) ?? []) {
        if (dropped === place) head.end ??= 'dropped';
      }
    }
    return outcomeOf(place, head);
  } finally {
    await trainer.release();
    await evaluator.release();
  }
}

async function measure(evaluator: NetEvaluator, net: HeadNet, val: TrainingRun['val']) {
  if (val === null) return { valLoss: null, valAccuracy: null };
  let loss = 0;
  let hits = 0;
  for await (const block of val.vectors.blocks(val.rows)) {
    const [found] = await evaluator.evaluate([net], block, val.y);
    loss += found?.loss ?? Number.NaN;
    hits += found?.hits ?? Number.NaN;
  }
  return { valLoss: loss / val.rows.length, valAccuracy: Number.isNaN(hits) ? null : hits / val.rows.length };
}
