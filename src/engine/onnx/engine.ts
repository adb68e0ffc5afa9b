import path from 'node:path';
import { EngineError } from '../../errors.js';
import { bytesOf, type OnnxGraph, type OnnxTensor, type ValueInfo, writeModel } from '../../formats/onnx/write.js';
import type { Graph } from '../../graph/graph.js';
import { collectGarbage } from '../collect.js';
import type { Engine, LoadOptions, Runner, Scratch } from '../engine.js';
import { type Compiled, compile } from './compile.js';
import { LanedRunner } from './lanes.js';
import { type Feeding, oneByOne, product, SessionRunner } from './runner.js';
import type ort from './runtime.js';
import { openSession, runtimeVersion, type SessionOptions } from './session.js';

/** Runs layer graphs with onnxruntime. */
export const onnxEngine: Engine = {
  name: 'onnx',
  version: runtimeVersion,
  optimizes: true,

  async load(graph, options = {}): Promise<Runner> {
    const { input = 'float32' } = options;
    const pair = graph.nodes.some((node) => node.op.kind === 'Dense');
    const shape = inputShape(graph);
    return openBeside<Compiled, Runner>(
      weightBytes(graph) < LARGE ? {} : options,
      (keep) => compile(graph, keep ? { ...options, keep } : options),
      ({ graph: made, outputs: asked }, beside) =>
        runnerOf(
          writeModel(made),
          { asked, shape, input, pair },
          { ...sessionOptions(options), ...beside },
          options.lanes,
        ),
    );
  },

  async loadOnnx({ graph, imports, batched }, options = {}): Promise<Runner> {
    const sizes = ({ dims }: ValueInfo): number[] => dims.slice(1).map(Number);
    const [images, output] = [graph.inputs[0], graph.outputs[0]];
    if (!images || !output) throw new EngineError('the model has no input or no output');
    const pair = batched && graph.nodes.some(({ op }) => op === 'Gemm' || op === 'MatMul');
    const input = images.type === 'uint8' ? 'uint8' : 'float32';
    const asked = [{ name: output.name, shape: sizes(output) }];
    const feeding: Feeding = { asked, shape: sizes(images), input, pair };
    const runner = await openLarge(graph, options, (made, given) =>
      runnerOf(writeModel(made, {}, imports), feeding, given, options.lanes),
    );
    return batched ? runner : oneByOne(runner);
  },
};

/**
 * @returns a session of an ONNX graph; the weights of a large one go to it through `scratch`
 * @throws EngineError when the device is absent, or the graph cannot be run
 */
export const openOnnxGraph = (
  graph: OnnxGraph,
  options: LoadOptions & Pick<SessionOptions, 'imports'>,
): Promise<ort.InferenceSession> =>
  openLarge(graph, options, (made, beside) => openSession(writeModel(made, {}, options.imports), beside));

function openLarge<Session>(
  graph: OnnxGraph,
  options: LoadOptions,
  load: (made: OnnxGraph, options: SessionOptions) => Promise<Session>,
): Promise<Session> {
  const large = graph.initializers.reduce((sum, tensor) => sum + bytesOf(tensor), 0) >= LARGE;
  return openBeside(
    large ? options : {},
    (keep) => ({ ...graph, initializers: keep ? graph.initializers.map(keep) : graph.initializers }),
    (made, beside) => load(made, { ...sessionOptions(options), ...beside }),
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

/** In the calling thread; where more than one lane is asked for, each in its own. */
async function runnerOf(model: Uint8Array, feeding: Feeding, options: SessionOptions, lanes = 1): Promise<Runner> {
  const laned = lanes === 1 ? null : await LanedRunner.open(model, options, feeding, lanes);
  return laned ?? new SessionRunner(await openSession(model, options), feeding);
}

const sessionOptions = ({ device, threads, optimize = true }: LoadOptions): SessionOptions => ({
  ...(device ? { device } : {}),
  ...(threads === undefined ? {} : { threads }),
  optimize,
});

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

function inputShape(graph: Graph): number[] {
  const node = graph.nodes.find(({ name }) => name === graph.input);
  return node?.op.kind === 'InputLayer' ? node.op.shape.map((size) => size ?? 0) : [];
}
