import ort from '../../engine/onnx/runtime.js';
import { createSession } from '../../engine/onnx/session.js';
import { EngineError } from '../../errors.js';
import {
  type Attribute,
  doubles,
  floats,
  int64s,
  type OnnxGraph,
  type OnnxNode,
  type ValueInfo,
} from '../../formats/onnx/write.js';
import { type Algebra, lossOf } from '../loss.js';

/** What a full-batch objective is made of. */
export interface FullBatchSpec {
  /** Size of a vector. */
  readonly d: number;
  readonly units: number;
  /** `softmax`: cross-entropy; `sigmoid`: cross-entropy of each unit, summed; `linear`: squared error, summed. */
  readonly ending: 'softmax' | 'sigmoid' | 'linear';
}

/** The answers of the rows: class numbers `[n]` for softmax, values `[n, units]` for the others. */
export type FullBatchTargets = Int32Array | Float32Array;

/** One head at one point. */
export interface FullBatchHead {
  /** `[units, d]` */
  readonly kernel: Float64Array;
  /** `[units]` */
  readonly bias: Float64Array;
  /** Share of label smoothing, as Keras: `t (1 - s) + s / units` (softmax), `t (1 - s) + s / 2` (sigmoid). */
  readonly smoothing: number;
  /** `[n]`, what each row counts; all the same where null. */
  readonly weights: Float64Array | null;
}

/** Sums over the rows. */
export interface FullBatchSums {
  readonly loss: number;
  /** `[units, d]` */
  readonly kernel: Float64Array;
  /** `[units]` */
  readonly bias: Float64Array;
}

/** Bytes of one block of rows in float64: small enough to stay in the processor's cache between its two products. */
const BLOCK_BYTES = 2 ** 22;

/** What a block is computed in. Sums over blocks are float64 always. */
export type Precision = 'float32' | 'float64';

/**
 * Loss and gradient of many Dense heads over a block of rows (opset 20). Rows of the kernel are heads x units, so the
 * vectors are read once for all heads.
 */
function blockGraph({ d, units, ending }: FullBatchSpec, precision: Precision): OnnxGraph {
  const type = precision === 'float64' ? 'double' : 'float';
  const to: Record<string, Attribute> = { to: { i: precision === 'float64' ? 11 : 1 } };
  const scalars = precision === 'float64' ? doubles : floats;
  const nodes: OnnxNode[] = [];
  const add = (
    op: string,
    inputs: string[],
    attributes: Record<string, Attribute> = {},
    output = `t${nodes.length}`,
  ) => {
    nodes.push({ op, inputs, outputs: [output], attributes });
    return output;
  };
  const x = add('Cast', ['features'], to); // [B, d]
  // Of all ways to write these two products, MatMul by a column and Gemm with its first side turned have kernels that run at the
  // speed of memory for a single unit; the bias is added apart, as the engine would fuse it into a slower product.
  const product = add('Reshape', [add('MatMul', [x, 'kernel']), 'apart']); // [B, heads, units]
  const logits = add('Add', [product, 'bias']);
  const hard =
    ending === 'softmax'
      ? add('Cast', [add('Equal', [add('Unsqueeze', ['targets', 'lastTwo']), 'classes'])], to)
      : add('Unsqueeze', [add('Cast', ['targets'], to), 'axis1']); // [B, 1, units]
  const targets =
    ending === 'linear' ? hard : add('Add', [add('Mul', [hard, add('Sub', ['one', 'smoothing'])]), 'floor']);
  const algebra: Algebra<string> = {
    add: (a, b) => add('Add', [a, b]),
    subtract: (a, b) => add('Sub', [a, b]),
    multiply: (a, b) => add('Mul', [a, b]),
    negative: (z) => add('Neg', [z]),
    exp: (z) => add('Exp', [z]),
    sigmoid: (z) => add('Sigmoid', [z]),
    // max(z, 0) + log(1 + exp(-|z|)): the engine's own operator is for float32 only.
    softplus: (z) => {
      const tail = add('Log', [add('Add', [add('Exp', [add('Neg', [add('Abs', [z])])]), 'one'])]);
      return add('Add', [add('Max', [z, 'zero']), tail]);
    },
    logSoftmax: (z) => add('LogSoftmax', [z], { axis: { i: -1 } }),
  };
  const { losses, delta } = lossOf(algebra, ending, logits, targets); // [B, heads, units]
  const weighted = (name: string): string => add('Mul', [name, 'weights']); // weights [B, heads, 1]
  add('ReduceSum', [weighted(losses), 'axes02'], { keepdims: { i: 0 } }, 'loss');
  const deltas = add('Reshape', [weighted(delta), 'together']); // [B, heads * units]
  add('Gemm', [x, deltas], { transA: { i: 1 } }, 'kernel_gradient'); // [d, heads * units]
  add('ReduceSum', [deltas, 'axis0'], { keepdims: { i: 0 } }, 'bias_gradient');
  const value = (name: string, dims: ValueInfo['dims'], other: ValueInfo['type'] = type): ValueInfo => ({
    name,
    type: other,
    dims,
  });
  return {
    name: 'objective',
    nodes,
    initializers: [
      int64s('apart', [0, -1, units]),
      int64s('together', [0, -1]),
      int64s('axis0', [0]),
      int64s('axis1', [1]),
      int64s('lastTwo', [1, 2]),
      int64s('axes02', [0, 2]),
      int64s(
        'classes',
        Array.from({ length: units }, (_, i) => i),
      ),
      scalars('one', [], [1]),
      scalars('zero', [], [0]),
    ],
    inputs: [
      value('features', ['B', d], 'float'),
      value('targets', ending === 'softmax' ? ['B'] : ['B', units], ending === 'softmax' ? 'int64' : 'float'),
      value('kernel', [d, 'R']),
      value('bias', ['H', units]),
      value('weights', ['W', 'V', 1]),
      ...(ending === 'linear' ? [] : [value('smoothing', ['H', 1]), value('floor', ['H', 1])]),
    ],
    outputs: [value('loss', ['H']), value('kernel_gradient', [d, 'R']), value('bias_gradient', ['R'])],
  };
}

const tensor = (precision: Precision, data: Float64Array, dims: readonly number[]): ort.Tensor =>
  precision === 'float64'
    ? new ort.Tensor('float64', data, dims)
    : new ort.Tensor('float32', Float32Array.from(data), dims);

/** Evaluates Dense heads on all rows, in float64 or, faster, in float32. */
export class FullBatch {
  private constructor(
    private readonly spec: FullBatchSpec,
    private readonly sessions: Readonly<Record<Precision, ort.InferenceSession>>,
    private readonly x: Float32Array,
    private readonly targets: FullBatchTargets,
  ) {}

  /**
   * @param x `[n, d]`, used where it lies
   * @param threads of the engine; default: one for each physical core
   */
  static async create(
    spec: FullBatchSpec,
    x: Float32Array,
    targets: FullBatchTargets,
    threads?: number,
  ): Promise<FullBatch> {
    const options = threads === undefined ? {} : { threads };
    const sessions = {
      float32: await createSession(blockGraph(spec, 'float32'), options),
      float64: await createSession(blockGraph(spec, 'float64'), options),
    };
    return new FullBatch(spec, sessions, x, targets);
  }

  /**
   * @param afterBlock called between blocks; what it throws ends the pass
   * @returns one for each head
   */
  async evaluate(
    heads: readonly FullBatchHead[],
    precision: Precision = 'float64',
    afterBlock: () => void = () => {},
  ): Promise<FullBatchSums[]> {
    const { d, units, ending } = this.spec;
    const n = this.x.length / d;
    const width = heads.length * units;
    const kernel = new Float64Array(d * width);
    const bias = new Float64Array(width);
    for (const [h, head] of heads.entries()) {
      bias.set(head.bias, h * units);
      for (let u = 0; u < units; u++) {
        for (let j = 0; j < d; j++) kernel[j * width + h * units + u] = head.kernel[u * d + j] as number;
      }
    }
    const smoothing = Float64Array.from(heads, ({ smoothing }) => smoothing);
    const fixed: Record<string, ort.Tensor> = {
      kernel: tensor(precision, kernel, [d, width]),
      bias: tensor(precision, bias, [heads.length, units]),
    };
    if (ending !== 'linear') {
      fixed.smoothing = tensor(precision, smoothing, [heads.length, 1]);
      fixed.floor = tensor(
        precision,
        smoothing.map((share) => share / (ending === 'softmax' ? units : 2)),
        [heads.length, 1],
      );
    }
    const sums = { loss: new Float64Array(heads.length), kernel: kernel.map(() => 0), bias: bias.map(() => 0) };
    const rows = Math.max(1, Math.floor(BLOCK_BYTES / (8 * d)));
    for (let at = 0; at < n; at += rows) {
      const count = Math.min(rows, n - at);
      const weights = blockWeights(precision, heads, at, count);
      const result = await this.run(precision, { ...fixed, ...this.block(at, count), weights });
      addTo(sums.loss, result.loss);
      addTo(sums.kernel, result.kernel_gradient);
      addTo(sums.bias, result.bias_gradient);
      afterBlock();
    }
    return heads.map((_, h) => ({
      loss: sums.loss[h] ?? Number.NaN,
      kernel: Float64Array.from(
        { length: units * d },
        (_, i) => sums.kernel[(i % d) * width + h * units + Math.floor(i / d)] as number,
      ),
      bias: sums.bias.slice(h * units, (h + 1) * units),
    }));
  }

  private block(at: number, count: number): Record<string, ort.Tensor> {
    const { d, units, ending } = this.spec;
    const { x, targets } = this;
    return {
      features: new ort.Tensor('float32', x.subarray(at * d, (at + count) * d), [count, d]),
      targets:
        ending === 'softmax'
          ? new ort.Tensor('int64', BigInt64Array.from(targets.subarray(at, at + count), BigInt), [count])
          : new ort.Tensor('float32', Float32Array.from(targets.subarray(at * units, (at + count) * units)), [
              count,
              units,
            ]),
    };
  }

  private async run(precision: Precision, feeds: Record<string, ort.Tensor>): Promise<Record<string, ort.Tensor>> {
    try {
      return await this.sessions[precision].run(feeds);
    } catch (error) {
      throw new EngineError(`onnxruntime failed while training: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    }
  }

  async release(): Promise<void> {
    await this.sessions.float32.release();
    await this.sessions.float64.release();
  }
}

function addTo(sum: Float64Array, part: ort.Tensor | undefined): void {
  const data = part?.data as Float32Array | Float64Array;
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (data[i] as number);
}

/** `[count, heads, 1]`, or one 1 for all. */
function blockWeights(precision: Precision, heads: readonly FullBatchHead[], at: number, count: number): ort.Tensor {
  if (heads.every(({ weights }) => weights === null)) return tensor(precision, Float64Array.of(1), [1, 1, 1]);
  const all = new Float64Array(count * heads.length);
  for (const [h, { weights }] of heads.entries()) {
    for (let i = 0; i < count; i++) all[i * heads.length + h] = weights === null ? 1 : (weights[at + i] as number);
  }
  return tensor(precision, all, [count, heads.length, 1]);
}
