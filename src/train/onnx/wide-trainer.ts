import { availableParallelism } from 'node:os';
import { type PackSpec, variablesOf } from '../net-spec.js';
import { CHUNK_MS, type PackedHead, type Scaling, type Trainer } from '../trainer.js';
import type { VectorBlock } from '../vectors.js';
import { type FarShard, FarThread } from './far-shard.js';
import { headNumbers, targetsByStep } from './head-numbers.js';
import { adamRate } from './optimizers.js';
import { joinStates, Shard, type ShardChunk, type ShardSpec, type ShardStates, statesOf } from './shard.js';
import { rowOf } from './step-graph.js';

/** Kernel weights from which on Adam's passes over them take longer than the rest of a step. */
const WIDE = 2 ** 16;
/** Numbers of a chunk's vectors, at most. */
const CHUNK_VALUES = 2 ** 19;
/** Chunks that the second thread may be behind. */
const SLOTS = 3;
/** Training that ends within this time (ms) is not worth a second thread. */
const ALONE_MS = 100;
/** Share of the heads that the thread keeps which also gathers the vectors for both. */
const NEAR_SHARE = 0.375;
/** Rows of weights that products take at once. */
const ROWS = 4;

/** @returns how many of the heads stay when a second thread comes; all where there are too few to divide */
function nearHeads({ units }: PackSpec, heads: number): number {
  const rows = Math.round((NEAR_SHARE * heads * units) / ROWS) * ROWS;
  const near = Math.max(1, Math.round(rows / units));
  // The product of a single row rounds otherwise.
  return Math.min(near, heads - near) * units < 2 ? heads : near;
}

/** @returns whether a `WideTrainer` is for these heads */
export const isWide = (spec: PackSpec, heads: number): boolean =>
  spec.hidden.length === 0 &&
  !spec.dropout &&
  !spec.l1 &&
  spec.optimizer === 'adam' &&
  heads * spec.units * spec.d >= WIDE &&
  nearHeads(spec, heads) < heads;

/** Heads that one thread trains. */
interface Part<S> {
  readonly from: number;
  readonly heads: readonly PackedHead[];
  readonly shard: S;
}

interface FarPart extends Part<FarShard> {
  /** Chunks that are not done, oldest first. */
  readonly under: Promise<void>[];
}

/**
 * Many heads without hidden layers, by Adam. Once they have trained for a moment, a second thread takes most of them; what a head
 * becomes does not depend on that, to the bit.
 */
export class WideTrainer implements Trainer {
  private steps = 0;
  private perChunk = 4;
  private spent = 0;
  private near: Part<Shard> | undefined;
  private far: FarPart | undefined;
  private joining: Promise<void> | undefined;
  private thread: FarThread | null = null;
  private weights: readonly ShardStates[] | undefined;
  private kept: readonly number[] | undefined;
  /** Memory for the vectors of a chunk that no thread uses. */
  private readonly free: Float32Array[] = [];

  private constructor(
    private readonly spec: PackSpec,
    private heads: readonly PackedHead[],
    private readonly scaling: Scaling | undefined,
    private readonly threads: number,
  ) {}

  /** @param threads default: two where there are as many */
  static async create(
    spec: PackSpec,
    heads: readonly PackedHead[],
    scaling?: Scaling,
    threads = Math.min(2, availableParallelism()),
  ): Promise<WideTrainer> {
    const trainer = new WideTrainer(spec, heads, scaling, threads);
    await trainer.divide(heads.map(({ start }) => Object.fromEntries(start)));
    return trainer;
  }

  /** Whether a second thread trains most of the heads. */
  get isDivided(): boolean {
    return this.far !== undefined;
  }

  async run(
    block: VectorBlock,
    targets: readonly ArrayLike<number>[],
    batchSize: number,
    _noise?: () => number,
    afterChunk: (rows: number) => void = () => {},
  ): Promise<Float64Array> {
    const n = block.at.length;
    const whole = n - (n % batchSize);
    const most = Math.max(1, Math.floor(CHUNK_VALUES / (batchSize * this.spec.d)));
    if (this.kept) await this.settle();
    this.weights = undefined;
    const sums = new Float64Array(this.heads.length);
    for (let from = 0; from < n; ) {
      if (this.thread && !this.far) await this.settle();
      const size = from < whole ? batchSize : n - whole;
      // Short ones first and last, as one thread waits while the other is at those.
      const [done, left] = [from / batchSize, (whole - from) / batchSize];
      const steps = from < whole ? Math.max(1, Math.min(this.perChunk, most, done, Math.ceil(left / 2))) : 1;
      const began = performance.now();
      const to = from + steps * size;
      const part = { x: block.x, at: block.at.subarray(from, to), rows: block.rows.subarray(from, to) };
      await this.chunk(part, targets, steps, sums, most * batchSize);
      const took = performance.now() - began;
      this.perChunk = Math.max(1, Math.floor((steps * CHUNK_MS) / Math.max(took, 0.1)));
      this.spent += took;
      if (this.spent > ALONE_MS && this.threads > 1 && nearHeads(this.spec, this.heads.length) < this.heads.length) {
        this.joining ??= FarThread.join().then((thread) => {
          this.thread = thread;
        });
      }
      from = to;
      afterChunk(steps * size);
    }
    for (const one of this.far?.under.splice(0) ?? []) await one;
    return this.spec.ending === 'sigmoid' ? sums.map((sum) => sum / this.spec.units) : sums;
  }

  async variables(head: number): Promise<Map<string, Float32Array>> {
    this.weights ??= await this.states(variablesOf(this.spec).map(({ name }) => name));
    return new Map(Object.entries(this.weights[this.kept?.[head] ?? head] as ShardStates));
  }

  keep(kept: readonly number[]): void {
    this.kept = kept.map((head) => this.kept?.[head] ?? head);
  }

  async release(): Promise<void> {
    await this.scatter();
    this.free.length = 0;
    if (this.joining === undefined) return;
    await this.joining;
    this.joining = undefined;
    this.thread = null;
    await FarThread.leave();
  }

  /** Frees the shards. */
  private async scatter(): Promise<void> {
    const { near, far } = this;
    this.near = undefined;
    this.far = undefined;
    await Promise.allSettled(far?.under ?? []);
    await Promise.all([near?.shard.release(), far?.shard.release().catch(() => {})]); // its fault is thrown where it was asked
  }

  /** @returns the states of each head, by default all; copies */
  private async states(names?: readonly string[]): Promise<ShardStates[]> {
    const all: ShardStates[] = [];
    for (const part of [this.near, this.far]) {
      if (part === undefined) continue;
      const states = await part.shard.states(names);
      all.push(...part.heads.map((_, head) => statesOf(states, head, part.heads.length)));
    }
    return all;
  }

  /** Divides the heads anew: where some have left, or the second thread has come. */
  private async settle(): Promise<void> {
    const { heads, kept = [...heads.keys()] } = this;
    const states = await this.states();
    await this.scatter();
    this.heads = kept.map((head) => heads[head] as PackedHead);
    this.kept = undefined;
    await this.divide(kept.map((head) => states[head] as ShardStates));
  }

  /** @param states of each head; moments that are missing are 0 */
  private async divide(states: readonly ShardStates[]): Promise<void> {
    const { spec, heads, thread } = this;
    const end = thread ? nearHeads(spec, heads.length) : heads.length;
    const near = await Shard.create(this.shardOf(heads.slice(0, end), states));
    this.near = { from: 0, heads: heads.slice(0, end), shard: near };
    if (end === heads.length || thread === null) {
      this.thread = null; // too few are left for two
      return;
    }
    const rest = heads.slice(end);
    const far = await thread.open(this.shardOf(rest, states.slice(end)));
    this.far = { from: end, heads: rest, shard: far, under: [] };
  }

  private shardOf(heads: readonly PackedHead[], states: readonly ShardStates[]): ShardSpec {
    const { spec, scaling } = this;
    return {
      ...{ spec, scaling, heads: heads.length, numbers: headNumbers(spec, heads) },
      l2: Float32Array.from(heads, ({ l2 }) => (spec.l2 ? 2 * l2 : 0)),
      states: joinStates(states.slice(0, heads.length)),
    };
  }

  /**
   * Takes `steps` minibatches of equal size, and adds their losses: those of the second thread when it comes to them.
   * @param most rows of a chunk
   */
  private async chunk(
    { x, at, rows }: VectorBlock,
    targets: readonly ArrayLike<number>[],
    steps: number,
    sums: Float64Array,
    most: number,
  ): Promise<void> {
    const { near, far } = this;
    if (near === undefined) throw new TypeError('the trainer was released');
    // One by one, as the sum must not depend on where the chunks end.
    const add = ({ from, heads }: Part<unknown>, losses: Float32Array): void => {
      for (let i = 0; i < losses.length; i++) {
        const head = from + (i % heads.length);
        sums[head] = (sums[head] as number) + (losses[i] as number);
      }
    };
    const vectors = this.gather(x, at, most);
    add(near, await near.shard.take(this.chunkOf(near, targets, rows, steps), vectors));
    if (far) {
      if (far.under.length === SLOTS) await far.under.shift();
      const done = far.shard.chunk(this.chunkOf(far, targets, rows, steps), vectors).then((given) => {
        add(far, given.losses);
        this.free.push(given.x);
      });
      done.catch(() => {}); // thrown where it is waited for
      far.under.push(done);
    } else {
      this.free.push(vectors);
    }
    this.steps += steps;
  }

  /** @returns memory for so many vectors, each with what belongs behind it, which begins with those */
  private gather(x: Float32Array, at: Uint32Array, most: number): Float32Array {
    const { d } = this.spec;
    const row = rowOf(d);
    let vectors = this.free.pop();
    if (vectors?.length !== most * row) {
      vectors = new Float32Array(most * row);
      for (let i = d; i < vectors.length; i += row) vectors[i] = 1;
    }
    for (let i = 0; i < at.length; i++) {
      const from = (at[i] as number) * d;
      vectors.set(x.subarray(from, from + d), i * row);
    }
    return vectors;
  }

  private chunkOf(
    { from, heads }: Part<unknown>,
    targets: readonly ArrayLike<number>[],
    rows: Uint32Array,
    steps: number,
  ): ShardChunk {
    const own = targets.length === 1 ? targets : targets.slice(from, from + heads.length);
    const rates = new Float32Array(steps * heads.length);
    const keeps = new Float32Array(rates.length);
    for (let step = 0, i = 0; step < steps; step++) {
      const correction = adamRate(this.steps + step + 1);
      for (const { learningRate, weightDecay } of heads) {
        const rate = learningRate(this.steps + step);
        rates[i] = rate * correction;
        keeps[i++] = this.spec.weightDecay ? 1 - rate * weightDecay : 1;
      }
    }
    return { steps, size: rows.length / steps, targets: targetsByStep(this.spec, own, rows, steps), rates, keeps };
  }
}
