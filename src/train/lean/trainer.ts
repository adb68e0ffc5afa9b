import { breathe } from '../../breathe.js';
import { type PackSpec, variablesOf } from '../net-spec.js';
import { adamRate } from '../onnx/optimizers.js';
import { CHUNK_MS, type PackedHead, type Trainer } from '../trainer.js';
import type { VectorBlock } from '../vectors.js';
import { type Kernels, kernels } from './kernels.js';
import { lossOfBatch } from './losses.js';

/** Rows of weights of the heads that see the same rows, from which on products in the engine take less time. */
const MOST_UNITS = 6;
/** Numbers of the vectors that are gathered at once: they stay in the processor's cache while all heads see them. */
const GATHERED = 2 ** 18;
/** Numbers of the vectors of a minibatch, at most. */
const MOST_NUMBERS = 2 ** 22;
/** Bytes of a line of the processor's cache. */
const LINE = 64;

/** @returns whether a `LeanTrainer` is the fastest for so many heads of the same rows, beside those of other rows */
export const isLean = (spec: PackSpec, heads: number, batchSize: number): boolean =>
  spec.hidden.length === 0 &&
  !(spec.dropout || spec.l1 || spec.normalize || spec.standardize) &&
  spec.optimizer === 'adam' &&
  spec.d * batchSize <= MOST_NUMBERS &&
  heads * spec.units <= MOST_UNITS;

/** What training changes of a head: kernel and bias, one behind the other. */
interface State {
  readonly weights: Float32Array;
  readonly momentum: Float32Array;
  readonly velocity: Float32Array;
}

/** Heads that see the same rows. */
interface Group {
  readonly seen: Uint8Array | null;
  readonly heads: number[];
  /** Where those wait that the next vectors would be written over. */
  readonly carry: number;
  /** Addresses of the vectors of the minibatch so far, and their rows. */
  readonly at: number[];
  readonly rows: number[];
}

/** Where things lie in a memory; addresses in bytes. */
interface Layout {
  readonly batchSize: number;
  readonly run: Kernels;
  readonly values: Float32Array;
  readonly words: Uint32Array;
  readonly list: number;
  readonly logits: number;
  readonly gradient: number;
  readonly heads: readonly (readonly [weights: number, momentum: number, velocity: number])[];
  readonly vectors: number;
  /** Of the vectors that are gathered at once. */
  readonly count: number;
  readonly carries: readonly number[];
}

/**
 * A few heads without hidden layers, by Adam, each on its own rows of the same vectors: a vector is fetched once, for all heads that
 * see it. What a head becomes does not depend on the others, to the bit.
 */
export class LeanTrainer implements Trainer {
  private readonly stride: number;
  private states: State[];
  private steps: number[];
  private layout: Layout | undefined;

  constructor(
    private readonly spec: PackSpec,
    private heads: readonly PackedHead[],
  ) {
    this.stride = Math.ceil((4 * spec.d) / LINE) * LINE;
    this.steps = heads.map(() => 0);
    const names = variablesOf(spec).map(({ name }) => name);
    this.states = heads.map(({ start }) => {
      const weights = new Float32Array((spec.d + 1) * spec.units);
      weights.set(start.get(names[0] as string) as Float32Array);
      weights.set(start.get(names[1] as string) as Float32Array, spec.d * spec.units);
      return { weights, momentum: new Float32Array(weights.length), velocity: new Float32Array(weights.length) };
    });
  }

  async run(
    block: VectorBlock,
    targets: readonly ArrayLike<number>[],
    batchSize: number,
    _noise?: () => number,
    afterChunk: (rows: number) => void = () => {},
    seen: readonly (Uint8Array | null)[] = [],
  ): Promise<Float64Array> {
    const { d, units, ending } = this.spec;
    const n = block.at.length;
    const kinds = [...new Set(this.heads.map((_, head) => seen[head] ?? null))];
    const layout = this.settle(batchSize, kinds.length);
    const groups = kinds.map((kind, i): Group => {
      const heads = [...this.heads.keys()].filter((head) => (seen[head] ?? null) === kind);
      return { seen: kind, heads, carry: layout.carries[i] as number, at: [], rows: [] };
    });
    const sums = new Float64Array(this.heads.length);
    let began = performance.now();
    let told = 0;
    for (let from = 0; from < n; ) {
      const to = Math.min(n, from + layout.count);
      for (let i = from, place = layout.vectors; i < to; i++, place += this.stride) {
        const at = (block.at[i] as number) * d;
        layout.values.set(block.x.subarray(at, at + d), place / 4);
      }
      for (const group of groups) {
        for (let i = from; i < to; i++) {
          const row = block.rows[i] as number;
          if (group.seen !== null && group.seen[row] !== 1) continue;
          group.at.push(layout.vectors + (i - from) * this.stride);
          if (group.rows.push(row) === batchSize) this.step(layout, group, targets, sums);
        }
        if (to < n) this.carry(layout, group);
        else if (group.rows.length > 0) this.step(layout, group, targets, sums);
      }
      from = to;
      if (from === n || performance.now() - began < CHUNK_MS) continue;
      afterChunk(from - told);
      told = from;
      await breathe();
      began = performance.now();
    }
    afterChunk(n - told);
    return ending === 'sigmoid' ? sums.map((sum) => sum / units) : sums;
  }

  async variables(head: number): Promise<Map<string, Float32Array>> {
    this.fetch();
    const { weights } = this.states[head] as State;
    const end = this.spec.d * this.spec.units;
    return new Map([
      ['kernel0', weights.slice(0, end)],
      ['bias0', weights.slice(end)],
    ]);
  }

  keep(kept: readonly number[]): void {
    this.fetch();
    this.layout = undefined;
    this.heads = kept.map((head) => this.heads[head] as PackedHead);
    this.states = kept.map((head) => this.states[head] as State);
    this.steps = kept.map((head) => this.steps[head] as number);
  }

  async release(): Promise<void> {
    this.layout = undefined;
  }

  /** Brings the states up to date. */
  private fetch(): void {
    const { layout } = this;
    if (layout === undefined) return;
    for (const [head, { weights, momentum, velocity }] of this.states.entries()) {
      for (const [i, values] of [weights, momentum, velocity].entries()) {
        const from = (layout.heads[head]?.[i] as number) / 4;
        values.set(layout.values.subarray(from, from + values.length));
      }
    }
  }

  /** Lays everything out for minibatches of a size, where it does not lie so already. */
  private settle(batchSize: number, groups: number): Layout {
    if (this.layout?.batchSize === batchSize && this.layout.carries.length >= groups) return this.layout;
    this.fetch();
    const { d, units } = this.spec;
    let bytes = 0;
    const take = (size: number): number => {
      const at = bytes;
      bytes += Math.ceil(size / LINE) * LINE;
      return at;
    };
    const state = 4 * (d + 1) * units;
    // As many minibatches as there is room for: of heads that see all, none is carried over.
    const count = batchSize * Math.max(1, Math.floor(GATHERED / (batchSize * d)));
    const places = {
      ...{ batchSize, count, list: take(4 * batchSize), logits: take(4 * units * batchSize), gradient: take(state) },
      heads: this.states.map(() => [take(state), take(state), take(state)] as const),
      vectors: take(count * this.stride),
      carries: Array.from({ length: groups }, () => (groups > 1 ? take((batchSize - 1) * this.stride) : 0)),
    };
    const { memory, run } = kernels(bytes);
    const values = new Float32Array(memory.buffer);
    for (const [head, { weights, momentum, velocity }] of this.states.entries()) {
      for (const [i, part] of [weights, momentum, velocity].entries()) {
        values.set(part, (places.heads[head]?.[i] as number) / 4);
      }
    }
    this.layout = { ...places, run, values, words: new Uint32Array(memory.buffer) };
    return this.layout;
  }

  /** Moves the vectors of a minibatch that is not full away from where the next ones come. */
  private carry({ values }: Layout, group: Group): void {
    for (const [i, from] of group.at.entries()) {
      const to = group.carry + i * this.stride;
      if (from !== to) values.copyWithin(to / 4, from / 4, from / 4 + this.spec.d);
      group.at[i] = to;
    }
  }

  /** One minibatch of the heads of a group, which is empty then. */
  private step(layout: Layout, group: Group, targets: readonly ArrayLike<number>[], sums: Float64Array): void {
    const { d, units, weightDecay } = this.spec;
    const { run, values, words, list, gradient } = layout;
    const size = group.rows.length;
    const kernel = 4 * d * units;
    words.set(group.at, list / 4);
    const logits = new Float64Array(units * size);
    for (const head of group.heads) {
      const [weights, momentum, velocity] = layout.heads[head] as Layout['heads'][number];
      this.each(size, layout, run.dots8, run.dots1, weights);
      for (let i = 0; i < logits.length; i++) {
        const bias = values[(weights + kernel) / 4 + Math.floor(i / size)] as number;
        logits[i] = (values[layout.logits / 4 + i] as number) + bias;
      }
      const packed = this.heads[head] as PackedHead;
      const loss = lossOfBatch(
        this.spec,
        packed,
        logits,
        (targets[head] ?? targets[0]) as ArrayLike<number>,
        group.rows,
      );
      sums[head] = (sums[head] as number) + loss;
      values.set(logits, layout.logits / 4);
      values.fill(0, gradient / 4, (gradient + kernel) / 4);
      this.each(size, layout, run.pull8, run.pull1, gradient);
      for (let unit = 0; unit < units; unit++) {
        let sum = 0;
        for (let i = unit * size; i < (unit + 1) * size; i++) sum += values[layout.logits / 4 + i] as number;
        values[(gradient + kernel) / 4 + unit] = sum;
      }
      const taken = this.steps[head] as number;
      this.steps[head] = taken + 1;
      const rate = packed.learningRate(taken);
      const by = rate * adamRate(taken + 1);
      const keep = weightDecay ? 1 - rate * packed.weightDecay : 1;
      run.step(weights, momentum, velocity, gradient, d * units, by, 2 * packed.l2, keep);
      run.step(weights + kernel, momentum + kernel, velocity + kernel, gradient + kernel, units, by, 0, keep);
    }
    group.at.length = 0;
    group.rows.length = 0;
  }

  /** Calls a kernel for each unit and 8 vectors, or one, of the minibatch. @param of address of what each unit has */
  private each(
    size: number,
    { list, logits }: Layout,
    eight: Kernels['dots8'],
    one: Kernels['dots1'],
    of: number,
  ): void {
    const { d, units } = this.spec;
    for (let unit = 0; unit < units; unit++) {
      for (let row = 0; row < size; ) {
        const isEight = size - row >= 8;
        (isEight ? eight : one)(
          list + 4 * row,
          ...([of + 4 * d * unit, logits + 4 * (unit * size + row)] as const),
          d >> 4,
          d & 15,
        );
        row += isEight ? 8 : 1;
      }
    }
  }
}
