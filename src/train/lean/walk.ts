import type { PackSpec } from '../net-spec.js';
import { adamRate } from '../onnx/optimizers.js';
import type { PackedHead } from '../trainer.js';
import type { Kernels } from './kernels.js';
import { lossOfBatch } from './losses.js';

/** Where one thread works; addresses in bytes. */
export interface Desk {
  /** The addresses of the vectors of a minibatch. */
  readonly list: number;
  /** Of each unit and row of it. */
  readonly logits: number;
  readonly gradient: number;
}

/** Where what training changes of a head lies: kernel and bias, one behind the other, and the same of both moments. */
export interface HeadPlace {
  readonly weights: number;
  readonly momentum: number;
  readonly velocity: number;
}

/** A head on its way through the rows of an epoch. */
export interface WalkingHead
  extends HeadPlace,
    Pick<PackedHead, 'weightDecay' | 'l2' | 'labelSmoothing' | 'classWeights'> {
  readonly targets: ArrayLike<number>;
  /** 1 for the rows of the source that are its own; null for all. */
  readonly seen: Uint8Array | null;
  /** Learning rates of the steps of this epoch, at least so many. */
  readonly rates: Float64Array;
  /** Steps before it. */
  readonly taken: number;
}

/** What one thread does of an epoch; all of it can be sent to another. */
export interface WalkSpec {
  readonly spec: PackSpec;
  readonly batchSize: number;
  readonly desk: Desk;
  readonly heads: readonly WalkingHead[];
}

/** What came of it, by head. */
export interface Walked {
  /** Losses, summed over units and rows. */
  readonly sums: Float64Array;
  readonly steps: Uint32Array;
}

/** Heads that see the same rows. */
interface Group {
  readonly seen: Uint8Array | null;
  readonly heads: number[];
  /** Addresses of the vectors of the minibatch so far, and their rows. */
  readonly at: number[];
  readonly rows: number[];
}

/** Kernels, and the memory that they work on. */
export interface Machine {
  readonly run: Kernels;
  readonly values: Float32Array;
  readonly words: Uint32Array;
}
export const machineOf = (run: Kernels, buffer: ArrayBufferLike): Machine => ({
  ...{ run, values: new Float32Array(buffer), words: new Uint32Array(buffer) },
});

/** The heads of one thread on their way through the rows of an epoch. What a head becomes does not depend on the others, to the bit. */
export class Walk {
  readonly walked: Walked;
  /** By what they see. */
  private readonly groups: readonly Group[];

  constructor(
    private readonly given: WalkSpec,
    private readonly machine: Machine,
  ) {
    const { heads } = given;
    this.walked = { sums: new Float64Array(heads.length), steps: new Uint32Array(heads.length) };
    this.groups = kindsOf(heads).map((kind) => ({
      ...{ seen: kind, at: [], rows: [] },
      heads: [...heads.keys()].filter((head) => heads[head]?.seen === kind),
    }));
  }

  /** Goes on with these rows. @param addresses of their vectors */
  take(addresses: Uint32Array, rows: Uint32Array): void {
    for (const group of this.groups) {
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i] as number;
        if (group.seen !== null && group.seen[row] !== 1) continue;
        group.at.push(addresses[i] as number);
        if (group.rows.push(row) === this.given.batchSize) this.step(group);
      }
    }
  }

  /** Moves the vectors of minibatches that are not full away from where others come. @param to addresses, a place for each kind */
  carry(to: readonly number[], stride: number): void {
    const { values } = this.machine;
    for (const [g, group] of this.groups.entries()) {
      for (const [i, from] of group.at.entries()) {
        const at = (to[g] as number) + i * stride;
        if (from !== at) values.copyWithin(at / 4, from / 4, from / 4 + this.given.spec.d);
        group.at[i] = at;
      }
    }
  }

  /** Takes the minibatches that are not full. */
  end(): Walked {
    for (const group of this.groups) if (group.rows.length > 0) this.step(group);
    return this.walked;
  }

  /** One minibatch of the heads of a group, which is empty then. */
  private step(group: Group): void {
    const { spec, desk, heads } = this.given;
    const { d, units, weightDecay } = spec;
    const { run, values, words } = this.machine;
    const { sums, steps } = this.walked;
    const size = group.rows.length;
    const kernel = 4 * d * units;
    words.set(group.at, desk.list / 4);
    for (const h of group.heads) {
      const head = heads[h] as WalkingHead;
      const { weights, momentum, velocity } = head;
      const logits = logitsOf(spec, desk, weights, size, this.machine);
      sums[h] = (sums[h] as number) + lossOfBatch(spec, head, logits, head.targets, group.rows);
      values.set(logits, desk.logits / 4);
      run.clear(desk.gradient, kernel);
      each(spec, size, desk, run.pull8, run.pull1, desk.gradient);
      for (let unit = 0; unit < units; unit++) {
        let sum = 0;
        for (let i = unit * size; i < (unit + 1) * size; i++) sum += values[desk.logits / 4 + i] as number;
        values[(desk.gradient + kernel) / 4 + unit] = sum;
      }
      const step = steps[h] as number;
      steps[h] = step + 1;
      const rate = head.rates[step] as number;
      const by = rate * adamRate(head.taken + step + 1);
      const keep = weightDecay ? 1 - rate * head.weightDecay : 1;
      run.step(weights, momentum, velocity, desk.gradient, d * units, by, 2 * head.l2, keep, 1);
      run.step(weights + kernel, momentum + kernel, velocity + kernel, desk.gradient + kernel, units, by, 0, keep, 1);
    }
    group.at.length = 0;
    group.rows.length = 0;
  }
}

/** @returns the different rows that heads see */
export const kindsOf = (heads: readonly Pick<WalkingHead, 'seen'>[]): (Uint8Array | null)[] => [
  ...new Set(heads.map(({ seen }) => seen)),
];

/** @returns `[units, size]`: what a head gives for the vectors in the list, in front of the ending */
function logitsOf(spec: PackSpec, desk: Desk, weights: number, size: number, { run, values }: Machine): Float64Array {
  const { d, units } = spec;
  each(spec, size, desk, run.dots8, run.dots1, weights);
  const logits = new Float64Array(units * size);
  for (let i = 0; i < logits.length; i++) {
    const bias = values[weights / 4 + d * units + Math.floor(i / size)] as number;
    logits[i] = (values[desk.logits / 4 + i] as number) + bias;
  }
  return logits;
}

/** Calls a kernel for each unit and 8 vectors, or one, of the list. @param of address of what each unit has */
function each(
  { d, units }: PackSpec,
  size: number,
  { list, logits }: Desk,
  eight: Kernels['dots8'],
  one: Kernels['dots1'],
  of: number,
): void {
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

/** How well a head does: sums over rows. */
export interface Measured {
  /** Without class weights and label smoothing. */
  readonly loss: number;
  /** Right answers, of several sigmoids the share; NaN of `linear`. */
  readonly hits: number;
}

const PLAIN = { labelSmoothing: 0, classWeights: null };

/** What one thread measures of a head. */
export interface MeasureSpec extends Pick<WalkSpec, 'spec' | 'batchSize' | 'desk'> {
  readonly weights: number;
  readonly targets: ArrayLike<number>;
}

/** @param addresses of the vectors of these rows */
export function measure(
  { spec, batchSize, desk, weights, targets }: MeasureSpec,
  addresses: Uint32Array,
  rows: Uint32Array,
  machine: Machine,
): Measured {
  const { units, ending } = spec;
  let [loss, hits] = [0, ending === 'linear' ? Number.NaN : 0];
  for (let from = 0; from < rows.length; from += batchSize) {
    const own = Array.from(rows.subarray(from, from + batchSize));
    machine.words.set(addresses.subarray(from, from + own.length), desk.list / 4);
    const logits = logitsOf(spec, desk, weights, own.length, machine);
    if (ending !== 'linear') hits += hitsOf(spec, logits, targets, own);
    loss += lossOfBatch(spec, PLAIN, logits, targets, own);
  }
  return { loss: ending === 'sigmoid' ? loss / units : loss, hits };
}

function hitsOf(
  { units, ending }: PackSpec,
  logits: Float64Array,
  targets: ArrayLike<number>,
  rows: readonly number[],
): number {
  const size = rows.length;
  let hits = 0;
  for (const [i, row] of rows.entries()) {
    if (ending === 'softmax') {
      let most = 0;
      for (let unit = 1; unit < units; unit++) {
        if ((logits[unit * size + i] as number) > (logits[most * size + i] as number)) most = unit;
      }
      if (most === targets[row]) hits += 1;
      continue;
    }
    let right = 0;
    for (let unit = 0; unit < units; unit++) {
      if (((logits[unit * size + i] as number) > 0 ? 1 : 0) === targets[row * units + unit]) right += 1;
    }
    hits += right / units;
  }
  return hits;
}
