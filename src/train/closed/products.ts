import { availableParallelism } from 'node:os';
import ort from '../../engine/onnx/runtime.js';
import { createSession } from '../../engine/onnx/session.js';
import { Nodes, value } from '../../formats/onnx/nodes.js';
import { int64s, type OnnxGraph } from '../../formats/onnx/write.js';
import { runSession } from '../onnx/tensors.js';

/** Numbers in float64, row after row. */
export interface Matrix {
  readonly values: Float64Array;
  readonly rows: number;
  readonly columns: number;
}

/** @returns a matrix of zeros, or of the values where they lie */
export function matrix(rows: number, columns: number, values: Float64Array = new Float64Array(rows * columns)): Matrix {
  return { values, rows, columns };
}

/** @returns some rows of a matrix, where they lie */
export const rowsOf = ({ values, columns }: Matrix, from: number, to: number): Matrix =>
  matrix(to - from, columns, values.subarray(from * columns, to * columns));

/** Columns of one panel of `Z'Z`: what lies below its diagonal blocks is not computed. */
const PANEL = 512;

type Turn = 'turnA' | 'turnB' | 'none';

/** `a b`, one of the two turned where asked for; `c + factor a b` where there is a `c`. */
function productGraph(turn: Turn, factor: number | null): OnnxGraph {
  const nodes = new Nodes();
  const attributes = {
    transA: { i: turn === 'turnA' ? 1 : 0 },
    transB: { i: turn === 'turnB' ? 1 : 0 },
    ...(factor === null ? {} : { alpha: { f: factor } }),
  };
  nodes.add('Gemm', factor === null ? ['a', 'b'] : ['a', 'b', 'c'], attributes, 'product');
  return {
    name: 'product',
    nodes: nodes.list,
    initializers: [],
    inputs: [
      value('a', ['ar', 'ac'], 'double'),
      value('b', ['br', 'bc'], 'double'),
      ...(factor === null ? [] : [value('c', ['r', 'k'], 'double')]),
    ],
    outputs: [value('product', ['r', 'k'], 'double')],
  };
}

/** A column of engines' own kernel for one: `MatMul` of `[m, k]` by `[k, 1]`. */
function columnGraph(): OnnxGraph {
  const nodes = new Nodes();
  nodes.add('MatMul', ['a', 'b'], {}, 'product');
  return {
    name: 'column',
    nodes: nodes.list,
    initializers: [],
    inputs: [value('a', ['m', 'k'], 'double'), value('b', ['k', 1], 'double')],
    outputs: [value('product', ['m', 1], 'double')],
  };
}

/** `sum + Z[:, from:to]' Z[:, from:]` */
function gramGraph(): OnnxGraph {
  const nodes = new Nodes();
  const left = nodes.add('Slice', ['z', 'from', 'to', 'axis']);
  const right = nodes.add('Slice', ['z', 'from', 'end', 'axis']);
  nodes.add('Gemm', [left, right, 'sum'], { transA: { i: 1 } }, 'product');
  return {
    name: 'gram',
    nodes: nodes.list,
    initializers: [int64s('axis', [1]), int64s('end', [Number.MAX_SAFE_INTEGER])],
    inputs: [
      value('z', ['n', 'd'], 'double'),
      value('from', [1], 'int64'),
      value('to', [1], 'int64'),
      value('sum', ['p', 'q'], 'double'),
    ],
    outputs: [value('product', ['p', 'q'], 'double')],
  };
}

const int64 = (number: number): ort.Tensor => new ort.Tensor('int64', BigInt64Array.of(BigInt(number)), [1]);
const tensor = ({ values, rows, columns }: Matrix): ort.Tensor => new ort.Tensor('float64', values, [rows, columns]);

/** Multiplications that take less time here than it takes to make a session of the engine. */
const FEW = 2 ** 18;
/** Rows of a square matrix whose product by a vector takes less time here than a call of the engine. */
const SHORT = 256;

/** Adds `factor a b`, or `factor a' b`, of small matrices. */
function addSums(c: Matrix, a: Matrix, b: Matrix, isTurned: boolean, factor: number): void {
  const [x, y, out, width] = [a.values, b.values, c.values, c.columns];
  const inner = b.rows;
  for (let i = 0; i < c.rows; i++) {
    const to = i * width;
    for (let k = 0; k < inner; k++) {
      const one = factor * ((isTurned ? x[k * a.columns + i] : x[i * inner + k]) as number);
      const from = k * width;
      for (let j = 0; j < width; j++) out[to + j] = (out[to + j] as number) + one * (y[from + j] as number);
    }
  }
}

/** Adds `factor a b'` of small matrices. */
function addDots(c: Matrix, a: Matrix, b: Matrix, factor: number): void {
  const [x, y, out, inner] = [a.values, b.values, c.values, a.columns];
  for (let i = 0; i < c.rows; i++) {
    for (let j = 0; j < c.columns; j++) {
      const l = i * inner;
      const r = j * inner;
      let even = 0;
      let odd = 0;
      let k = 0;
      for (; k + 1 < inner; k += 2) {
        even += (x[l + k] as number) * (y[r + k] as number);
        odd += (x[l + k + 1] as number) * (y[r + k + 1] as number);
      }
      if (k < inner) even += (x[l + k] as number) * (y[r + k] as number);
      out[i * c.columns + j] = (out[i * c.columns + j] as number) + factor * (even + odd);
    }
  }
}

/** Products of matrices in float64, in the engine; small ones here. */
export class Products {
  private readonly sessions = new Map<string, Promise<ort.InferenceSession>>();

  /** @param threads of the engine. Default: as many as the machine offers */
  constructor(
    private readonly threads = availableParallelism(),
    private readonly signal?: AbortSignal,
  ) {}

  /** @returns `a b` with one of them turned, or `plus.c + plus.factor a b` */
  async multiply(
    a: Matrix,
    b: Matrix,
    turn: Turn = 'none',
    plus: { readonly c: Matrix; readonly factor: number } | null = null,
  ): Promise<Matrix> {
    const rows = turn === 'turnA' ? a.columns : a.rows;
    const columns = turn === 'turnB' ? b.rows : b.columns;
    if (rows === 0 || columns === 0) return matrix(rows, columns);
    if (rows * columns * (turn === 'turnA' ? a.rows : a.columns) <= FEW) {
      const found = matrix(rows, columns, plus?.c.values.slice());
      if (turn === 'turnB') addDots(found, a, b, plus?.factor ?? 1);
      else addSums(found, a, b, turn === 'turnA', plus?.factor ?? 1);
      return found;
    }
    const factor = plus?.factor ?? null;
    const result = await this.run(`${turn} ${factor}`, () => productGraph(turn, factor), {
      a: tensor(a),
      b: tensor(b),
      ...(plus === null ? {} : { c: tensor(plus.c) }),
    });
    return matrix(rows, columns, result);
  }

  /** @returns `a v` */
  async column(a: Matrix, v: Float64Array): Promise<Float64Array> {
    if (a.rows <= SHORT) {
      const found = matrix(a.rows, 1);
      addDots(found, a, matrix(1, v.length, v), 1);
      return found.values;
    }
    return this.run('column', columnGraph, { a: tensor(a), b: tensor(matrix(v.length, 1, v)) }, 1);
  }

  /** @returns `Z'Z`, `[d, d]`, summed over blocks of rows */
  async gram(blocks: AsyncIterable<Matrix>, d: number): Promise<Matrix> {
    const starts = Array.from({ length: Math.ceil(d / PANEL) }, (_, i) => i * PANEL);
    const panels = starts.map((from) => matrix(Math.min(PANEL, d - from), d - from));
    for await (const block of blocks) {
      for (const [i, from] of starts.entries()) {
        const sum = panels[i] as Matrix;
        const feeds = { z: tensor(block), from: int64(from), to: int64(from + sum.rows), sum: tensor(sum) };
        panels[i] = matrix(sum.rows, sum.columns, await this.run('gram', gramGraph, feeds));
      }
    }
    const whole = new Float64Array(d * d);
    for (const [i, from] of starts.entries()) {
      const { values, rows, columns } = panels[i] as Matrix;
      for (let r = 0; r < rows; r++) {
        for (let k = r; k < columns; k++) {
          const one = values[r * columns + k] as number;
          whole[(from + r) * d + from + k] = one;
          whole[(from + k) * d + from + r] = one;
        }
      }
    }
    return matrix(d, d, whole);
  }

  async release(): Promise<void> {
    for (const session of this.sessions.values()) await (await session).release();
    this.sessions.clear();
  }

  private async run(
    key: string,
    graph: () => OnnxGraph,
    feeds: Record<string, ort.Tensor>,
    threads = this.threads,
  ): Promise<Float64Array> {
    this.signal?.throwIfAborted();
    let session = this.sessions.get(key);
    if (session === undefined) {
      session = createSession(graph(), { threads });
      this.sessions.set(key, session);
    }
    return (await runSession(await session, feeds))('product').data as Float64Array;
  }
}
