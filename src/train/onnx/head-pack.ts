import { availableParallelism } from 'node:os';
import ort from 'onnxruntime-node';
import { createSession } from '../../engine/onnx/session.js';
import { EngineError } from '../../errors.js';
import type { HeadNet } from '../head-net.js';
import {
  epochGraph,
  evaluationGraph,
  headColumn,
  type NetSpec,
  type PackSpec,
  slotsOf,
  targetWidth,
  unitColumn,
  type Variable,
  variablesOf,
} from './head-graph.js';
import { ADAM } from './head-optimizers.js';

/** What may differ between the heads of a pack. */
export interface PackedHead {
  /** The value of each variable to begin with, by name. */
  readonly start: ReadonlyMap<string, Float32Array>;
  /** @returns the learning rate of a step, from 0 */
  readonly learningRate: (step: number) => number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly l1: number;
  readonly l2: number;
  readonly dropout: number;
  readonly labelSmoothing: number;
  /** Factor of the loss by class (softmax), or for each unit absent and present (sigmoid: `[absent, present]` a unit). */
  readonly classWeights: Float32Array | null;
}

/** Rows to go through, in order. */
export interface RowBlock {
  /** `[any, d]` */
  readonly x: Float32Array;
  /** Rows of `x`. */
  readonly at: Uint32Array;
  /** The row of the targets for each of `at`. */
  readonly rows: Uint32Array;
}

/** The engine holds the JavaScript thread while it runs; this long at a time leaves room for Ctrl-C and progress. */
const CHUNK_MS = 40;
/** Weights of a pack whose steps are long enough for two threads. */
const LARGE_PACK = 2 ** 16;
/** Values of noise and targets of one call. */
const CHUNK_VALUES = 2 ** 24;
/** Multiplications of one evaluation call, for the same reason. */
const CHUNK_WORK = 2 ** 26;

const tensor = (data: Float32Array, dims: readonly number[]): ort.Tensor => new ort.Tensor('float32', data, dims);
const shape = (...dims: number[]): ort.Tensor =>
  new ort.Tensor('int64', BigInt64Array.from(dims, BigInt), [dims.length]);
const int32 = (rows: Uint32Array): Int32Array => new Int32Array(rows.buffer, rows.byteOffset, rows.length);

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

/** @returns each value once for each of `times` rows */
const repeat = (values: readonly number[], times: number): Float32Array =>
  Float32Array.from({ length: values.length * times }, (_, i) => values[Math.floor(i / times)] as number);

/**
 * Heads of one spec in training together. One instance holds their weights and what the optimizer keeps; the same calls give
 * the same bits, whatever else the machine does.
 */
export class HeadPack {
  private steps = 0;
  private chunk = 16;
  private readonly variables: readonly Variable[];

  private constructor(
    readonly spec: PackSpec,
    private readonly session: ort.InferenceSession,
    private heads: readonly PackedHead[],
    private readonly fixed: Record<string, ort.Tensor>,
    private states: Map<string, Float32Array>,
  ) {
    this.variables = variablesOf(spec);
  }

  /**
   * @param standardization `mean` and `inverse` of each feature, where the spec standardises
   * @param threads of the engine. Default: a second one from 2^16 weights on; shorter steps are not worth it
   */
  static async create(
    spec: PackSpec,
    heads: readonly PackedHead[],
    standardization?: { readonly mean: Float32Array; readonly inverse: Float32Array },
    threads?: number,
  ): Promise<HeadPack> {
    const numbers = heads.length * variablesOf(spec).reduce((sum, { out, width }) => sum + out * width, 0);
    const shared = numbers >= LARGE_PACK ? Math.min(2, availableParallelism()) : 1;
    const session = await createSession(epochGraph(spec), { threads: threads ?? shared, spin: true });
    const fixed: Record<string, ort.Tensor> = {};
    if (spec.standardize && standardization) {
      fixed.mean = tensor(standardization.mean, [spec.d]);
      fixed.inverse = tensor(standardization.inverse, [spec.d]);
    }
    const states = new Map<string, Float32Array>();
    for (const variable of variablesOf(spec)) {
      const size = variable.out * variable.width;
      const values = new Float32Array(heads.length * size);
      heads.forEach(({ start }, h) => {
        values.set(start.get(variable.name) as Float32Array, h * size);
      });
      states.set(variable.name, values);
      for (const slot of slotsOf(spec, variable)) {
        states.set(`${variable.name}_${slot}`, new Float32Array(values.length));
      }
    }
    return new HeadPack(spec, session, heads, fixed, states);
  }

  /** @returns the variables of a head after the last step, in the space of the standardised vectors; copies */
  variablesOf(head: number): Map<string, Float32Array> {
    return new Map(
      this.variables.map(({ name, out, width }) => {
        const size = out * width;
        return [name, (this.states.get(name) as Float32Array).slice(head * size, (head + 1) * size)];
      }),
    );
  }

  /** Goes on with some of the heads only. @param kept their places, ascending */
  keep(kept: readonly number[]): void {
    const count = this.heads.length;
    this.heads = kept.map((head) => this.heads[head] as PackedHead);
    this.states = new Map(
      [...this.states].map(([name, values]) => {
        const size = values.length / count;
        const rest = new Float32Array(kept.length * size);
        kept.forEach((head, i) => {
          rest.set(values.subarray(head * size, (head + 1) * size), i * size);
        });
        return [name, rest];
      }),
    );
  }

  /**
   * Goes once through rows in the given order. The last minibatch holds what is left and counts by its own size.
   * @param targets see the spec's ending: class number, value, or one for each unit, a row of the source
   * @param noise gives the next number in [0, 1) of the dropout
   * @param afterChunk called between chunks of about 40 ms; what it throws ends the epoch
   * @returns for each head the loss summed over the rows, each minibatch measured before its step; penalties are not in it
   */
  async run(
    block: RowBlock,
    targets: ArrayLike<number>,
    batchSize: number,
    noise: () => number = () => 0,
    afterChunk: (rows: number) => void = () => {},
  ): Promise<Float64Array> {
    const n = block.at.length;
    const whole = n - (n % batchSize);
    const sums = new Float64Array(this.heads.length);
    const { d } = this.spec;
    const features = tensor(block.x, [block.x.length / d, d]);
    const perRow = targetWidth(this.spec) + this.noiseSizes().reduce((total, { size }) => total + size, 0);
    const most = Math.max(1, Math.floor(CHUNK_VALUES / (perRow * batchSize)));
    for (let from = 0; from < n; ) {
      const size = from < whole ? batchSize : n - whole;
      const steps = from < whole ? Math.min(this.chunk, most, (whole - from) / batchSize) : 1;
      const began = performance.now();
      const to = from + steps * size;
      const part = { at: block.at.subarray(from, to), rows: block.rows.subarray(from, to) };
      const losses = await this.chunkOf(features, part, targets, steps, noise);
      // One by one, as the sum must not depend on where the chunks end.
      losses.forEach((loss, i) => {
        const head = i % sums.length;
        sums[head] = (sums[head] as number) + loss;
      });
      this.chunk = Math.max(1, Math.floor((steps * CHUNK_MS) / Math.max(performance.now() - began, 0.1)));
      from = to;
      afterChunk(steps * size);
    }
    if (this.spec.ending === 'sigmoid') return sums.map((sum) => sum / this.spec.units);
    return sums;
  }

  async release(): Promise<void> {
    await this.session.release();
  }

  /** The inputs of noise, their order in a row, and how many numbers a row takes. */
  private noiseSizes(): { name: string; size: number; rowsFirst: boolean }[] {
    const { spec } = this;
    if (!spec.dropout) return [];
    if (spec.hidden.length === 0) return [{ name: 'noise0', size: spec.d, rowsFirst: true }];
    return spec.hidden.map((size, i) => ({ name: `noise${i}`, size, rowsFirst: false }));
  }

  /** Runs `steps` minibatches of equal size. @returns `[steps, heads]`, losses summed over rows */
  private async chunkOf(
    features: ort.Tensor,
    { at, rows }: Pick<RowBlock, 'at' | 'rows'>,
    targets: ArrayLike<number>,
    steps: number,
    noise: () => number,
  ): Promise<Float32Array> {
    const { spec, heads } = this;
    const size = at.length / steps;
    const width = targetWidth(spec);
    const wanted = new Float32Array(rows.length * width);
    for (let step = 0, i = 0; step < steps; step++) {
      for (let k = 0; k < width; k++) {
        for (let b = 0; b < size; b++) wanted[i++] = targets[(rows[step * size + b] as number) * width + k] as number;
      }
    }
    const count = heads.length;
    const first = (this.variables[0] as Variable).out;
    const units = spec.ending === 'softmax' ? 1 : spec.units;
    const feeds: Record<string, ort.Tensor> = {
      ...this.fixed,
      features,
      rows_all: new ort.Tensor('int32', int32(at), [steps, size]),
      targets_all: tensor(wanted, [steps, width, size]),
      share: tensor(Float32Array.of(1 / (size * units)), []),
      apart: shape(count, first, size),
      joined: shape(count * first, size),
      kernel_shape: shape(count, spec.units, spec.d),
      kernel_joined: shape(count * spec.units, spec.d),
      bias_shape: shape(count, spec.units, 1),
      ...this.numbers(),
    };
    this.scheduled(feeds, steps);
    for (const { name, size: perRow, rowsFirst } of this.noiseSizes()) {
      const values = new Float32Array(steps * size * perRow);
      for (let i = 0; i < values.length; i++) values[i] = noise();
      feeds[`${name}_all`] = tensor(values, rowsFirst ? [steps, size, perRow] : [steps, perRow, size]);
    }
    for (const variable of this.variables) {
      const { name, out, width: columns, flat } = variable;
      const dims = flat ? [count * out, columns] : [count, out, columns];
      for (const state of [name, ...slotsOf(spec, variable).map((slot) => `${name}_${slot}`)]) {
        feeds[`${state}_in`] = tensor(this.states.get(state) as Float32Array, dims);
      }
    }
    const known = new Set(this.session.inputNames);
    const result = await runSession(
      this.session,
      Object.fromEntries(Object.entries(feeds).filter(([name]) => known.has(name))),
    );
    for (const name of this.states.keys()) this.states.set(name, result(`${name}_out`).data as Float32Array);
    return result('losses').data as Float32Array;
  }

  /** The numbers of each head that do not change from step to step. */
  private numbers(): Record<string, ort.Tensor> {
    const { spec, heads } = this;
    const count = heads.length;
    const dims = (column: readonly (number | string)[]): number[] =>
      column.map((dim) => (dim === 'H' ? count : (dim as number)));
    const numbers: Record<string, ort.Tensor> = {};
    const first = (this.variables[0] as Variable).out;
    const rowsAndHeads = (name: string, of: (head: PackedHead) => number): void => {
      const values = heads.map(of);
      numbers[`${name}_rows`] = tensor(repeat(values, first), [count * first, 1]);
      numbers[`${name}_heads`] = tensor(repeat(values, 1), [count, 1, 1]);
    };
    const each = (name: string, column: readonly (number | string)[], of: (head: PackedHead) => number): void => {
      numbers[name] = tensor(Float32Array.from(heads, of), dims(column));
    };
    const heads3 = ['H', 1, 1] as const;
    if (spec.l1) rowsAndHeads('l1', ({ l1 }) => l1);
    if (spec.l2) rowsAndHeads('l2', ({ l2 }) => 2 * l2);
    if (spec.momentum) rowsAndHeads('momentum', ({ momentum }) => momentum);
    if (spec.dropout) {
      each('dropout_rate', heads3, ({ dropout }) => dropout);
      each('dropout_scale', heads3, ({ dropout }) => 1 / (1 - dropout));
    }
    if (spec.labelSmoothing) {
      const classes = spec.ending === 'softmax' ? spec.units : 2;
      each('sharp', headColumn(spec), ({ labelSmoothing }) => 1 - labelSmoothing);
      each('spread', headColumn(spec), ({ labelSmoothing }) => labelSmoothing / classes);
    }
    if (spec.classWeight) {
      const { units } = spec;
      if (spec.ending === 'softmax') {
        const all = heads.flatMap(({ classWeights }) => Array.from(classWeights ?? new Float32Array(units).fill(1)));
        numbers.class_weights = tensor(Float32Array.from(all), [count, 1, units]);
      } else {
        const pairs = heads.flatMap(({ classWeights }) =>
          Array.from(classWeights ?? new Float32Array(2 * units).fill(1)),
        );
        const base = Float32Array.from({ length: count * units }, (_, i) => pairs[2 * i] as number);
        const slope = base.map((absent, i) => (pairs[2 * i + 1] as number) - absent);
        numbers.weight_base = tensor(base, dims(unitColumn(spec)));
        numbers.weight_slope = tensor(slope, dims(unitColumn(spec)));
      }
    }
    return numbers;
  }

  /** The numbers of each head that follow a schedule. */
  private scheduled(feeds: Record<string, ort.Tensor>, steps: number): void {
    const { heads, spec } = this;
    const first = (this.variables[0] as Variable).out;
    const rates: number[] = [];
    const keeps: number[] = [];
    for (let i = 0; i < steps; i++) {
      const step = this.steps++;
      const correction =
        spec.optimizer === 'adam' ? Math.sqrt(1 - ADAM.beta2 ** (step + 1)) / (1 - ADAM.beta1 ** (step + 1)) : 1;
      for (const head of heads) {
        const rate = head.learningRate(step);
        rates.push(rate * correction);
        keeps.push(1 - rate * head.weightDecay);
      }
    }
    for (const [name, values] of [
      ['rate', rates],
      ['keep', keeps],
    ] as const) {
      feeds[`${name}_rows_all`] = tensor(repeat(values, first), [steps, heads.length * first, 1]);
      feeds[`${name}_heads_all`] = tensor(repeat(values, 1), [steps, heads.length, 1, 1]);
    }
  }
}

/** Measures nets of one shape on raw vectors, together. */
export class NetEvaluator {
  private constructor(
    private readonly spec: NetSpec,
    private readonly session: ort.InferenceSession,
  ) {}

  /** @param spec a pack's will do: batch norms are folded in nets, and not looked for */
  static async create(spec: NetSpec, threads = 1): Promise<NetEvaluator> {
    const { d, hidden, activation, units, ending, normalize } = spec;
    const net = { d, hidden, activation, units, ending, normalize };
    return new NetEvaluator(net, await createSession(evaluationGraph(net), { threads }));
  }

  /** @returns for each net the sums over the rows of its loss and of its right answers (none for `linear`: NaN) */
  async evaluate(
    nets: readonly HeadNet[],
    block: RowBlock,
    targets: ArrayLike<number>,
  ): Promise<{ loss: number; hits: number }[]> {
    const { spec } = this;
    const { d } = spec;
    const width = targetWidth(spec);
    const count = nets.length;
    const features = tensor(block.x, [block.x.length / d, d]);
    const variables = variablesOf(spec);
    const weights: Record<string, ort.Tensor> = {};
    for (const { name, kind, out, width: columns, flat } of variables) {
      const layer = Number(name.replace(/\D+/, ''));
      const size = out * columns;
      const values = new Float32Array(count * size);
      nets.forEach(({ layers }, h) => {
        const dense = layers[layer];
        if (dense) values.set(kind === 'kernel' ? dense.kernel : dense.bias, h * size);
      });
      weights[name] = tensor(values, flat ? [count * out, columns] : [count, out, columns]);
    }
    const work = count * [d, ...spec.hidden].reduce((sum, from, i) => sum + from * (spec.hidden[i] ?? spec.units), 0);
    const rows = Math.max(1, Math.floor(CHUNK_WORK / work));
    const first = spec.hidden[0] ?? spec.units;
    const results = nets.map(() => ({ loss: 0, hits: spec.ending === 'linear' ? Number.NaN : 0 }));
    for (let from = 0; from < block.at.length; from += rows) {
      const at = block.at.subarray(from, from + rows);
      const wanted = new Float32Array(at.length * width);
      for (let k = 0, i = 0; k < width; k++) {
        for (let b = 0; b < at.length; b++) {
          wanted[i++] = targets[(block.rows[from + b] as number) * width + k] as number;
        }
      }
      const result = await runSession(this.session, {
        ...weights,
        features,
        rows: new ort.Tensor('int32', int32(at), [at.length]),
        targets: tensor(wanted, [width, at.length]),
        apart: shape(count, first, at.length),
      });
      const losses = result('losses').data as Float32Array;
      const hits = spec.ending === 'linear' ? undefined : (result('hits').data as Float32Array);
      results.forEach((one, h) => {
        for (let i = h * at.length; i < (h + 1) * at.length; i++) {
          one.loss += losses[i] as number;
          if (hits) one.hits += hits[i] as number;
        }
      });
    }
    return results;
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}
