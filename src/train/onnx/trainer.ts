import { availableParallelism } from 'node:os';
import ort from '../../engine/onnx/runtime.js';
import { createSession } from '../../engine/onnx/session.js';
import { isLean, LeanTrainer } from '../lean/trainer.js';
import { type PackSpec, targetWidth, type Variable, variablesOf } from '../net-spec.js';
import { CHUNK_MS, type PackedHead, type Scaling, type Trainer, type TrainerMaker } from '../trainer.js';
import type { VectorBlock } from '../vectors.js';
import { epochGraph, slotsOf } from './epoch-graph.js';
import { headColumn } from './head-losses.js';
import { headNumbers, repeat, targetsByStep } from './head-numbers.js';
import { adamRate } from './optimizers.js';
import { featuresOf, runSession, shape, tensor } from './tensors.js';
import { isWide, WideTrainer } from './wide-trainer.js';

/** Weights of a pack whose steps are long enough for two threads. */
const LARGE_PACK = 2 ** 16;
/** Values of noise and targets of one call. */
const CHUNK_VALUES = 2 ** 24;

/**
 * Heads of one spec in training together. One instance holds their weights and what the optimizer keeps; the same calls give
 * the same bits, whatever else the machine does.
 */
export class OnnxTrainer implements Trainer {
  private steps = 0;
  private chunk = 16;
  private readonly list: readonly Variable[];

  private constructor(
    readonly spec: PackSpec,
    private readonly session: ort.InferenceSession,
    private heads: readonly PackedHead[],
    private readonly fixed: Record<string, ort.Tensor>,
    private states: Map<string, Float32Array>,
  ) {
    this.list = variablesOf(spec);
  }

  /**
   * @param scaling where the spec standardises
   * @param threads of the engine. Default: a second one from 2^16 weights on; shorter steps are not worth it
   */
  static async create(
    spec: PackSpec,
    heads: readonly PackedHead[],
    scaling?: Scaling,
    threads?: number,
  ): Promise<OnnxTrainer> {
    const numbers = heads.length * variablesOf(spec).reduce((sum, { out, width }) => sum + out * width, 0);
    const shared = numbers >= LARGE_PACK ? Math.min(2, availableParallelism()) : 1;
    const session = await createSession(epochGraph(spec), { threads: threads ?? shared, spin: true });
    const fixed: Record<string, ort.Tensor> = {};
    if (spec.standardize && scaling) {
      fixed.mean = tensor(scaling.mean, [spec.d]);
      fixed.inverse = tensor(scaling.inverse, [spec.d]);
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
    return new OnnxTrainer(spec, session, heads, fixed, states);
  }

  async variables(head: number): Promise<Map<string, Float32Array>> {
    return new Map(
      this.list.map(({ name, out, width }) => {
        const size = out * width;
        return [name, (this.states.get(name) as Float32Array).slice(head * size, (head + 1) * size)];
      }),
    );
  }

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

  async run(
    block: VectorBlock,
    targets: readonly ArrayLike<number>[],
    batchSize: number,
    noise: () => number = () => 0,
    afterChunk: (rows: number) => void = () => {},
  ): Promise<Float64Array> {
    const n = block.at.length;
    const whole = n - (n % batchSize);
    const sums = new Float64Array(this.heads.length);
    const perRow =
      targets.length * targetWidth(this.spec) +
      this.heads.length * this.spec.units +
      this.noiseSizes().reduce((total, { size }) => total + size, 0);
    const most = Math.max(1, Math.floor(CHUNK_VALUES / (perRow * batchSize)));
    for (let from = 0; from < n; ) {
      const size = from < whole ? batchSize : n - whole;
      const steps = from < whole ? Math.min(this.chunk, most, (whole - from) / batchSize) : 1;
      const began = performance.now();
      const to = from + steps * size;
      const part = { x: block.x, at: block.at.subarray(from, to), rows: block.rows.subarray(from, to) };
      const losses = await this.chunkOf(part, targets, steps, noise);
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
    { x, at, rows }: VectorBlock,
    targets: readonly ArrayLike<number>[],
    steps: number,
    noise: () => number,
  ): Promise<Float32Array> {
    const { spec, heads } = this;
    const size = at.length / steps;
    const width = targetWidth(spec);
    const wanted = targetsByStep(spec, targets, rows, steps);
    const taken = featuresOf(x, spec.d, at);
    const count = heads.length;
    const first = (this.list[0] as Variable).out;
    const units = spec.ending === 'softmax' ? 1 : spec.units;
    const feeds: Record<string, ort.Tensor> = {
      ...this.fixed,
      features: taken.features,
      rows_all: new ort.Tensor('int32', taken.rows, [steps, size]),
      targets_all: tensor(wanted, [steps, targets.length, ...(headColumn(spec).length === 2 ? [] : [width]), size]),
      share: tensor(Float32Array.of(1 / (size * units)), []),
      apart: shape(count, first, size),
      joined: shape(count * first, size),
      kernel_shape: shape(count, spec.units, spec.d),
      kernel_joined: shape(count * spec.units, spec.d),
      bias_shape: shape(count, spec.units, 1),
      ...Object.fromEntries(
        Object.entries(headNumbers(spec, heads)).map(([name, { values, dims }]) => [name, tensor(values, dims)]),
      ),
    };
    this.scheduled(feeds, steps);
    for (const { name, size: perRow, rowsFirst } of this.noiseSizes()) {
      const values = new Float32Array(steps * size * perRow);
      for (let i = 0; i < values.length; i++) values[i] = noise();
      feeds[`${name}_all`] = tensor(values, rowsFirst ? [steps, size, perRow] : [steps, perRow, size]);
    }
    for (const variable of this.list) {
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

  /** The numbers of each head that follow a schedule. */
  private scheduled(feeds: Record<string, ort.Tensor>, steps: number): void {
    const { heads, spec } = this;
    const first = (this.list[0] as Variable).out;
    const rates: number[] = [];
    const keeps: number[] = [];
    for (let i = 0; i < steps; i++) {
      const step = this.steps++;
      const correction = spec.optimizer === 'adam' ? adamRate(step + 1) : 1;
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

/** Trainers of any head that takes minibatches, on onnxruntime. */
export const onnxTrainers: TrainerMaker = {
  most: Infinity,
  check: () => {},
  mixes: isLean,
  async create(spec, heads, { isMixed, scaling, threads }) {
    if (isMixed) return new LeanTrainer(spec, heads, threads);
    return (isWide(spec, heads.length) ? WideTrainer : OnnxTrainer).create(spec, heads, scaling, threads);
  },
};
