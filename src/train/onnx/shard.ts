import type ort from '../../engine/onnx/runtime.js';
import { createSession } from '../../engine/onnx/session.js';
import { type PackSpec, targetWidth } from '../net-spec.js';
import type { Scaling } from '../trainer.js';
import { type AdamStep, adamSteps } from './adam-wasm.js';
import { isFlatHead } from './head-losses.js';
import type { Values } from './head-numbers.js';
import { lossGraph, rowOf, stepGraph } from './step-graph.js';
import { runInto, runSession, shape, tensor } from './tensors.js';

/** What training changes, by name: weights and moments of all heads of a shard. */
export type ShardStates = Readonly<Record<string, Float32Array>>;

/** What a shard begins with; plain values, which go from thread to thread. */
export interface ShardSpec {
  /** Without hidden layers and dropout, by Adam. */
  readonly spec: PackSpec;
  readonly heads: number;
  /** What the graphs ask for of each head, by name. */
  readonly numbers: Readonly<Record<string, Values>>;
  /** What the kernel of each head is multiplied by and added to its gradient. */
  readonly l2: Float32Array;
  readonly scaling: Scaling | undefined;
  readonly states: ShardStates;
}

/** Minibatches of equal size. */
export interface ShardChunk {
  readonly steps: number;
  /** Rows of a minibatch. */
  readonly size: number;
  /** `[steps, 1 or heads, width, size]` */
  readonly targets: Float32Array;
  /** `[steps, heads]`: the learning rate with Adam's correction, and what weight decay leaves. */
  readonly rates: Float32Array;
  readonly keeps: Float32Array;
}

/** Values behind a chunk's: the engine takes the logarithms of up to three last ones another way than those before. */
const EXTRA = 3;
const SLOTS = ['', '_momentum', '_velocity', '_gradient'] as const;
type Slot = (typeof SLOTS)[number];
/** What a shard changes, by name: in which slot it lies, and whether it is the kernel of each row or the bias behind it. */
const STATES = new Map(
  ['kernel0', 'bias0'].flatMap((variable) =>
    SLOTS.slice(0, 3).map((slot) => [variable + slot, { slot, isKernel: variable === 'kernel0' }] as const),
  ),
);

/** @returns the states of one head of so many */
export const statesOf = (states: ShardStates, head: number, heads: number): ShardStates =>
  Object.fromEntries(
    Object.entries(states).map(([name, values]) => {
      const size = values.length / heads;
      return [name, values.slice(head * size, (head + 1) * size)];
    }),
  );

/** @returns the states of several heads as those of their shard, as far as there are any */
export function joinStates(states: readonly ShardStates[]): ShardStates {
  const joined: Record<string, Float32Array> = {};
  for (const [name, { length }] of Object.entries(states[0] ?? {})) {
    const values = new Float32Array(states.length * length);
    states.forEach((one, head) => {
      values.set(one[name] as Float32Array, head * length);
    });
    joined[name] = values;
  }
  return joined;
}

/** Goes over the rows of what a shard changes, each where it lies. */
function eachRow(
  name: string,
  { d }: PackSpec,
  slots: Readonly<Record<Slot, Float32Array>>,
  visit: (row: Float32Array, i: number, width: number) => void,
): void {
  const state = STATES.get(name);
  if (state === undefined) throw new TypeError(`no state of a shard: ${name}`);
  const values = slots[state.slot];
  const row = rowOf(d);
  const [from, width] = state.isKernel ? [0, d] : [d, 1];
  for (let i = 0; i < values.length / row; i++) {
    visit(values.subarray(i * row + from, i * row + from + width), i, width);
  }
}

interface Bound {
  readonly feeds: Record<string, ort.Tensor>;
  readonly outputs: Record<string, ort.Tensor>;
  readonly targets: Float32Array;
  readonly logits: Float32Array;
}

/**
 * Heads of one spec that one thread trains together: their products in the engine, a minibatch a call, then Adam in one pass over
 * the weights. An epoch within the engine takes a dozen passes over them, which is what many heads would spend most of their time on.
 */
export class Shard {
  private readonly bounds = new Map<string, Bound>();

  private constructor(
    private readonly given: Omit<ShardSpec, 'states'>,
    private readonly products: ort.InferenceSession,
    private readonly losses: ort.InferenceSession,
    private readonly run: AdamStep,
    /** In the memory of `run`: rows of kernel, bias and zeros, `[heads · units, rowOf(d)]`. */
    private readonly slots: Readonly<Record<Slot, Float32Array>>,
  ) {}

  static async create({ states, ...given }: ShardSpec): Promise<Shard> {
    const { spec, heads } = given;
    const size = heads * spec.units * rowOf(spec.d);
    const { memory, run } = adamSteps(4 * SLOTS.length * size);
    const slots = Object.fromEntries(
      SLOTS.map((slot, i) => [slot, new Float32Array(memory.buffer, 4 * i * size, size)]),
    ) as Record<Slot, Float32Array>;
    for (const [name, values] of Object.entries(states)) {
      eachRow(name, spec, slots, (row, i, width) => {
        row.set(values.subarray(i * width, (i + 1) * width));
      });
    }
    const products = await createSession(stepGraph(spec), { threads: 1 });
    return new Shard(given, products, await createSession(lossGraph(spec), { threads: 1 }), run, slots);
  }

  get heads(): number {
    return this.given.heads;
  }

  /**
   * Takes the minibatches of a chunk.
   * @param x `[any, rowOf(d)]`, which begins with their vectors, one minibatch after the other; a 1 and zeros behind each
   * @returns `[steps, heads]`, losses summed over rows, each minibatch measured before its step
   */
  async take(chunk: ShardChunk, x: Float32Array): Promise<Float32Array> {
    const { steps, size } = chunk;
    const { heads, spec } = this.given;
    const each = size * heads * spec.units;
    const logits = new Float32Array((steps + Math.ceil(EXTRA / each)) * each);
    const row = rowOf(spec.d);
    const length = size * row;
    for (let step = 0; step < steps; step++) {
      await this.step(chunk, step, tensor(x.subarray(step * length, (step + 1) * length), [size, row]), logits);
    }
    return this.lossesOf(chunk, logits);
  }

  private async step(chunk: ShardChunk, step: number, x: ort.Tensor, logits: Float32Array): Promise<void> {
    const { given, run } = this;
    const { spec, heads, l2 } = given;
    const { steps, size, targets, rates, keeps } = chunk;
    const per = targets.length / steps;
    const bound = this.bound(size, per / size / targetWidth(spec));
    bound.targets.set(targets.subarray(step * per, (step + 1) * per));
    bound.feeds.x = x;
    await runInto(this.products, bound.feeds, bound.outputs);
    logits.set(bound.logits, step * bound.logits.length);
    const share = 1 / (size * (spec.ending === 'softmax' ? 1 : spec.units));
    const row = rowOf(spec.d);
    const at = SLOTS.map((slot) => this.slots[slot].byteOffset) as [number, number, number, number];
    for (let head = 0; head < heads; head++) {
      const penalty = l2[head] as number;
      const [rate, keep] = [rates[step * heads + head] as number, keeps[step * heads + head] as number];
      const update = (from: number, count: number, l2: number): void => {
        const [weights, momentum, velocity, gradient] = at;
        const by = 4 * from;
        run.step(weights + by, momentum + by, velocity + by, gradient + by, count, rate, l2, keep, share);
      };
      const first = head * spec.units * row;
      if (penalty === 0) {
        update(first, spec.units * row, 0);
        continue;
      }
      for (let from = first; from < first + spec.units * row; from += row) {
        update(from, spec.d, penalty);
        update(from + spec.d, row - spec.d, 0);
      }
    }
  }

  private async lossesOf({ steps, size, targets }: ShardChunk, logits: Float32Array): Promise<Float32Array> {
    const { spec, heads } = this.given;
    const width = targetWidth(spec);
    const units = isFlatHead(spec) ? [] : [spec.units];
    const all = logits.length / (size * heads * spec.units);
    const wanted = new Float32Array((targets.length / steps) * all);
    wanted.set(targets);
    const result = await runSession(
      this.losses,
      this.known(this.losses, {
        ...this.fixed(),
        logits: tensor(logits, [all, heads, ...units, size]),
        targets_all: tensor(wanted, [
          ...[all, targets.length / (steps * size * width)],
          ...(isFlatHead(spec) ? [] : [width]),
          size,
        ]),
      }),
    );
    const losses = result(this.losses.outputNames[0] as string).data as Float32Array;
    const each = losses.length / (all * heads);
    const sums = new Float32Array(steps * heads);
    for (let i = 0, at = 0; i < sums.length; i++) {
      let sum = 0;
      for (const end = at + each; at < end; at++) sum += losses[at] as number;
      sums[i] = sum;
    }
    return sums;
  }

  /** @returns copies by name. @param names default: all */
  states(names: readonly string[] = [...STATES.keys()]): ShardStates {
    const { heads, spec } = this.given;
    return Object.fromEntries(
      names.map((name) => {
        const values = new Float32Array(heads * spec.units * (STATES.get(name)?.isKernel ? spec.d : 1));
        eachRow(name, spec, this.slots, (row, i, width) => {
          values.set(row, i * width);
        });
        return [name, values];
      }),
    );
  }

  async release(): Promise<void> {
    await Promise.all([this.products.release(), this.losses.release()]);
  }

  /** Tensors of a minibatch's size, made once: all but the rows lie where they are. */
  private bound(size: number, targetCount: number): Bound {
    const key = `${size} ${targetCount}`;
    const known = this.bounds.get(key);
    if (known) return known;
    const { spec, heads } = this.given;
    const rows = heads * spec.units;
    const width = targetWidth(spec);
    const flat = isFlatHead(spec);
    const targets = new Float32Array(targetCount * width * size);
    const logits = new Float32Array(rows * size);
    const view = (slot: Slot) => tensor(this.slots[slot], [rows, rowOf(spec.d)]);
    const bound: Bound = {
      targets,
      logits,
      feeds: this.known(this.products, {
        ...this.fixed(),
        targets: tensor(targets, [targetCount, ...(flat ? [] : [width]), size]),
        weights: view(''),
        apart: shape(heads, spec.units, size),
        joined: shape(rows, size),
      }),
      outputs: {
        logits: tensor(logits, flat ? [heads, size] : [heads, spec.units, size]),
        gradient: view('_gradient'),
      },
    };
    this.bounds.set(key, bound);
    return bound;
  }

  /** What is the same in every step. */
  private fixed(): Record<string, ort.Tensor> {
    const { spec, scaling, numbers } = this.given;
    const row = rowOf(spec.d);
    /** What leaves as it is what stands behind a vector. */
    const wide = (values: Float32Array, rest: number) => {
      const padded = new Float32Array(row).fill(rest);
      padded.set(values);
      return tensor(padded, [row]);
    };
    return {
      ...(scaling ? { mean: wide(scaling.mean, 0), inverse: wide(scaling.inverse, 1) } : {}),
      ...Object.fromEntries(Object.entries(numbers).map(([name, { values, dims }]) => [name, tensor(values, dims)])),
    };
  }

  private known(session: ort.InferenceSession, feeds: Record<string, ort.Tensor>): Record<string, ort.Tensor> {
    const names = new Set(session.inputNames);
    return Object.fromEntries(Object.entries(feeds).filter(([name]) => names.has(name)));
  }
}
