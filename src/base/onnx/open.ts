import path from 'node:path';
import ort from '../../engine/onnx/runtime.js';
import { EngineError, ModelError, UsageError } from '../../errors.js';
import { errorCode, readNamed, SteadyFile, whyUnreadable } from '../../files/index.js';
import { type FileInput, MAX_MODEL_BYTES, type OnnxFile, readOnnx } from '../../formats/onnx/read.js';
import { DATA_TYPE, type DataType, type Dim, type OnnxGraph, type OnnxNode } from '../../formats/onnx/write.js';
import { refusePointer } from '../../keras/index.js';
import { Random } from '../../random.js';
import { type Cut, cutOnnx, type Layout, layoutOf } from './cut.js';
import { loadTensors } from './external.js';
import { letGo } from './let-go.js';
import type { OnnxModel } from './model.js';
import { findTap } from './tap.js';
import { inferValues, trialSession } from './values.js';

/** The largest number of values that one image may have at any node. */
const MAX_VALUES = 2 ** 29;
/** How far two images together may come out from each alone, of the largest value: rounding, not another result. */
const SAME = 1e-3;
const TRY_IN = 'permafrost/images';
const TRY_OUT = 'permafrost/tap';

export interface OpenOnnxOptions {
  /** Name of a tensor, or of a node. Default: the last feature tensor. */
  readonly layer?: string;
  /** Tap the model's one output as it is, probabilities too. */
  readonly output?: boolean;
  readonly inputSize?: readonly [height: number, width: number];
}

/** @throws ModelError, of what is called `it`, when the file cannot be read, is empty or larger than any model */
export async function readFileWhole(file: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readNamed(file, MAX_MODEL_BYTES);
  } catch (error) {
    if (errorCode(error) === 'EFBIG') {
      throw new ModelError(
        'it is larger than 2 GiB, which protocol buffers cannot be: export it with its weights in a file of their own',
        { cause: error },
      );
    }
    throw new ModelError(`it ${whyUnreadable(error)}: give the path of an ONNX model`, { cause: error });
  }
  if (bytes.length === 0) throw new ModelError('it is empty: copy or export the model again');
  refusePointer('it', bytes);
  return bytes;
}

const showDims = (dims: readonly Dim[]): string => `(${dims.join(', ')})`;

/** Where the channels of an input stand, and its sizes as one run has them. */
function imageInput(input: FileInput, inputSize: OpenOnnxOptions['inputSize']) {
  const { name, type, dims } = input;
  if (type !== 'float' && type !== 'float16' && type !== 'uint8') {
    throw new ModelError(
      `its input ${name} is ${type ?? 'no tensor'}: give a model that takes an image of float, float16 or uint8 values`,
    );
  }
  if (dims?.length !== 4) {
    throw new ModelError(
      `its input ${name} is ${dims ? showDims(dims) : 'of no stated shape'}: give a model that takes an image, (n, c, h, w) or (n, h, w, c)`,
    );
  }
  const isColour = (dim: Dim | undefined): boolean => dim === 3 || dim === 1;
  const [batch = '?', second, , last] = dims;
  if (isColour(second) === isColour(last)) {
    throw new ModelError(
      `its input ${name} is ${showDims(dims)}, which does not tell where the channels stand: one of the axes 1 and 3 must be 1 or 3, ` +
        'and not both, so export it that way',
    );
  }
  const layout: Layout = isColour(second) ? 'nchw' : 'nhwc';
  const at = layout === 'nchw' ? 2 : 1;
  const channels = Number(layout === 'nchw' ? second : last);
  const own = [dims[at], dims[at + 1]];
  const [height, width] = inputSize ?? own;
  if (typeof height !== 'number' || typeof width !== 'number') {
    throw new UsageError(
      `its input ${name} leaves its size open ${showDims(dims)}: give --input-size, for example 224`,
    );
  }
  const sizes = layout === 'nchw' ? [channels, height, width] : [height, width, channels];
  return {
    name,
    type,
    layout,
    batch,
    sizes,
    channels: channels as 1 | 3,
    height,
    width,
    isOwn: !own.some((size, i) => size !== [height, width][i]),
  };
}

type ImageInput = ReturnType<typeof imageInput>;

/** onnxruntime's reason, in one line. */
const reasonOf = (error: unknown): string => {
  const cause = error instanceof EngineError && error.cause instanceof Error ? error.cause : error;
  const text = (cause instanceof Error ? cause.message : String(cause)).replace(/\s+/g, ' ');
  return text.replace(/\/?onnxruntime_src\S* .*?\) (?=[A-Z])/, '').slice(0, 300); // where in its own source it stood
};

/** What onnxruntime infers without running anything: refuses absurd sizes before any memory is asked for. */
async function checkSizes(graph: OnnxGraph, imports: OnnxFile['imports']): Promise<void> {
  const tap = graph.outputs[0]?.name;
  for (const { name, isTensor, type, shape } of await inferValues(graph, imports)) {
    if (!isTensor) throw new ModelError(`its value ${name} is no tensor, which is not supported: give another --layer`);
    const size = shape.reduce<number>((a, dim) => a * (typeof dim === 'number' && dim > 0 ? dim : 1), 1);
    if (name === tap && !['float32', 'float16'].includes(type)) {
      throw new ModelError(`its tensor ${tap} holds ${type} values: give --layer a tensor of float values`);
    }
    if (size > MAX_VALUES) {
      throw new ModelError(
        `its tensor ${name} would hold ${showDims(shape)} values an image, which is absurd: give a smaller --input-size or another model`,
      );
    }
  }
}

interface Tried {
  /** Of one image. */
  readonly tap: readonly number[];
  readonly batched: boolean;
}

/** Runs two made images alone, and where asked together: shows the tap's shape, and whether images stay apart in a batch. */
async function tryOut(
  graph: OnnxGraph,
  imports: OnnxFile['imports'],
  input: ImageInput,
  together: boolean,
): Promise<Tried> {
  const size = input.sizes.reduce((a, b) => a * b, 1);
  const random = new Random('a base is tried out');
  const scale = input.type === 'uint8' ? 1 : 1 / 128;
  const values = Float32Array.from({ length: size * 2 }, () => Math.floor(random.uniform() * 256) * scale);
  const tap = graph.outputs[0]?.name ?? '';
  const cast = (from: string, to: string, type: DataType): OnnxNode => {
    return { op: 'Cast', inputs: [from], outputs: [to], attributes: { to: { i: DATA_TYPE[type] } } };
  };
  const floats: OnnxGraph = {
    ...graph,
    nodes: [cast(TRY_IN, input.name, input.type), ...graph.nodes, cast(tap, TRY_OUT, 'float')],
    inputs: [{ name: TRY_IN, type: 'float', dims: graph.inputs[0]?.dims ?? [] }],
    outputs: [{ name: TRY_OUT, dims: [] }],
  };
  const session = await trialSession(floats, imports);
  const run = async (from: number, n: number) => {
    const data = values.slice(from * size, (from + n) * size);
    const result = (await session.run({ [TRY_IN]: new ort.Tensor('float32', data, [n, ...input.sizes]) }))[TRY_OUT];
    return { dims: result?.dims ?? [], data: result?.data as Float32Array };
  };
  try {
    const [a, b] = [await run(0, 1), await run(1, 1)];
    const [rows, ...shape] = a.dims;
    if (rows !== 1)
      throw new ModelError(
        `its tensor ${tap} is ${showDims(a.dims)} for one image, where the first axis must be the batch: give another --layer`,
      );
    if (!a.data.every(Number.isFinite)) throw new ModelError(`its tensor ${tap} is not finite: export the model again`);
    if (!together) return { tap: shape, batched: false };
    const both = await run(0, 2).catch(() => null);
    const alone = [...a.data, ...b.data];
    const largest = alone.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const isSame =
      both?.data.length === alone.length &&
      both.dims[0] === 2 &&
      alone.every((value, i) => Math.abs(value - (both.data[i] ?? 0)) <= SAME * largest);
    return { tap: shape, batched: isSame };
  } finally {
    await session.release();
  }
}

/** What of a file is a base, before onnxruntime has seen it. */
interface CutFile {
  readonly imports: OnnxFile['imports'];
  readonly cut: Pick<Cut, 'nodes' | 'output'>;
  readonly initializers: OnnxGraph['initializers'];
  readonly input: ImageInput;
}

/** Reads a file and cuts it at the tap. Nothing holds its bytes then: large weights are read when they are asked for. */
async function readCut(file: string, options: OpenOnnxOptions): Promise<CutFile> {
  const seen = await SteadyFile.look(file).catch(() => null); // where it cannot be read, reading it says why
  const bytes = await readFileWhole(file);
  const parsed = readOnnx(bytes);
  const [first, ...more] = parsed.outputs;
  if (options.output && (first === undefined || more.length > 0)) {
    throw new ModelError(
      `it has ${parsed.outputs.length} outputs, a classifier must have one: give --layer the scores`,
    );
  }
  const cut = cutOnnx(parsed, options.output && first !== undefined ? first : findTap(parsed, options.layer));
  const inputs = parsed.inputs.filter(({ name }) => cut.inputs.includes(name));
  const [image, ...others] = inputs;
  if (image === undefined) throw new ModelError('the tap does not depend on any input: give another --layer');
  if (others.length > 0) {
    throw new ModelError(
      `it takes ${inputs.length} inputs (${cut.inputs.join(', ')}): a base must take one image and nothing else, so tap a tensor that depends on the image alone`,
    );
  }
  const input = imageInput(image, options.inputSize);
  const whole = { nodes: cut.nodes, initializers: await loadTensors(cut.tensors, path.dirname(file)) };
  const isSteady = seen?.size === bytes.length;
  const { nodes, initializers } = isSteady ? letGo(whole, bytes, seen) : whole;
  return { imports: parsed.imports, cut: { nodes, output: cut.output }, initializers, input };
}

/** The cut as onnxruntime shall run it, with the batch open where that can be. */
async function settle({ imports, cut, initializers, input }: CutFile): Promise<OnnxModel> {
  const graphOf = (batch: Dim): OnnxGraph => ({
    name: 'base',
    nodes: cut.nodes,
    initializers,
    inputs: [{ name: input.name, type: input.type, dims: [batch, ...input.sizes] }],
    outputs: [{ name: cut.output, dims: [] }],
  });
  const attempt = async (batch: Dim) => {
    const graph = graphOf(batch);
    await checkSizes(graph, imports);
    return { graph, ...(await tryOut(graph, imports, input, batch !== 1)) };
  };
  const one = (): ReturnType<typeof attempt> => attempt(1);
  // A batch of one that the exporter wrote down is often but a habit; the trial tells.
  let found = await attempt('n').catch((error: unknown) => {
    if (error instanceof ModelError) throw error;
    return one();
  });
  if (!found.batched && found.graph.inputs[0]?.dims[0] !== 1) found = await one();
  const { graph, tap, batched } = found;
  return { graph, imports, layout: input.layout, tap, tapLayout: layoutOf(cut, input.layout), batched };
}

/**
 * Opens an ONNX model as a base: parses it, cuts it at the tap and lets onnxruntime say what comes out there.
 * @returns the cut model, and the size of its images
 * @throws ModelError for what the file holds, UsageError where its size is open and none is given
 */
export async function openOnnx(file: string, options: OpenOnnxOptions) {
  let stage = '';
  try {
    const read = await readCut(file, options);
    const { input, cut } = read;
    stage = input.isOwn
      ? 'onnxruntime cannot run it, so export it again'
      : `onnxruntime cannot run it at --input-size ${input.height}x${input.width}, so give another`;
    const model = await settle(read);
    if (model.tap.length !== 1 && model.tap.length !== 3) {
      throw new ModelError(
        `its tensor ${cut.output} is ${showDims(['n', ...model.tap])}: a tap must be a feature map or a vector, so give another --layer`,
      );
    }
    return { model, height: input.height, width: input.width, channels: input.channels };
  } catch (error) {
    if (error instanceof ModelError) throw new ModelError(`${file}: ${error.message}`, { cause: error });
    if (error instanceof UsageError) throw new UsageError(`${file}: ${error.message}`, { cause: error });
    if (stage === '') throw error;
    throw new ModelError(`${file}: ${stage}: ${reasonOf(error)}`, { cause: error });
  }
}
