import { availableParallelism } from 'node:os';
import { breathe } from '../../breathe.js';
import { type PackSpec, variablesOf } from '../net-spec.js';
import { CHUNK_MS, type PackedHead, type Trainer } from '../trainer.js';
import type { VectorBlock } from '../vectors.js';
import { type Layout, layOut, strideOf } from './layout.js';
import { KernelMemory } from './memory.js';
import { type Ask, type Given, secondThread } from './second.js';
import { type HeadPlace, kindsOf, type Measured, measure, Walk, type Walked, type WalkingHead } from './walk.js';

/** Rows of weights of the heads that see the same rows, from which on products in the engine take less time. */
const MOST_UNITS = 6;
/** Numbers of the vectors of a minibatch, at most. */
const MOST_NUMBERS = 2 ** 22;
/** Products of an epoch that are worth a second thread. */
const MANY_PRODUCTS = 2 ** 25;

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

/**
 * A few heads without hidden layers, by Adam, each on its own rows of the same vectors: a vector is fetched once, for all heads that
 * see it. Where vectors lie in a memory of the kernels they are taken in place, half of the heads by a second thread. What a head
 * becomes depends neither on the others nor on where vectors lie nor on threads, to the bit.
 */
export class LeanTrainer implements Trainer {
  private states: State[];
  private steps: number[];
  private layout: Layout | undefined;
  private joining: Promise<void> | undefined;
  private thread: Awaited<ReturnType<typeof secondThread.join>> = null;
  /** The heads of the second thread in the last epoch. */
  private far: ReadonlySet<number> = new Set();

  /** @param threads default: two where there are as many and much to do */
  constructor(
    private readonly spec: PackSpec,
    private heads: readonly PackedHead[],
    private readonly threads?: number,
  ) {
    this.steps = heads.map(() => 0);
    const names = variablesOf(spec).map(({ name }) => name);
    this.states = heads.map(({ start }) => {
      const weights = new Float32Array((spec.d + 1) * spec.units);
      weights.set(start.get(names[0] as string) as Float32Array);
      weights.set(start.get(names[1] as string) as Float32Array, spec.d * spec.units);
      return { weights, momentum: new Float32Array(weights.length), velocity: new Float32Array(weights.length) };
    });
  }

  /** Whether a second thread has trained some of the heads. */
  get isDivided(): boolean {
    return this.far.size > 0;
  }

  async run(
    block: VectorBlock,
    targets: readonly ArrayLike<number>[],
    batchSize: number,
    _noise?: () => number,
    afterChunk: (rows: number) => void = () => {},
    seen: readonly (Uint8Array | null)[] = [],
  ): Promise<Float64Array> {
    const kinds = kindsOf(this.heads.map((_, head) => ({ seen: seen[head] ?? null })));
    const layout = this.settle(block.x, batchSize, kinds.length);
    const most = Math.ceil(block.at.length / batchSize);
    const heads = this.heads.map((packed, head): WalkingHead => {
      const taken = this.steps[head] as number;
      const { weightDecay, l2, labelSmoothing, classWeights } = packed;
      return {
        ...{ weightDecay, l2, labelSmoothing, classWeights, taken, seen: seen[head] ?? null },
        ...(layout.heads[head] as HeadPlace),
        targets: (targets[head] ?? targets[0]) as ArrayLike<number>,
        rates: Float64Array.from({ length: most }, (_, step) => packed.learningRate(taken + step)),
      };
    });
    const sums = new Float64Array(heads.length);
    const add = (places: readonly number[], walked: Walked): void => {
      for (const [i, head] of places.entries()) {
        sums[head] = walked.sums[i] as number;
        this.steps[head] = (this.steps[head] as number) + (walked.steps[i] as number);
      }
    };
    const { shared } = layout;
    if (shared) await this.walkInPlace(block, layout, heads, shared, afterChunk, add);
    else add([...heads.keys()], await this.walkGathered(block, layout, heads, afterChunk));
    return this.spec.ending === 'sigmoid' ? sums.map((sum) => sum / this.spec.units) : sums;
  }

  measure(head: number, block: VectorBlock, targets: ArrayLike<number>): Promise<Measured> | null {
    const { layout, spec, thread } = this;
    if (layout?.shared === undefined || KernelMemory.of(block.x) !== layout.shared) return null;
    const isFar = thread !== null && this.far.has(head);
    const { batchSize, desks, machine, shared } = layout;
    const { memory, number } = shared;
    const { weights } = layout.heads[head] as HeadPlace;
    const given = { spec, batchSize, desk: desks[isFar ? 1 : 0], weights, targets };
    const addresses = this.addressesOf(block);
    if (!isFar) return Promise.resolve(measure(given, addresses, block.rows, machine));
    const asked = { kind: 'measure', measure: given, addresses, rows: block.rows } as const;
    return thread.ask({ ...asked, memory, number }).then((found) => (found as { measured: Measured }).measured);
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
    this.heads = kept.map((head) => this.heads[head] as PackedHead);
    this.states = kept.map((head) => this.states[head] as State);
    this.steps = kept.map((head) => this.steps[head] as number);
    this.far = new Set([...kept.keys()].filter((place) => this.far.has(kept[place] as number)));
    if (this.layout) {
      this.layout = { ...this.layout, heads: kept.map((head) => this.layout?.heads[head] as HeadPlace) };
    }
  }

  async release(): Promise<void> {
    this.layout?.shared?.leave();
    this.layout = undefined;
    const { joining } = this;
    if (joining === undefined) return;
    this.joining = undefined;
    await joining;
    this.thread = null;
    await secondThread.leave();
  }

  /** Takes every other head through an epoch, those between by the second thread where it has come. */
  private async walkInPlace(
    block: VectorBlock,
    { batchSize, desks, machine }: Layout,
    heads: readonly WalkingHead[],
    { memory, number }: KernelMemory,
    afterChunk: (rows: number) => void,
    add: (places: readonly number[], walked: Walked) => void,
  ): Promise<void> {
    const { spec, thread } = this;
    const { rows } = block;
    this.call(rows.length, heads.length);
    const addresses = this.addressesOf(block);
    const all = [...heads.keys()];
    const far = all.filter((head) => thread !== null && head % 2 === 0 && heads.length > 1);
    this.far = new Set(far);
    const own = (places: readonly number[]) => places.map((head) => heads[head] as WalkingHead);
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const walk = { spec, batchSize, desk: desks[1], heads: own(far) };
    const asked = { kind: 'walk', memory, number, walk, addresses, rows, stop } satisfies Ask;
    const there = far.length > 0 ? (thread?.ask(asked) as Promise<Given>) : null;
    there?.catch(() => {}); // thrown where it is waited for
    const near = all.filter((head) => !this.far.has(head));
    const here = new Walk({ spec, batchSize, desk: desks[0], heads: own(near) }, machine);
    try {
      await inChunks(rows.length, batchSize, afterChunk, (from, to) =>
        here.take(addresses.subarray(from, to), rows.subarray(from, to)),
      );
    } catch (error) {
      Atomics.store(stop, 0, 1);
      await there?.catch(() => {});
      throw error;
    }
    add(near, here.end());
    if (there) add(far, ((await there) as { walked: Walked }).walked);
  }

  /** Calls the second thread, where there is enough for it to do; it has come by a later epoch. */
  private call(rows: number, heads: number): void {
    const isMuch = rows * this.spec.d * this.spec.units * heads >= MANY_PRODUCTS;
    const threads = this.threads ?? (isMuch ? availableParallelism() : 1);
    if (this.joining || threads < 2 || heads < 2) return;
    this.joining = secondThread.join().then((joined) => {
      this.thread = joined;
    });
  }

  private async walkGathered(
    block: VectorBlock,
    { batchSize, desks, machine, gathered, carries }: Layout,
    heads: readonly WalkingHead[],
    afterChunk: (rows: number) => void,
  ): Promise<Walked> {
    const { d } = this.spec;
    const n = block.at.length;
    const walk = new Walk({ spec: this.spec, batchSize, desk: desks[0], heads }, machine);
    await inChunks(n, gathered.length, afterChunk, (from, to) => {
      for (let i = from; i < to; i++) {
        const at = (block.at[i] as number) * d;
        machine.values.set(block.x.subarray(at, at + d), (gathered[i - from] as number) / 4);
      }
      walk.take(gathered.subarray(0, to - from), block.rows.subarray(from, to));
      if (to < n) walk.carry(carries, strideOf(this.spec));
    });
    return walk.end();
  }

  /** Where the vectors of a block lie in the memory that they are taken in. */
  private addressesOf({ x, at }: VectorBlock): Uint32Array {
    return at.map((row) => x.byteOffset + 4 * this.spec.d * row);
  }

  /** Brings the states up to date. */
  private fetch(): void {
    const { layout } = this;
    if (layout === undefined) return;
    for (const [head, state] of this.states.entries()) {
      const place = layout.heads[head] as HeadPlace;
      for (const name of ['weights', 'momentum', 'velocity'] as const) {
        const from = place[name] / 4;
        state[name].set(layout.machine.values.subarray(from, from + state[name].length));
      }
    }
  }

  /** Lays everything out for minibatches of a size, where it does not lie so already. */
  private settle(x: Float32Array, batchSize: number, kinds: number): Layout {
    const shared = KernelMemory.of(x);
    const { layout } = this;
    if (layout?.batchSize === batchSize && layout.over === shared && layout.kinds >= kinds) return layout;
    this.fetch();
    layout?.shared?.leave();
    const found = layOut(this.spec, this.heads.length, batchSize, kinds, shared);
    for (const [head, state] of this.states.entries()) {
      const place = found.heads[head] as HeadPlace;
      for (const name of ['weights', 'momentum', 'velocity'] as const) {
        found.machine.values.set(state[name], place[name] / 4);
      }
    }
    this.layout = found;
    return found;
  }
}

/** Does work on rows, so many at a time, and lets the event loop go on between chunks. */
async function inChunks(
  n: number,
  size: number,
  afterChunk: (rows: number) => void,
  work: (from: number, to: number) => void,
): Promise<void> {
  let began = performance.now();
  let told = 0;
  for (let from = 0; from < n; from += size) {
    const to = Math.min(n, from + size);
    work(from, to);
    if (to === n || performance.now() - began < CHUNK_MS) continue;
    afterChunk(to - told);
    told = to;
    await breathe();
    began = performance.now();
  }
  afterChunk(n - told);
}
