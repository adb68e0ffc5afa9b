import path from 'node:path';
import { EngineError } from '../../errors.js';
import type { OnnxTensor, ValueInfo } from '../../formats/onnx/write.js';
import type { Graph } from '../../graph/graph.js';
import { collectGarbage } from '../collect.js';
import type { Engine, LoadOptions, Runner, Scratch } from '../engine.js';
import { type Compiled, type CompileOptions, compile } from './compile.js';
import { INPUT } from './lower.js';
import ort from './runtime.js';
import { createSession, runtimeVersion } from './session.js';

const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);

/** Runs layer graphs with onnxruntime. */
export const onnxEngine: Engine = {
  name: 'onnx',
  version: runtimeVersion,
  optimizes: true,

  async load(graph, options = {}): Promise<Runner> {
    const { input = 'float32' } = options;
    const { session, asked } = await open(graph, options);
    const pair = graph.nodes.some((node) => node.op.kind === 'Dense');
    return new SessionRunner(session, asked, inputShape(graph), input, pair);
  },

  async loadOnnx({ graph, imports, batched }, { device, threads, optimize = true } = {}): Promise<Runner> {
    const options = { ...(device ? { device } : {}), ...(threads === undefined ? {} : { threads }), optimize, imports };
    const session = await createSession(graph, options);
    const sizes = ({ dims }: ValueInfo): number[] => dims.slice(1).map(Number);
    const [images, output] = [graph.inputs[0], graph.outputs[0]];
    if (!images || !output) throw new EngineError('the model has no input or no output');
    const pair = batched && graph.nodes.some(({ op }) => op === 'Gemm' || op === 'MatMul');
    const input = images.type === 'uint8' ? 'uint8' : 'float32';
    const runner = new SessionRunner(
      session,
      [{ name: output.name, shape: sizes(output) }],
      sizes(images),
      input,
      pair,
    );
    return batched ? runner : oneByOne(runner);
  },
};

/** Images through a session whose one input is `INPUT`. */
class SessionRunner implements Runner {
  /**
   * @param pair a matrix product of one row takes another path than that of many and rounds differently; the same image must give
   *   the same bits in any batch, so a single one then goes in twice
   */
  constructor(
    private readonly session: ort.InferenceSession,
    private readonly asked: Compiled['outputs'],
    private readonly shape: readonly number[],
    private readonly input: 'float32' | 'uint8',
    private readonly pair: boolean,
  ) {}

  async run(images: Float32Array | Uint8Array, n: number): Promise<Float32Array[]> {
    const size = product(this.shape);
    if (images.length !== n * size) {
      throw new TypeError(`expected ${n} images of ${this.shape.join(' x ')}, found ${images.length} values`);
    }
    const rows = this.pair && n === 1 ? 2 : n;
    const fed = rows === n ? images : twice(images);
    let results: ort.InferenceSession.OnnxValueMapType;
    try {
      results = await this.session.run({ [INPUT]: new ort.Tensor(this.input, fed, [rows, ...this.shape]) });
    } catch (error) {
      throw new EngineError(`the engine failed: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
    return this.asked.map(({ name, shape }) => {
      const data = results[name]?.data;
      const length = rows * product(shape);
      if (!(data instanceof Float32Array) || data.length !== length) {
        throw new EngineError(`the engine gave no output ${name} of ${length} values`);
      }
      return rows === n ? data : data.subarray(0, n * product(shape));
    });
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

/** For models that take one image only. */
function oneByOne(runner: Runner): Runner {
  return {
    async run(images, n) {
      const size = images.length / n;
      const rows: Float32Array[] = [];
      for (let i = 0; i < n; i++) {
        const [row] = await runner.run(images.slice(i * size, (i + 1) * size), 1);
        if (row) rows.push(row);
      }
      const length = rows[0]?.length ?? 0;
      const all = new Float32Array(length * n);
      for (const [i, row] of rows.entries()) all.set(row, i * length);
      return [all];
    },
    release: () => runner.release(),
  };
}

type OpenOptions = LoadOptions & Pick<CompileOptions, 'outputs' | 'input'>;

interface Opened {
  readonly session: ort.InferenceSession;
  readonly asked: Compiled['outputs'];
}

async function open(graph: Graph, options: OpenOptions): Promise<Opened> {
  const scratch = weightBytes(graph) < LARGE ? undefined : scratchOf(options);
  if (scratch === undefined) return openCompiled(compile(graph, options), options);
  try {
    const compiled = intoScratch(graph, options, scratch);
    await collectGarbage();
    return await openCompiled(compiled ?? compile(graph, options), { ...options, beside: path.dirname(scratch.path) });
  } finally {
    await scratch.remove();
  }
}

/** Only the session outlives this: the compiled graph is as large as the weights. */
async function openCompiled({ graph, outputs }: Compiled, options: OpenOptions & { beside?: string }): Promise<Opened> {
  const { device, threads, optimize = true, beside } = options;
  const session = await createSession(graph, {
    ...(device ? { device } : {}),
    ...(threads === undefined ? {} : { threads }),
    ...(beside === undefined ? {} : { beside }),
    optimize,
  });
  return { session, asked: outputs };
}

/** Bytes of weights from which on a graph's are not held in memory beside the session's own. */
const LARGE = 2 ** 26;
/** Bytes of a constant from which on they are among those. */
const LARGE_CONSTANT = 2 ** 16;

const weightBytes = ({ nodes }: Graph): number =>
  4 * nodes.flatMap(({ weights }) => weights).reduce((sum, { shape }) => sum + product(shape), 0);

/** A disk that takes no file leaves all in memory, as it does where there is none. */
function scratchOf({ scratch }: OpenOptions): Scratch | undefined {
  try {
    return scratch?.();
  } catch {
    return undefined;
  }
}

/** @returns a graph whose large constants are in a file; null where the disk does not take them */
function intoScratch(graph: Graph, options: OpenOptions, scratch: Scratch): Compiled | null {
  let error: unknown;
  const keep = (tensor: OnnxTensor): OnnxTensor => {
    const { length } = tensor.raw;
    if (length < LARGE_CONSTANT) return tensor;
    try {
      const external = { file: path.basename(scratch.path), offset: scratch.add(tensor.raw), length };
      return { ...tensor, raw: new Uint8Array(), external };
    } catch (full) {
      error = full;
      throw full;
    }
  };
  try {
    return compile(graph, { ...options, keep });
  } catch (thrown) {
    if (thrown === error) return null;
    throw thrown;
  }
}

function twice(images: Float32Array | Uint8Array): Float32Array | Uint8Array {
  const both = images instanceof Float32Array ? new Float32Array(images.length * 2) : new Uint8Array(images.length * 2);
  both.set(images);
  both.set(images, images.length);
  return both;
}

function inputShape(graph: Graph): number[] {
  const node = graph.nodes.find(({ name }) => name === graph.input);
  return node?.op.kind === 'InputLayer' ? node.op.shape.map((size) => size ?? 0) : [];
}
