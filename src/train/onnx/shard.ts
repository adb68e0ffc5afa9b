import type ort from '../../engine/onnx/runtime.js';
import { createSession } from '../../engine/onnx/session.js';
import { type PackSpec, targetWidth } from '../net-spec.js';
import type { Scaling } from '../trainer.js';
import { type AdamStep, adamSteps } from './adam-wasm.js';
import { isFlatHead } from './head-losses.js';
import type { Values } from './head-numbers.js';
import { lossGraph, stepGraph } from './step-graph.js';
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

/** Minibatches of zeros behind a chunk's: the engine takes the logarithms of up to three last values another way than those before. */
const EXTRA = 2;
const VARIABLES = ['kernel0', 'bias0'] as const;
const SLOTS = ['', '_momentum', '_velocity', '_gradient'] as const;
/** The names of what a shard changes. */
const STATES: readonly string[] = VARIABLES.flatMap((name) => SLOTS.slice(0, 3).map((slot) => name + slot));

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

/** Where a variable of the first head lies: the addresses of its weights, moments and gradient; those of the others follow. */
interface Place {
  readonly at: readonly [number, number, number, number];
  readonly count: number;
  readonly isKernel: boolean;
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
  private readonly places: readonly Place[];

  private constructor(
    private readonly given: Omit<ShardSpec, 'states'>,
    private readonly products: ort.InferenceSession,
    private readonly losses: ort.InferenceSession,
    private readonly run: AdamStep,
    /** In the memory of `run`. */
    private readonly values: ShardStates,
  ) {
    this.places = VARIABLES.map((name) => ({
      at: SLOTS.map((slot) => (values[name + slot] as Float32Array).byteOffset) as [...Place['at']],
      count: (values[name] as Float32Array).length / given.heads,
      isKernel: name === 'kernel0',
    }));
  }

  static async create({ states, ...given }: ShardSpec): Promise<Shard> {
    const { spec, heads } = given;
    const sizes = { kernel0: heads * spec.units * spec.d, bias0: heads * spec.units };
    const { memory, run } = adamSteps(4 * SLOTS.length * (sizes.kernel0 + sizes.bias0));
    const values: Record<string, Float32Array> = {};
    let at = 0;
    for (const name of VARIABLES) {
      for (const slot of SLOTS) {
        const part = new Float32Array(memory.buffer, at, sizes[name]);
        part.set(states[name + slot] ?? []);
        values[name + slot] = part;
        at += part.byteLength;
      }
    }
    const products = await createSession(stepGraph(spec), { threads: 1 });
    return new Shard(given, products, await createSession(lossGraph(spec), { threads: 1 }), run, values);
  }

  get heads(): number {
    return this.given.heads;
  }

  /**
   * Takes the minibatches of a chunk.
   * @param x `[any, d]`, which begins with their vectors, one minibatch after the other
   * @returns `[steps, heads]`, losses summed over rows, each minibatch measured before its step
   */
  async take(chunk: ShardChunk, x: Float32Array): Promise<Float32Array> {
    const { steps, size } = chunk;
    const { heads, spec } = this.given;
    const logits = new Float32Array((steps + EXTRA) * size * heads * spec.units);
    const length = size * spec.d;
    for (let step = 0; step < steps; step++) {
      await this.step(chunk, step, tensor(x.subarray(step * length, (step + 1) * length), [size, spec.d]), logits);
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
    for (const { at, count, isKernel } of this.places) {
      const [weights, momentum, velocity, gradient] = at;
      for (let head = 0; head < heads; head++) {
        const offset = 4 * head * count;
        const penalty = isKernel ? (l2[head] as number) : 0;
        const [rate, keep] = [rates[step * heads + head] as number, keeps[step * heads + head] as number];
        run.step(
          weights + offset,
          momentum + offset,
          velocity + offset,
          gradient + offset,
          count,
          rate,
          penalty,
          keep,
          share,
        );
      }
    }
  }

  private async lossesOf({ steps, size, targets }: ShardChunk, logits: Float32Array): Promise<Float32Array> {
    const { spec, heads } = this.given;
    const width = targetWidth(spec);
    const units = isFlatHead(spec) ? [] : [spec.units];
    const all = steps + EXTRA;
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
    return Float32Array.from({ length: steps * heads }, (_, i) => {
      let sum = 0;
      for (let k = i * each; k < (i + 1) * each; k++) sum += losses[k] as number;
      return sum;
    });
  }

  /** @returns copies by name. @param names default: all */
  states(names: readonly string[] = STATES): ShardStates {
    return Object.fromEntries(names.map((name) => [name, (this.values[name] as Float32Array).slice()]));
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
    const dims: Record<string, readonly number[]> = { kernel0: [rows, spec.d], bias0: [rows, 1] };
    const view = (name: (typeof VARIABLES)[number], slot: '' | '_gradient') =>
      tensor(this.values[name + slot] as Float32Array, dims[name] as readonly number[]);
    const bound: Bound = {
      targets,
      logits,
      feeds: this.known(this.products, {
        ...this.fixed(),
        targets: tensor(targets, [targetCount, ...(flat ? [] : [width]), size]),
        ones: tensor(new Float32Array(2 * size).fill(1), [size, 2]),
        kernel0: view('kernel0', ''),
        bias0: view('bias0', ''),
        apart: shape(heads, spec.units, size),
        joined: shape(rows, size),
      }),
      outputs: {
        logits: tensor(logits, flat ? [heads, size] : [heads, spec.units, size]),
        kernel0_gradient: view('kernel0', '_gradient'),
        bias0_gradient: view('bias0', '_gradient'),
      },
    };
    this.bounds.set(key, bound);
    return bound;
  }

  /** What is the same in every step. */
  private fixed(): Record<string, ort.Tensor> {
    const { spec, scaling, numbers } = this.given;
    return {
      ...(scaling ? { mean: tensor(scaling.mean, [spec.d]), inverse: tensor(scaling.inverse, [spec.d]) } : {}),
      ...Object.fromEntries(Object.entries(numbers).map(([name, { values, dims }]) => [name, tensor(values, dims)])),
    };
  }

  private known(session: ort.InferenceSession, feeds: Record<string, ort.Tensor>): Record<string, ort.Tensor> {
    const names = new Set(session.inputNames);
    return Object.fromEntries(Object.entries(feeds).filter(([name]) => names.has(name)));
  }
}
