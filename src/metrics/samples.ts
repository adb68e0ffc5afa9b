import { CALIBRATION_BINS } from './calibration.js';
import type { Ranking } from './ranking.js';
import { type SamplePasses, samplePasses } from './samples-wasm.js';

/** Areas under the curves of one class; NaN for what needs positives, or negatives, that were not drawn. */
export interface Areas {
  /**
   * ROC: the probability that a positive scores above a negative, ties counting half (Mann and Whitney 1947).
   */
  readonly auc: number;
  /** Precision and recall: the sum over distinct scores of precision times the gain in recall, as scikit-learn's `average_precision_score`. */
  readonly averagePrecision: number;
}

/** What is summed over the examples of one class each. */
export interface ClassSums {
  /** All that were drawn. */
  readonly total: number;
  /** Their losses. */
  readonly loss: number;
  /** By true class (row) and answer (column), flat. */
  readonly confusion: Float64Array;
  /** Gaps by bin of the calibration. */
  readonly gaps: Float64Array;
}

/** What `ClassSums` are summed of, a value an example. */
export interface ClassFacts {
  /** Its place in the confusion, of as many as `cells`. */
  readonly cell: ArrayLike<number>;
  readonly cells: number;
  readonly bin: ArrayLike<number>;
  readonly loss: ArrayLike<number>;
  readonly gap: ArrayLike<number>;
}

/** Two samples of the same examples. */
export type Two<T> = readonly [T, T];

/** Bytes for 0, 1, ½ and what a pass gives. */
const GIVEN = 96;

/** Two samples at once, in one pass over the examples for both; what comes of a sample does not depend on the other, to the bit. */
export class Samples {
  /** How often each example counts in either sample: to be filled before anything is measured. */
  readonly counts: Two<Uint32Array>;
  private readonly buffer: ArrayBuffer;
  private readonly run: SamplePasses;
  private readonly orders: readonly number[];
  private readonly facts: { readonly at: readonly [number, number, number, number]; readonly sums: number } | null;

  /** @param facts where sums are asked for */
  constructor(
    private readonly n: number,
    rankings: readonly Ranking[],
    private readonly known: ClassFacts | null = null,
  ) {
    let bytes = GIVEN;
    const taken = (size: number): number => {
      const at = bytes;
      bytes += Math.ceil(size / 16) * 16;
      return at;
    };
    const counts = [taken(4 * n), taken(4 * n)] as const;
    this.orders = rankings.map(() => taken(4 * n));
    this.facts = known && {
      at: [taken(4 * n), taken(4 * n), taken(8 * n), taken(8 * n)],
      sums: taken(16 * (known.cells + CALIBRATION_BINS)),
    };
    const { memory, run } = samplePasses(bytes);
    this.run = run;
    this.buffer = memory.buffer;
    this.counts = [new Uint32Array(this.buffer, counts[0], n), new Uint32Array(this.buffer, counts[1], n)];
    new Float64Array(this.buffer, 0, 3).set([0, 1, 0.5]);
    for (const [k, { order, tied, positive }] of rankings.entries()) {
      const entries = new Uint32Array(this.buffer, this.orders[k], n);
      for (let at = 0; at < n; at++) {
        entries[at] = 8 * (order[at] as number) + 2 * (positive[at] as number) + (tied[at] as number);
      }
    }
    if (known === null || this.facts === null) return;
    const { at, sums } = this.facts;
    const [cell, bin] = [new Uint32Array(this.buffer, at[0], n), new Uint32Array(this.buffer, at[1], n)];
    for (let i = 0; i < n; i++) {
      cell[i] = sums + 16 * (known.cell[i] as number);
      bin[i] = sums + 16 * (known.cells + (known.bin[i] as number));
    }
    new Float64Array(this.buffer, at[2], n).set(known.loss);
    new Float64Array(this.buffer, at[3], n).set(known.gap);
  }

  /** @param k number of the ranking */
  areas(k: number): Two<Areas> {
    const [first, second] = this.counts;
    this.run.areas(this.orders[k] as number, first.byteOffset, second.byteOffset, this.n, 0);
    const given = new Float64Array(this.buffer, 32, 8);
    const of = (lane: number): Areas => {
      const [above, all, pairs, precisions] = [0, 2, 4, 6].map((at) => given[at + lane] as number) as [
        ...[number, number, number, number],
      ];
      const below = all - above;
      return {
        auc: above > 0 && below > 0 ? pairs / above / below : Number.NaN,
        averagePrecision: above > 0 ? precisions / above : Number.NaN,
      };
    };
    return [of(0), of(1)];
  }

  /** @throws TypeError where no facts were given */
  sums(): Two<ClassSums> {
    const { known, facts } = this;
    if (known === null || facts === null) throw new TypeError('there is nothing to sum');
    const lanes = new Float64Array(this.buffer, facts.sums, 2 * (known.cells + CALIBRATION_BINS)).fill(0);
    const [first, second] = this.counts;
    this.run.sums(...facts.at, first.byteOffset, second.byteOffset, this.n, 32);
    const given = new Float64Array(this.buffer, 32, 4);
    const of = (lane: number): ClassSums => {
      const own = new Float64Array(lanes.length / 2);
      for (let i = 0; i < own.length; i++) own[i] = lanes[2 * i + lane] as number;
      return {
        total: given[lane] as number,
        loss: given[2 + lane] as number,
        confusion: own.subarray(0, known.cells),
        gaps: own.subarray(known.cells),
      };
    };
    return [of(0), of(1)];
  }
}
