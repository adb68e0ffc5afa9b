import ort from 'onnxruntime-node';
import { EngineError } from '../../errors.js';
import type { DenseWeights, Ending } from './head-net.js';
import { Nodes, value } from './nodes.js';
import { floats, int64s, type OnnxGraph } from './proto.js';
import { createSession } from './session.js';

/** What one training graph is compiled for. */
export interface TrainerSpec {
  /** Size of a vector. */
  readonly d: number;
  readonly units: number;
  readonly activation: Exclude<Ending, 'linear'>;
  /** Whether vectors are standardised on the way, as `(x - mean) * inverse`. */
  readonly standardize: boolean;
  /** Whether kernels carry an l2 penalty. */
  readonly penalize: boolean;
}

/** The settings of Adam, as Keras names them, for one epoch. */
export interface AdamStep {
  readonly batchSize: number;
  readonly learningRate: number;
  /** The penalty added to the loss is `l2 * sum(kernel ** 2)`; the bias carries none. */
  readonly l2: number;
}

/** Keras's defaults of `Adam`. */
const BETA_1 = 0.9;
const BETA_2 = 0.999;
const EPSILON = 1e-7;
/** The engine holds the JavaScript thread while it runs; this long at a time leaves room for Ctrl-C and progress. */
const CHUNK_MS = 40;
/** Multiplications of one evaluation call, for the same reason. */
const CHUNK_WORK = 2 ** 26;

const STATES = ['kernel', 'kernel_m', 'kernel_v', 'bias', 'bias_m', 'bias_v'] as const;

/** Adds targets `[units, B]` and the cross-entropy of each example `[1, B]`, from logits, so that nothing saturates. */
function crossEntropy(
  nodes: Nodes,
  activation: Exclude<Ending, 'linear'>,
  logits: string,
): { targets: string; losses: string } {
  if (activation === 'sigmoid') {
    const losses = nodes.add('Sub', [nodes.add('Softplus', [logits]), nodes.add('Mul', ['labels', logits])]);
    return { targets: 'labels', losses };
  }
  const targets = nodes.add('Cast', [nodes.add('Equal', ['labels', 'classes'])], { to: { i: 1 } });
  const likelihood = nodes.add('Mul', [targets, nodes.add('LogSoftmax', [logits], { axis: { i: 0 } })]);
  return { targets, losses: nodes.add('Neg', [nodes.add('ReduceSum', [likelihood, 'axis0'])]) };
}

const activate = (nodes: Nodes, activation: Exclude<Ending, 'linear'>, logits: string): string =>
  activation === 'sigmoid' ? nodes.add('Sigmoid', [logits]) : nodes.add('Softmax', [logits], { axis: { i: 0 } });

/** Keras's Adam: `m += (g - m)(1 - b1)`, `v += (g² - v)(1 - b2)`, `w -= m rate / (sqrt(v) + epsilon)`. */
function adam(nodes: Nodes, weights: string, gradient: string): void {
  const move = (moment: string, toward: string, share: string): string =>
    nodes.add(
      'Add',
      [moment, nodes.add('Mul', [nodes.add('Sub', [toward, moment]), share])],
      undefined,
      `${moment}_next`,
    );
  const m = move(`${weights}_m`, gradient, 'share1');
  const v = move(`${weights}_v`, nodes.add('Mul', [gradient, gradient]), 'share2');
  const size = nodes.add('Add', [nodes.add('Sqrt', [v]), 'epsilon']);
  const step = nodes.add('Div', [nodes.add('Mul', [m, 'rate']), size]);
  nodes.add('Sub', [weights, step], undefined, `${weights}_next`);
}

const classNumbers = (units: number) =>
  floats(
    'classes',
    [units, 1],
    Array.from({ length: units }, (_, i) => i),
  );

/**
 * The training step of one minibatch as the body of an ONNX Scan (opset 20) over minibatches.
 *
 * The features `[n, d]` stay one tensor outside of the loop; a step gathers its rows by index, which measures a fifth
 * faster than rows that JavaScript copies in order. Units lie in rows everywhere (`[units, d]`, `[units, B]`), and rates
 * and penalties are columns, one value a unit or one for all.
 */
function epochGraph(spec: TrainerSpec): OnnxGraph {
  const { d, units } = spec;
  const nodes = new Nodes();
  let x = nodes.add('Gather', ['features', 'rows'], { axis: { i: 0 } }); // [B, d]
  if (spec.standardize) x = nodes.add('Mul', [nodes.add('Sub', [x, 'mean']), 'inverse']);
  const logits = nodes.add('Gemm', ['kernel', x, 'bias'], { transB: { i: 1 } }); // [units, B]
  const { targets, losses } = crossEntropy(nodes, spec.activation, logits);
  nodes.add('ReduceSum', [losses], { keepdims: { i: 0 } }, 'loss');
  const delta = nodes.add('Mul', [nodes.add('Sub', [activate(nodes, spec.activation, logits), targets]), 'share']);
  let gradient = nodes.add('Gemm', [delta, x]); // [units, d]
  if (spec.penalize) gradient = nodes.add('Add', [gradient, nodes.add('Mul', ['kernel', 'decay'])]);
  nodes.add('Mul', ['correction', 'learning_rate'], undefined, 'rate');
  adam(nodes, 'kernel', gradient);
  adam(nodes, 'bias', nodes.add('ReduceSum', [delta, 'axis1']));

  const dims = (state: string): [number, number] => [units, state.startsWith('kernel') ? d : 1];
  const body: OnnxGraph = {
    name: 'step',
    nodes: nodes.list,
    initializers: [],
    inputs: [
      ...STATES.map((state) => value(state, dims(state))),
      value('rows', ['B'], 'int32'),
      value('labels', [1, 'B']),
      value('correction', []),
    ],
    outputs: [...STATES.map((state) => value(`${state}_next`, dims(state))), value('loss', [])],
  };
  return {
    name: 'epoch',
    nodes: [
      {
        op: 'Scan',
        inputs: [...STATES.map((state) => `${state}_in`), 'rows_all', 'labels_all', 'correction_all'],
        outputs: [...STATES.map((state) => `${state}_out`), 'losses'],
        attributes: { body, num_scan_inputs: { i: 3 } },
      },
    ],
    initializers: [
      floats('share1', [], [1 - BETA_1]),
      floats('share2', [], [1 - BETA_2]),
      floats('epsilon', [], [EPSILON]),
      int64s('axis0', [0]),
      int64s('axis1', [1]),
      classNumbers(units),
    ],
    inputs: [
      ...STATES.map((state) => value(`${state}_in`, dims(state))),
      value('rows_all', ['S', 'B'], 'int32'),
      value('labels_all', ['S', 1, 'B']),
      value('correction_all', ['S']),
      value('features', ['n', d]),
      ...(spec.standardize ? [value('mean', [d]), value('inverse', [d])] : []),
      ...(spec.penalize ? [value('decay', ['R', 1])] : []),
      value('share', []),
      value('learning_rate', ['R', 1]),
    ],
    outputs: [...STATES.map((state) => value(`${state}_out`, dims(state))), value('losses', ['S'])],
  };
}

/** Cross-entropy of each row and the number of rows answered rightly. */
function evaluationGraph(spec: Pick<TrainerSpec, 'd' | 'units' | 'activation'>): OnnxGraph {
  const nodes = new Nodes();
  const logits = nodes.add('Gemm', ['kernel', 'features', 'bias'], { transB: { i: 1 } }); // [units, n]
  const { losses } = crossEntropy(nodes, spec.activation, logits);
  const answer =
    spec.activation === 'sigmoid'
      ? nodes.add('Greater', [logits, 'zero'])
      : nodes.add('ArgMax', [logits], { axis: { i: 0 } });
  const right = nodes.add('Equal', [nodes.add('Cast', [answer], { to: { i: 1 } }), 'labels']);
  nodes.add('ReduceSum', [nodes.add('Cast', [right], { to: { i: 1 } })], { keepdims: { i: 0 } }, 'hits');
  nodes.add('Identity', [losses], undefined, 'losses');
  return {
    name: 'evaluation',
    nodes: nodes.list,
    initializers: [int64s('axis0', [0]), floats('zero', [], [0]), classNumbers(spec.units)],
    inputs: [
      value('features', ['n', spec.d]),
      value('labels', [1, 'n']),
      value('kernel', [spec.units, spec.d]),
      value('bias', [spec.units, 1]),
    ],
    outputs: [value('losses', [1, 'n']), value('hits', [])],
  };
}

const tensor = (data: Float32Array, dims: readonly number[]): ort.Tensor => new ort.Tensor('float32', data, dims);
const scalar = (number: number, dims: readonly number[] = []): ort.Tensor => tensor(Float32Array.of(number), dims);

async function runSession(session: ort.InferenceSession, feeds: Record<string, ort.Tensor>) {
  try {
    const results = await session.run(feeds);
    return (name: string): ort.Tensor => results[name] as ort.Tensor;
  } catch (error) {
    throw new EngineError(`onnxruntime failed while training: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

/**
 * Trains one Dense layer with Keras's Adam on minibatches. One instance holds the weights and the moments of one training;
 * the same calls give the same bits, whatever else the machine does.
 */
export class HeadTrainer {
  private steps = 0;
  private chunk = 16;

  private constructor(
    private readonly spec: TrainerSpec,
    private readonly session: ort.InferenceSession,
    private readonly fixed: Record<string, ort.Tensor>,
    private states: readonly ort.Tensor[],
  ) {}

  /**
   * @param features `[n, d]`, used where it lies, never copied
   * @param start the weights to begin with
   * @param standardization `mean` and `inverse` of each feature, where the spec standardises
   * @param threads of the engine; a step is too short to be worth a second one, measured up to 100 units
   */
  static async create(
    spec: TrainerSpec,
    features: Float32Array,
    start: DenseWeights,
    standardization?: { readonly mean: Float32Array; readonly inverse: Float32Array },
    threads = 1,
  ): Promise<HeadTrainer> {
    const { d, units } = spec;
    const session = await createSession(epochGraph(spec), { threads });
    const fixed: Record<string, ort.Tensor> = { features: tensor(features, [features.length / d, d]) };
    if (spec.standardize && standardization) {
      fixed.mean = tensor(standardization.mean, [d]);
      fixed.inverse = tensor(standardization.inverse, [d]);
    }
    const zeros = (columns: number) => tensor(new Float32Array(units * columns), [units, columns]);
    const states = [
      tensor(start.kernel.slice(), [units, d]),
      zeros(d),
      zeros(d),
      tensor(start.bias.slice(), [units, 1]),
      zeros(1),
      zeros(1),
    ];
    return new HeadTrainer(spec, session, fixed, states);
  }

  /** @returns the weights after the last step, in the space of the standardised vectors where the spec standardises */
  get weights(): DenseWeights {
    return { kernel: this.states[0]?.data as Float32Array, bias: this.states[3]?.data as Float32Array };
  }

  /**
   * Goes once through the rows in the given order. The last minibatch holds what is left and counts by its own size.
   * @param order the rows of the features
   * @param labels the class of each row of the features
   * @param afterChunk called between chunks of about 40 ms with the rows done; what it throws ends the epoch
   * @returns mean cross-entropy over the epoch, each minibatch measured before its step; the penalty is not in it
   */
  async epoch(
    order: Uint32Array,
    labels: Int32Array | Uint8Array,
    settings: AdamStep,
    afterChunk: (done: number) => void = () => {},
  ): Promise<number> {
    const n = order.length;
    const { batchSize } = settings;
    const whole = n - (n % batchSize);
    let sum = 0;
    for (let at = 0; at < n; ) {
      const size = at < whole ? batchSize : n - whole;
      const steps = at < whole ? Math.min(this.chunk, (whole - at) / batchSize) : 1;
      const began = performance.now();
      const losses = await this.run(order.subarray(at, at + steps * size), labels, steps, settings);
      // One by one, as the sum must not depend on where the chunks end.
      for (const loss of losses) sum += loss;
      this.chunk = Math.max(1, Math.floor((steps * CHUNK_MS) / Math.max(performance.now() - began, 0.1)));
      at += steps * size;
      afterChunk(at);
    }
    return sum / n;
  }

  /** Runs `steps` minibatches of equal size. @returns the loss of each, summed over its rows */
  private async run(
    rows: Uint32Array,
    labels: Int32Array | Uint8Array,
    steps: number,
    settings: AdamStep,
  ): Promise<Float32Array> {
    const size = rows.length / steps;
    const targets = new Float32Array(rows.length);
    for (let i = 0; i < rows.length; i++) targets[i] = labels[rows[i] ?? 0] ?? 0;
    const corrections = new Float32Array(steps);
    for (let i = 0; i < steps; i++) {
      this.steps += 1;
      corrections[i] = Math.sqrt(1 - BETA_2 ** this.steps) / (1 - BETA_1 ** this.steps);
    }
    const feeds: Record<string, ort.Tensor> = {
      ...this.fixed,
      rows_all: new ort.Tensor('int32', new Int32Array(rows.buffer, rows.byteOffset, rows.length), [steps, size]),
      labels_all: tensor(targets, [steps, 1, size]),
      correction_all: tensor(corrections, [steps]),
      share: scalar(1 / size),
      learning_rate: scalar(settings.learningRate, [1, 1]),
    };
    if (this.spec.penalize) feeds.decay = scalar(2 * settings.l2, [1, 1]);
    STATES.forEach((state, i) => {
      feeds[`${state}_in`] = this.states[i] as ort.Tensor;
    });
    const result = await runSession(this.session, feeds);
    this.states = STATES.map((state) => result(`${state}_out`));
    return result('losses').data as Float32Array;
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}

/** Measures weights on vectors, in the engine. */
export class HeadEvaluator {
  private constructor(
    private readonly units: number,
    private readonly d: number,
    private readonly session: ort.InferenceSession,
  ) {}

  static async create(spec: Pick<TrainerSpec, 'd' | 'units' | 'activation'>, threads = 1): Promise<HeadEvaluator> {
    const session = await createSession(evaluationGraph(spec), { threads });
    return new HeadEvaluator(spec.units, spec.d, session);
  }

  /**
   * @param features `[n, d]`
   * @param labels `[n]`
   * @returns mean cross-entropy and the share of right answers; NaN of both for no rows
   */
  async evaluate(
    features: Float32Array,
    labels: Int32Array | Uint8Array,
    weights: DenseWeights,
  ): Promise<{ loss: number; accuracy: number }> {
    const { d, units } = this;
    const n = labels.length;
    const rows = Math.max(1, Math.floor(CHUNK_WORK / (d * units)));
    const fixed = { kernel: tensor(weights.kernel, [units, d]), bias: tensor(weights.bias, [units, 1]) };
    let loss = 0;
    let hits = 0;
    for (let at = 0; at < n; at += rows) {
      const count = Math.min(rows, n - at);
      const result = await runSession(this.session, {
        ...fixed,
        features: tensor(features.subarray(at * d, (at + count) * d), [count, d]),
        labels: tensor(Float32Array.from(labels.subarray(at, at + count)), [1, count]),
      });
      loss += (result('losses').data as Float32Array).reduce((total, one) => total + one, 0);
      hits += (result('hits').data as Float32Array)[0] ?? 0;
    }
    return { loss: loss / n, accuracy: hits / n };
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}
