import type { OnnxProgram } from '../../engine/engine.js';
import { openOnnxGraph } from '../../engine/onnx/engine.js';
import ort from '../../engine/onnx/runtime.js';
import { createSession } from '../../engine/onnx/session.js';
import { openTemporary, realSystem } from '../../files/index.js';
import { bytesOf, type Imports, type OnnxGraph, type OnnxNode } from '../../formats/onnx/write.js';
import { mostHeld, type Step } from '../../graph/live.js';

/** Bytes of a constant from which on no shape depends on it. */
const LARGE = 2 ** 16;

/** What onnxruntime knows of a value. */
export interface Value {
  readonly name: string;
  readonly isTensor: boolean;
  /** As onnxruntime calls it, such as float32. */
  readonly type: string;
  /** Open sizes are names, or not positive; none at all where it knows nothing. */
  readonly shape: readonly (number | string)[];
}

/**
 * @returns a session of a graph that is run a few times; large weights go to it through a temporary file
 * @throws EngineError where onnxruntime does not take the graph
 */
export const trialSession = async (
  graph: OnnxGraph,
  imports: Imports,
  optimize = true,
): Promise<ort.InferenceSession> =>
  openOnnxGraph(graph, { imports, optimize, scratch: await openTemporary(realSystem) });

const namesOf = (nodes: readonly OnnxNode[]): string[] => [
  ...new Set(nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== ''))),
];

/**
 * What onnxruntime infers of all values of a graph. Nothing is run, and large weights are not loaded.
 * @throws EngineError where it does not take the graph
 */
export async function inferValues(graph: OnnxGraph, imports: Imports): Promise<Value[]> {
  const outputs = namesOf(graph.nodes).map((name) => ({ name, dims: [] }));
  const small = graph.initializers.filter((tensor) => bytesOf(tensor) < LARGE);
  const large = graph.initializers.filter((tensor) => bytesOf(tensor) >= LARGE);
  const inputs = [...graph.inputs, ...large.map(({ name, type, dims }) => ({ name, type, dims }))];
  const options = { imports, optimize: false };
  const session = await createSession({ ...graph, outputs, inputs, initializers: small }, options).catch(() =>
    trialSession({ ...graph, outputs }, imports, false),
  );
  const values = session.outputMetadata.map(
    (value): Value => ({
      name: value.name,
      isTensor: value.isTensor,
      type: value.isTensor ? value.type : '',
      shape: value.isTensor ? value.shape : [],
    }),
  );
  await session.release();
  return values;
}

const TYPES = { float32: Float32Array, uint8: Uint8Array };

/** The shapes of some values of a graph whose one input is `input`, as a run on one black image has them. */
async function measuredShapes(
  graph: OnnxGraph,
  imports: Imports,
  names: readonly string[],
): Promise<Map<string, number[]>> {
  const nodes = names.map((name, i): OnnxNode => ({ op: 'Shape', inputs: [name], outputs: [`permafrost-shape/${i}`] }));
  const outputs = nodes.map((node) => ({ name: node.outputs[0] ?? '', dims: [] }));
  const session = await trialSession({ ...graph, nodes: [...graph.nodes, ...nodes], outputs }, imports, false);
  try {
    const [input] = graph.inputs;
    const dims = input?.dims.map(Number) ?? [];
    const type = input?.type === 'uint8' ? 'uint8' : 'float32';
    const data = new TYPES[type](dims.reduce((a, b) => a * b, 1));
    const results = await session.run({ [input?.name ?? '']: new ort.Tensor(type, data, dims) });
    return new Map(
      names.map((name, i) => [
        name,
        Array.from((results[`permafrost-shape/${i}`]?.data ?? []) as BigInt64Array, Number),
      ]),
    );
  } finally {
    await session.release();
  }
}

/** What is computed value by value, or not at all, so that onnxruntime writes over what it reads. */
const IN_PLACE = [
  'Abs',
  'Add',
  'BatchNormalization',
  'Cast',
  'Clip',
  'Div',
  'Dropout',
  'Elu',
  'Erf',
  'Exp',
  'Flatten',
  'Gelu',
  'HardSigmoid',
  'HardSwish',
  'Identity',
  'LeakyRelu',
  'Mul',
  'Neg',
  'PRelu',
  'Pow',
  'Relu',
  'Reshape',
  'Selu',
  'Sigmoid',
  'Softplus',
  'Sqrt',
  'Squeeze',
  'Sub',
  'Tanh',
  'Unsqueeze',
];

const BYTES: Readonly<Record<string, number>> = { float64: 8, int64: 8, uint64: 8, float16: 2, int16: 2, uint16: 2 };
const ONE_BYTE = ['uint8', 'int8', 'bool'];

const bytesOfValues = (type: string, shape: readonly number[]): number =>
  shape.reduce((a, dim) => a * dim, ONE_BYTE.includes(type) ? 1 : (BYTES[type] ?? 4));

/** Whether all sizes are told; of floats that have none it is taken for not. */
const isKnown = ({ type, shape }: Value): boolean =>
  shape.every((dim) => typeof dim === 'number' && dim >= 0) && (shape.length > 0 || !type.startsWith('float'));

/**
 * @returns the most bytes of one image's values that must be held at once while a program runs; its sizes are those that onnxruntime
 *   infers, or, where it leaves one open, those of a run on one image
 * @throws EngineError where it cannot be run
 */
export async function mostLiveBytes({ graph: open, imports }: OnnxProgram): Promise<number> {
  const graph = { ...open, inputs: open.inputs.map((input) => ({ ...input, dims: [1, ...input.dims.slice(1)] })) };
  const values = await inferValues(graph, imports);
  const unknown = values.filter((value) => !isKnown(value)).map(({ name }) => name);
  const measured = unknown.length === 0 ? new Map<string, number[]>() : await measuredShapes(graph, imports, unknown);
  const sizes = new Map(
    values.map(({ name, type, shape }) => [name, bytesOfValues(type, measured.get(name) ?? shape.map(Number))]),
  );
  const [input] = graph.inputs;
  const images = input?.name ?? '';
  sizes.set(images, bytesOf({ type: input?.type ?? 'float', dims: (input?.dims ?? []).map(Number) }));
  const steps: Step[] = [
    { inputs: [], outputs: [images], inPlace: false },
    ...graph.nodes.map(({ op, inputs, outputs }) => ({ inputs, outputs, inPlace: IN_PLACE.includes(op) })),
  ];
  return mostHeld(steps, graph.outputs[0]?.name ?? '', (name) => sizes.get(name) ?? 0);
}
