import path from 'node:path';
import { EngineError } from '../../errors.js';
import { bytesOf, type OnnxGraph, type OnnxTensor, type ValueInfo } from '../../formats/onnx/write.js';
import type { Graph } from '../../graph/graph.js';
import { collectGarbage } from '../collect.js';
import type { Engine, LoadOptions, Runner, Scratch } from '../engine.js';
import { type Compiled, type CompileOptions, compile } from './compile.js';
import { INPUT } from './lower.js';
import ort from './runtime.js';
import { createSession, runtimeVersion, type SessionOptions } from './session.js';

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

  async loadOnnx({ graph, imports, batched }, options = {}): Promise<Runner> {
    const session = await openOnnxGraph(graph, { ...options, imports });
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

function open(graph: Graph, options: OpenOptions): Promise<Opened> {
  return openBeside<Compiled, Opened>(
    weightBytes(graph) < LARGE ? {} : options,
    (keep) => compile(graph, keep ? { ...options, keep } : options),
    async (compiled, beside) => ({
      session: await sessionOf(compiled.graph, { ...options, ...beside }),
      asked: compiled.outputs,
    }),
  );
}

/**
 * @returns a session of an ONNX graph; the weights of a large one go to it through `scratch`
 * @throws EngineError when the device is absent, or the graph cannot be run
 */
export function openOnnxGraph(
  graph: OnnxGraph,
  options: LoadOptions & Pick<SessionOptions, 'imports'>,
): Promise<ort.InferenceSession> {
  const large = graph.initializers.reduce((sum, tensor) => sum + bytesOf(tensor), 0) >= LARGE;
  return openBeside(
    large ? options : {},
    (keep) => ({ ...graph, initializers: keep ? graph.initializers.map(keep) : graph.initializers }),
    (made, beside) => sessionOf(made, { ...options, ...beside }),
  );
}

type Keep = (tensor: OnnxTensor) => OnnxTensor;

/** Opens what is made with its large constants in a file, where there is one to be had that takes them; else all are in memory. */
async function openBeside<Made, Session>(
  options: Pick<LoadOptions, 'scratch'>,
  make: (keep?: Keep) => Made,
  load: (made: Made, beside: { readonly beside?: string }) => Promise<Session>,
): Promise<Session> {
  const scratch = scratchOf(options);
  if (scratch === undefined) return load(make(), {});
  try {
    const made = intoScratch(make, scratch);
    await collectGarbage();
    return await load(made ?? make(), { beside: path.dirname(scratch.path) });
  } finally {
    await scratch.remove();
  }
}

function sessionOf(
  graph: OnnxGraph,
  { device, threads, optimize = true, beside, imports }: LoadOptions & Pick<SessionOptions, 'beside' | 'imports'>,
): Promise<ort.InferenceSession> {
  return createSession(graph, {
    ...(device ? { device } : {}),
    ...(threads === undefined ? {} : { threads }),
    ...(beside === undefined ? {} : { beside }),
    ...(imports === undefined ? {} : { imports }),
    optimize,
  });
}

/** Bytes of weights from which on a graph's are not held in memory beside the session's own. */
const LARGE = 2 ** 26;
/** Bytes of a constant from which on they are among those. */
const LARGE_CONSTANT = 2 ** 16;

const weightBytes = ({ nodes }: Graph): number =>
  4 * nodes.flatMap(({ weights }) => weights).reduce((sum, { shape }) => sum + product(shape), 0);

/** A disk that takes no file leaves all in memory, as it does where there is none. */
function scratchOf({ scratch }: Pick<LoadOptions, 'scratch'>): Scratch | undefined {
  try {
    return scratch?.();
  } catch {
    return undefined;
  }
}

/** Where values of any type may begin in a file. */
const ALIGNED = 64;

/** @returns what is made with its large constants in a file; null where the disk does not take them */
function intoScratch<Made>(make: (keep: Keep) => Made, scratch: Scratch): Made | null {
  let error: unknown;
  const keep = (tensor: OnnxTensor): OnnxTensor => {
    const length = bytesOf(tensor);
    if (length < LARGE_CONSTANT) return tensor;
    try {
      const external = { file: path.basename(scratch.path), offset: scratch.add(tensor.raw), length };
      if (length % ALIGNED > 0) scratch.add(new Uint8Array(ALIGNED - (length % ALIGNED)));
      const { name, type, dims } = tensor;
      return { name, type, dims, raw: new Uint8Array(), external };
    } catch (full) {
      error = full;
      throw full;
    }
  };
  try {
    return make(keep);
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
