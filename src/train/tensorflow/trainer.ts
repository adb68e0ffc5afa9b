import type { Optimizer, Tensor as Value, Variable } from '@tensorflow/tfjs-core';
import { loadRuntime, type Tfjs } from '../../engine/tensorflow/runtime.js';
import { UsageError } from '../../errors.js';
import { type Algebra, lossOf } from '../loss.js';
import { type PackSpec, targetWidth } from '../net-spec.js';
import type { ResolvedOptions } from '../options.js';
import { CHUNK_MS, type PackedHead, type Scaling, type Trainer, type TrainerMaker } from '../trainer.js';
import type { VectorBlock } from '../vectors.js';

/** Keras's; tfjs's default differs by backend. */
const EPSILON = 1e-7;
const OPTIMIZERS: readonly string[] = ['adam', 'sgd', 'rmsprop'];

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** @throws UsageError that names what this engine does not train */
function check(options: ResolvedOptions): void {
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
    [`optimizer ${optimizer}`]: !OPTIMIZERS.includes(optimizer),
  }).flatMap(([name, isAsked]) => (isAsked ? [name] : []));
  if (beyond.length === 0) return;
  throw new UsageError(
    `the tensorflow engine trains one Dense layer with ${OPTIMIZERS.join(', ')}, without ${beyond.join(', ')}: ` +
      'leave that out, or use --engine onnx',
  );
}

/** Trains one Dense layer on minibatches with tfjs's optimizers. */
class TensorflowTrainer implements Trainer {
  private constructor(
    private readonly tf: Tfjs,
    private readonly spec: PackSpec,
    private readonly head: PackedHead,
    private readonly optimizer: Optimizer,
    /** Mean, and one over the deviation. */
    private readonly scaling: readonly [Value, Value] | null,
    /** `[units, d]` */
    private readonly kernel: Variable,
    /** `[units]` */
    private readonly bias: Variable,
  ) {}

  /** @throws EngineError when tfjs is not installed */
  static async create(
    spec: PackSpec,
    heads: readonly PackedHead[],
    scaling?: Scaling,
    threads?: number,
  ): Promise<TensorflowTrainer> {
    const { tf } = await loadRuntime(threads);
    const { d, units } = spec;
    const [head] = heads as [PackedHead];
    const variable = (name: string, shape: number[]): Variable =>
      tf.tidy(() => tf.variable(tf.tensor((head.start.get(name) as Float32Array).slice(), shape), true));
    const vectors = scaling ? ([tf.tensor1d(scaling.mean), tf.tensor1d(scaling.inverse)] as const) : null;
    const kernel = variable('kernel0', [units, d]);
    return new TensorflowTrainer(
      tf,
      spec,
      head,
      optimizerOf(tf, spec, head),
      vectors,
      kernel,
      variable('bias0', [units]),
    );
  }

  async run(
    block: VectorBlock,
    [targets = []]: readonly ArrayLike<number>[],
    batchSize: number,
    _noise?: () => number,
    afterChunk: () => void = () => {},
  ): Promise<Float64Array> {
    const { tf, spec } = this;
    const x = this.vectorsOf(block);
    const losses: Value[] = [];
    try {
      let began = performance.now();
      for (let from = 0; from < block.at.length; from += batchSize) {
        const at = Int32Array.from(block.at.subarray(from, from + batchSize));
        losses.push(
          tf.tidy(() => this.step(x, at, this.targetsOf(block.rows.subarray(from, from + batchSize), targets))),
        );
        if (performance.now() - began < CHUNK_MS) continue;
        await pause();
        afterChunk();
        began = performance.now();
      }
      afterChunk();
      const all = tf.stack(losses);
      losses.push(all);
      let sum = 0;
      for (const loss of await all.data()) sum += loss;
      return Float64Array.of(spec.ending === 'softmax' ? sum : sum / spec.units);
    } finally {
      tf.dispose([x, ...losses]);
    }
  }

  async variables(): Promise<Map<string, Float32Array>> {
    const [kernel, bias] = await Promise.all([this.kernel.data(), this.bias.data()]);
    return new Map([
      ['kernel0', Float32Array.from(kernel)],
      ['bias0', Float32Array.from(bias)],
    ]);
  }

  keep(): void {
    // A trainer of one head that is not run any more.
  }

  async release(): Promise<void> {
    this.optimizer.dispose();
    this.tf.dispose([this.kernel, this.bias, ...(this.scaling ?? [])]);
  }

  /** `[any, d]`, standardised where the spec says so. */
  private vectorsOf({ x }: VectorBlock): Value {
    const { tf, scaling, spec } = this;
    return tf.tidy(() => {
      const raw = tf.tensor2d(x, [x.length / spec.d, spec.d]);
      return scaling === null ? raw : tf.mul(tf.sub(raw, scaling[0]), scaling[1]);
    });
  }

  /** `[B, units]`: class numbers become rows of 0 and 1. */
  private targetsOf(rows: Uint32Array, targets: ArrayLike<number>): Value {
    const { tf, spec } = this;
    const width = targetWidth(spec);
    const y = Float32Array.from({ length: rows.length * width }, (_, i) => {
      const row = rows[Math.floor(i / width)] as number;
      return targets[row * width + (i % width)] as number;
    });
    return spec.ending === 'softmax'
      ? tf.oneHot(tf.tensor1d(Int32Array.from(y), 'int32'), spec.units)
      : tf.tensor2d(y, [rows.length, width]);
  }

  /** @returns the loss of the minibatch before its step, summed over its rows and units */
  private step(vectors: Value, at: Int32Array, targets: Value): Value {
    const { tf, spec, head, kernel } = this;
    const x = tf.gather(vectors, tf.tensor1d(at, 'int32'));
    const logits = tf.add(tf.matMul(x as never, kernel as never, false, true), this.bias); // [B, units]
    const { losses, delta } = lossOf(algebra(tf), spec.ending, logits, targets);
    const share = 1 / (at.length * (spec.ending === 'softmax' ? 1 : spec.units));
    const slope = tf.mul(delta, share);
    let gradient = tf.matMul(slope as never, x as never, true, false) as Value; // [units, d]
    if (head.l2 > 0) gradient = tf.add(gradient, tf.mul(kernel, 2 * head.l2));
    if (head.l1 > 0) gradient = tf.add(gradient, tf.mul(tf.sign(kernel), head.l1));
    const loss = tf.sum(losses);
    this.optimizer.applyGradients([
      { name: kernel.name, tensor: gradient },
      { name: this.bias.name, tensor: tf.sum(slope, 0) },
    ]);
    return loss;
  }
}

/** Trainers of one Dense layer each, on TensorFlow. */
export const tensorflowTrainers: TrainerMaker = {
  most: 1,
  check,
  mixes: () => false,
  create: (spec, heads, { scaling, threads }) => TensorflowTrainer.create(spec, heads, scaling, threads),
};

/** Units lie in columns, `[B, units]`. */
const algebra = (tf: Tfjs): Algebra<Value> => ({
  add: (a, b) => tf.add(a, b),
  subtract: (a, b) => tf.sub(a, b),
  multiply: (a, b) => tf.mul(a, b),
  negative: (x) => tf.neg(x),
  exp: (x) => tf.exp(x),
  sigmoid: (x) => tf.sigmoid(x),
  softplus: (x) => tf.softplus(x),
  logSoftmax: (x) => tf.logSoftmax(x),
});

/** tfjs adds epsilon behind the correction of the second moment, Keras before it; so tfjs gets it corrected too. */
function kerasAdam(tf: Tfjs, learningRate: number): Optimizer {
  class KerasAdam extends tf.AdamOptimizer {
    private steps = 0;

    override applyGradients(gradients: Parameters<Optimizer['applyGradients']>[0]): void {
      this.steps += 1;
      this.epsilon = EPSILON / Math.sqrt(1 - this.beta2 ** this.steps);
      super.applyGradients(gradients as never);
    }
  }
  return new KerasAdam(learningRate, 0.9, 0.999, EPSILON);
}

/** The learning rate is the same at every step: `check` lets no schedule through. */
function optimizerOf(tf: Tfjs, { optimizer, nesterov }: PackSpec, { learningRate, momentum }: PackedHead): Optimizer {
  const rate = learningRate(0);
  switch (optimizer) {
    case 'adam':
      return kerasAdam(tf, rate);
    case 'rmsprop':
      return tf.train.rmsprop(rate, 0.9, momentum, EPSILON);
    case 'sgd':
      return momentum > 0 ? tf.train.momentum(rate, momentum, nesterov) : tf.train.sgd(rate);
  }
}
