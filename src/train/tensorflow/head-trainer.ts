import type { Optimizer, Tensor as Value, Variable } from '@tensorflow/tfjs-core';
import { loadRuntime, type Tfjs } from '../../engine/tensorflow/runtime.js';

/** What one training needs to know; optimizers carry Keras's defaults otherwise. */
export interface TrainerSpec {
  /** Size of a vector. */
  readonly d: number;
  readonly units: number;
  /** Loss: binary cross-entropy, categorical cross-entropy, squared error; the mean over rows and units, as in Keras. */
  readonly ending: 'sigmoid' | 'softmax' | 'linear';
  readonly optimizer: 'adam' | 'sgd' | 'rmsprop';
  readonly learningRate: number;
  /** Of sgd and rmsprop. */
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly batchSize: number;
  /** The loss gains `l1 * sum(|kernel|) + l2 * sum(kernel ** 2)`; the bias carries no penalty. */
  readonly l1: number;
  readonly l2: number;
}

/** A Dense layer: `kernel` `[units, d]`, `bias` `[units]`. */
interface Weights {
  readonly kernel: Float32Array;
  readonly bias: Float32Array;
}

/** Vectors `[n, d]` and, row by row, class numbers (softmax) or `units` values (sigmoid, linear). */
export interface Rows {
  readonly x: Float32Array;
  readonly y: ArrayLike<number>;
}

/** TensorFlow holds the JavaScript thread while it runs; this long at a time leaves room for Ctrl-C and progress. */
const CHUNK_MS = 40;
/** Keras's; tfjs's default differs by backend. */
const EPSILON = 1e-7;

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Trains one Dense layer on minibatches with tfjs's optimizers. */
export class TensorflowHeadTrainer {
  private constructor(
    private readonly tf: Tfjs,
    private readonly spec: TrainerSpec,
    private readonly optimizer: Optimizer,
    private readonly x: Value,
    private readonly y: Value,
    private readonly kernel: Variable,
    private readonly bias: Variable,
  ) {}

  /** @throws EngineError when tfjs is not installed */
  static async create(spec: TrainerSpec, rows: Rows, start: Weights, threads?: number): Promise<TensorflowHeadTrainer> {
    const { tf } = await loadRuntime(threads);
    const { d, units } = spec;
    const weights = [tf.tensor(start.kernel.slice(), [units, d]), tf.tensor(start.bias.slice(), [units])] as const;
    const [kernel, bias] = weights.map((each) => tf.variable(each, true)) as [Variable, Variable];
    tf.dispose([...weights]);
    const x = tf.tensor(rows.x, [rows.x.length / d, d]);
    return new TensorflowHeadTrainer(tf, spec, optimizerOf(tf, spec), x, targetsOf(tf, spec, rows), kernel, bias);
  }

  /** @returns a copy of the weights after the last step */
  async weights(): Promise<Weights> {
    const [kernel, bias] = await Promise.all([this.kernel.data(), this.bias.data()]);
    return { kernel: Float32Array.from(kernel), bias: Float32Array.from(bias) };
  }

  /**
   * Goes once through the rows in the given order. The last minibatch holds what is left and counts by its own size.
   * @param afterChunk called about every 40 ms; what it throws ends the epoch
   * @returns mean loss over the epoch, each minibatch measured before its step; penalties are not in it
   */
  async epoch(order: Uint32Array, afterChunk: () => void = () => {}): Promise<number> {
    const { tf } = this;
    const { batchSize } = this.spec;
    const losses: Value[] = [];
    try {
      let began = performance.now();
      for (let at = 0; at < order.length; at += batchSize) {
        losses.push(tf.tidy(() => this.step(Int32Array.from(order.subarray(at, at + batchSize)))));
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
      return sum / order.length;
    } finally {
      tf.dispose(losses);
    }
  }

  /** @returns the loss of the minibatch before its step, summed over its rows */
  private step(rows: Int32Array): Value {
    const { tf, spec, kernel } = this;
    const index = tf.tensor1d(rows, 'int32');
    const x = tf.gather(this.x, index);
    const targets = this.spread(tf.gather(this.y, index));
    const logits = tf.add(tf.matMul(x as never, kernel as never, false, true), this.bias); // [B, units]
    const delta = tf.mul(tf.sub(this.activated(logits), targets), this.slope / rows.length);
    let gradient = tf.matMul(delta as never, x as never, true, false) as Value; // [units, d]
    if (spec.l2 > 0) gradient = tf.add(gradient, tf.mul(kernel, 2 * spec.l2));
    if (spec.l1 > 0) gradient = tf.add(gradient, tf.mul(tf.sign(kernel), spec.l1));
    const loss = tf.sum(this.losses(logits, targets));
    this.optimizer.applyGradients([
      { name: kernel.name, tensor: gradient },
      { name: this.bias.name, tensor: tf.sum(delta, 0) },
    ]);
    return loss;
  }

  /** Class numbers as rows of 0 and 1. */
  private spread(y: Value): Value {
    return this.spec.ending === 'softmax' ? this.tf.oneHot(y as never, this.spec.units) : y;
  }

  private activated(logits: Value): Value {
    const { ending } = this.spec;
    if (ending === 'linear') return logits;
    return ending === 'sigmoid' ? this.tf.sigmoid(logits) : this.tf.softmax(logits);
  }

  /** The derivative of a row's loss by its logits is `slope * (output - target)`. */
  private get slope(): number {
    const { ending, units } = this.spec;
    return ending === 'softmax' ? 1 : (ending === 'linear' ? 2 : 1) / units;
  }

  /** From logits, so that nothing saturates. @returns `[B]` */
  private losses(logits: Value, targets: Value): Value {
    const { tf } = this;
    switch (this.spec.ending) {
      case 'linear':
        return tf.mean(tf.square(tf.sub(logits, targets)), 1);
      case 'sigmoid':
        return tf.mean(tf.sub(tf.softplus(logits), tf.mul(logits, targets)), 1);
      case 'softmax':
        return tf.neg(tf.sum(tf.mul(targets, tf.logSoftmax(logits)), 1));
    }
  }

  async release(): Promise<void> {
    this.optimizer.dispose();
    this.tf.dispose([this.x, this.y, this.kernel, this.bias]);
  }
}

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

function optimizerOf(tf: Tfjs, { optimizer, learningRate, momentum, nesterov }: TrainerSpec): Optimizer {
  switch (optimizer) {
    case 'adam':
      return kerasAdam(tf, learningRate);
    case 'rmsprop':
      return tf.train.rmsprop(learningRate, 0.9, momentum, EPSILON);
    case 'sgd':
      return momentum > 0 ? tf.train.momentum(learningRate, momentum, nesterov) : tf.train.sgd(learningRate);
  }
}

/** `[n]` class numbers for softmax, else `[n, units]` values. */
function targetsOf(tf: Tfjs, { d, units, ending }: TrainerSpec, { x, y }: Rows): Value {
  if (ending === 'softmax') return tf.tensor1d(Int32Array.from(y), 'int32');
  return tf.tensor2d(Float32Array.from(y), [x.length / d, units]);
}
