import type ort from '../../engine/onnx/runtime.js';
import { createSession } from '../../engine/onnx/session.js';
import { HeadError } from '../../errors.js';
import { Nodes, value } from '../../formats/onnx/nodes.js';
import { runSession, tensor } from '../onnx/tensors.js';
import { memoryVectors } from '../vectors.js';
import { fitLda } from './lda.js';
import { checkFinite, dot, inverseOf, subtract, subtractTwo, timesTwo, varianceOf } from './low-rank.js';
import { sharpness, smoothed } from './probabilities.js';
import { type Matrix, matrix, Products } from './products.js';
import { gathered, Rows } from './rows.js';

/** What `IncrementalLda` begins with. */
export interface IncrementalLdaOptions {
  /** Classes there are; they are known by their numbers, from 0. */
  readonly classes: number;
  /** Class of each vector; -1 of those without a label. Default: none has one. */
  readonly labels?: ArrayLike<number>;
  /** What stays fixed between refreshes, as another one has it. Default: found from the labels. */
  readonly fixed?: FixedShrinkage;
  /** Of the engine. Default: as many as the machine offers. */
  readonly threads?: number;
}

/** What a low-rank step leaves as it is. */
export interface FixedShrinkage {
  /** What is added to the scatter within the classes, on its diagonal. */
  readonly penalty: number;
  /** What scores by the inverse of the two are multiplied by. */
  readonly factor: number;
}

interface ClassState {
  count: number;
  readonly mean: Float64Array;
  /** The inverse times the mean. */
  readonly solved: Float64Array;
}

/** A change of the scatter by `weight u u'`. */
interface Change {
  readonly k: number;
  readonly u: Float64Array;
  readonly weight: number;
  /** What the mean of the class moves by, in parts of `u`. */
  readonly move: number;
}

/**
 * Linear discriminants of vectors whose labels come one by one: class means and the inverse of the scatter within the classes are
 * kept, and a label that is given, changed or taken away is a step of low rank on them, in `O(d²)`. The shrinkage of `lda` with
 * `trace`, and the factor that makes probabilities of scores, stay what they were at the last `refresh`.
 */
export class IncrementalLda {
  private stale = false;

  private constructor(
    /** `[n, d]` */
    private readonly x: Float32Array,
    /** Size of a vector. */
    readonly d: number,
    private readonly states: readonly ClassState[],
    private readonly labels: Int32Array,
    /** Of the scatter and the penalty, `[d, d]`. */
    private inverse: Float64Array,
    private shrinkage: FixedShrinkage,
    private readonly session: ort.InferenceSession,
    private readonly threads: number | undefined,
  ) {}

  /**
   * @param x `[n, d]`, used where it lies
   * @throws TypeError for sizes or labels that do not fit; CacheError for vectors that are not finite; HeadError as `lda`
   */
  static async create(x: Float32Array, d: number, options: IncrementalLdaOptions): Promise<IncrementalLda> {
    const { classes, labels, threads, fixed } = options;
    const vectors = memoryVectors(x, d);
    if (!Number.isInteger(classes) || classes < 2) throw new TypeError(`expected 2 classes or more, not ${classes}`);
    if (labels !== undefined && labels.length !== vectors.n) {
      throw new TypeError(`expected ${vectors.n} labels, one a vector, found ${labels.length}`);
    }
    checkFinite(x, d);
    const given = Int32Array.from({ length: vectors.n }, (_, row) => labels?.[row] ?? -1);
    for (const k of given) if (k < -1 || k >= classes) throw noClass(k, classes);
    const nodes = new Nodes();
    nodes.add('MatMul', ['x', 'kernel'], {}, 'scores');
    const session = await createSession(
      {
        name: 'scores',
        nodes: nodes.list,
        initializers: [],
        inputs: [value('x', ['n', d]), value('kernel', [d, 'k'])],
        outputs: [value('scores', ['n', 'k'])],
      },
      threads === undefined ? {} : { threads },
    );
    const states = Array.from({ length: classes }, () => ({
      count: 0,
      mean: new Float64Array(d),
      solved: new Float64Array(d),
    }));
    const none = { penalty: 1, factor: 1 };
    const lda = new IncrementalLda(x, d, states, given, new Float64Array(0), none, session, threads);
    if (fixed === undefined) await lda.refresh();
    else {
      lda.shrinkage = fixed;
      await lda.rebuild();
    }
    return lda;
  }

  /** Vectors. */
  get n(): number {
    return this.labels.length;
  }

  /** What steps leave as it is, until the next `refresh`. */
  get fixed(): FixedShrinkage {
    return this.shrinkage;
  }

  /** @returns the class of a vector; null without a label */
  labelOf(row: number): number | null {
    const k = this.labels[this.rowOf(row)] as number;
    return k < 0 ? null : k;
  }

  /** Gives a vector a label, or another one, or with null none. @throws TypeError for a row or a class that there is not */
  setLabel(row: number, label: number | null): void {
    const old = this.labels[this.rowOf(row)] as number;
    const next = label ?? -1;
    if (!Number.isInteger(next) || next < -1 || next >= this.states.length) throw noClass(next, this.states.length);
    if (next === old) return;
    this.labels[row] = next;
    const changes: Change[] = [];
    if (old >= 0) changes.push(this.removed(row, old));
    if (next >= 0) changes.push(this.added(row, next));
    this.step(changes);
  }

  /**
   * @returns for each vector the probability of each class, `[n, classes]`; of a class without a label 0, and where no class has one
   *   all the same
   */
  async probabilities(): Promise<Float32Array> {
    if (this.stale) await this.rebuild();
    const { d, n, states } = this;
    const { factor } = this.shrinkage;
    const known = [...states.keys()].filter((k) => (states[k] as ClassState).count > 0);
    const found = new Float32Array(n * states.length);
    if (known.length === 0) return found.fill(1 / states.length);
    // Less what all have in common, which would cost digits in float32.
    const [first, ...others] = known as [number, ...number[]];
    const kernel = new Float32Array(d * others.length);
    const origin = states[first] as ClassState;
    const offsets = others.map((k, u) => {
      const { mean, solved, count } = states[k] as ClassState;
      let half = 0;
      for (let j = 0; j < d; j++) {
        const weight = (solved[j] as number) - (origin.solved[j] as number);
        half +=
          ((mean[j] as number) * (solved[j] as number) - (origin.mean[j] as number) * (origin.solved[j] as number)) / 2;
        kernel[j * others.length + u] = factor * weight;
      }
      return factor * (Math.log(count / origin.count) / d - half); // the inverse of `trace` is d times this one
    });
    const scores =
      others.length === 0
        ? new Float32Array(0)
        : ((
            await runSession(this.session, {
              x: tensor(this.x, [n, d]),
              kernel: tensor(kernel, [d, others.length]),
            })
          )('scores').data as Float32Array);
    const row = new Float64Array(known.length);
    for (let i = 0; i < n; i++) {
      let most = 0;
      for (let u = 0; u < others.length; u++) {
        row[u + 1] = (scores[i * others.length + u] as number) + (offsets[u] as number);
        most = Math.max(most, row[u + 1] as number);
      }
      let total = 0;
      for (let u = 0; u < row.length; u++) {
        row[u] = Math.exp((u === 0 ? 0 : (row[u] as number)) - most);
        total += row[u] as number;
      }
      for (const [u, k] of known.entries()) found[i * states.length + k] = (row[u] as number) / total;
    }
    return found;
  }

  /**
   * Finds the shrinkage and the factor anew from the labels that there are, as `lda` with `trace` does, and the inverse with them. Where no
   * two vectors of a class have a label, the penalty is the variance of all vectors.
   */
  async refresh(): Promise<void> {
    const { d, labels, states } = this;
    const rows = Uint32Array.from(labels.keys()).filter((row) => (labels[row] as number) >= 0);
    const y = Uint32Array.from(rows, (row) => labels[row] as number);
    const counts = states.map((_, k) => y.filter((one) => one === k).length);
    const products = new Products(this.threads);
    try {
      const isEnough = counts.some((count) => count > 1) && counts.filter((count) => count > 0).length > 1;
      this.shrinkage = (isEnough ? await this.found(products, rows, y) : null) ?? {
        penalty: varianceOf(this.x, d),
        factor: 1,
      };
    } finally {
      await products.release();
    }
    await this.rebuild();
  }

  /** @returns what `lda` with `trace` finds; null where the vectors of each class are the same */
  private async found(products: Products, rows: Uint32Array, y: Uint32Array): Promise<FixedShrinkage | null> {
    const { d, states } = this;
    const groups = gathered(null, rows.length);
    const every = Math.ceil(rows.length / SAMPLE);
    const unscaled = { normalize: false, standardization: null };
    const problem = {
      ...{ rows: new Rows(memoryVectors(this.x, d), rows, unscaled), y, classes: states.length, weights: null },
      ...{ groups, sample: groups.filter((_, i) => i % every === 0) },
    };
    try {
      const [fit] = await fitLda(products, problem, ['trace']);
      if (fit === undefined || fit.penalty === null || fit.leftOut === null) return null;
      return { penalty: fit.penalty, factor: d * sharpness(fit.leftOut, smoothed(problem, fit.leftOut)).factor };
    } catch (error) {
      if (error instanceof HeadError) return null;
      throw error;
    }
  }

  /** Ends the engine's session. */
  async release(): Promise<void> {
    await this.session.release();
  }

  /** Means and inverse from the labels, with the shrinkage as it is. */
  private async rebuild(): Promise<void> {
    const { x, d, labels, states, shrinkage } = this;
    for (const state of states) {
      state.count = 0;
      state.mean.fill(0);
    }
    for (const [row, k] of labels.entries()) {
      if (k < 0) continue;
      const state = states[k] as ClassState;
      state.count += 1;
      for (let j = 0; j < d; j++) state.mean[j] = (state.mean[j] as number) + (x[row * d + j] as number);
    }
    for (const { mean, count } of states)
      if (count > 0) for (let j = 0; j < d; j++) mean[j] = (mean[j] as number) / count;
    const rows = Uint32Array.from(labels.keys()).filter((row) => (labels[row] as number) >= 0);
    const products = new Products(this.threads);
    try {
      this.inverse = await inverseOf(
        products,
        (from, to) => this.centred(rows.subarray(from, to)),
        rows.length,
        d,
        shrinkage.penalty,
      );
      const means = matrix(states.length, d);
      for (const [k, { mean }] of states.entries()) means.values.set(mean, k * d);
      const solved = await products.multiply(means, matrix(d, d, this.inverse));
      for (const [k, state] of states.entries()) state.solved.set(solved.values.subarray(k * d, (k + 1) * d));
    } finally {
      await products.release();
    }
    this.stale = false;
  }

  private centred(rows: Uint32Array): Matrix {
    const { x, d, labels, states } = this;
    const z = matrix(rows.length, d);
    for (const [i, row] of rows.entries()) {
      const { mean } = states[labels[row] as number] as ClassState;
      for (let j = 0; j < d; j++) z.values[i * d + j] = (x[row * d + j] as number) - (mean[j] as number);
    }
    return z;
  }

  private added(row: number, k: number): Change {
    const { count } = this.states[k] as ClassState;
    return { k, u: this.fromMean(row, k), weight: count / (count + 1), move: 1 / (count + 1) };
  }

  private removed(row: number, k: number): Change {
    const { count } = this.states[k] as ClassState;
    // Of the last one, the mean goes too: u is 0 then, and the state is emptied.
    return {
      k,
      u: this.fromMean(row, k),
      weight: count === 1 ? 0 : -count / (count - 1),
      move: count === 1 ? 0 : -1 / (count - 1),
    };
  }

  /** The vector less the mean of a class, of one without a label the vector itself. */
  private fromMean(row: number, k: number): Float64Array {
    const { x, d } = this;
    const { mean } = this.states[k] as ClassState;
    return Float64Array.from({ length: d }, (_, j) => (x[row * d + j] as number) - (mean[j] as number));
  }

  /** One or two changes of rank one, by Sherman and Morrison's formula, in one pass over the inverse for its products and one to change it. */
  private step(changes: readonly Change[]): void {
    const { d, inverse, states } = this;
    const products = changes.map(() => new Float64Array(d));
    const [first, second] = changes as [Change, Change | undefined];
    timesTwo(inverse, d, first.u, second?.u ?? null, products[0] as Float64Array, products[1] ?? null);
    const shares: number[] = [];
    for (const [i, { k, u, weight, move }] of changes.entries()) {
      const q = products[i] as Float64Array;
      // The second meets the inverse that the first has changed.
      for (let e = 0; e < i; e++)
        subtract(q, (shares[e] as number) * dot(products[e] as Float64Array, u), products[e] as Float64Array);
      const rest = 1 + weight * dot(u, q);
      if (!(rest > SMALLEST)) this.stale = true;
      const share = weight / rest;
      shares.push(share);
      for (const state of states) subtract(state.solved, share * dot(q, state.mean), q);
      const state = states[k] as ClassState;
      for (let j = 0; j < d; j++) {
        state.mean[j] = (state.mean[j] as number) + move * (u[j] as number);
        state.solved[j] = (state.solved[j] as number) + (move / rest) * (q[j] as number);
      }
      state.count += move > 0 ? 1 : -1;
      if (state.count === 0) {
        state.mean.fill(0);
        state.solved.fill(0);
      }
    }
    subtractTwo(inverse, d, shares, products);
  }

  private rowOf(row: number): number {
    if (Number.isInteger(row) && row >= 0 && row < this.n) return row;
    throw new TypeError(`expected a row from 0 to ${this.n - 1}, not ${row}`);
  }
}

/** Rows whose scores without themselves find the factor. */
const SAMPLE = 4096;
/** Part of a direction that may be left before an inverse is made anew. */
const SMALLEST = 1e-10;
const noClass = (k: number, classes: number): TypeError =>
  new TypeError(`expected a class from 0 to ${classes - 1}, or none, not ${k}`);
