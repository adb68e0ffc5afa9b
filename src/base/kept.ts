import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Json } from '../canonical.js';
import { CacheError } from '../errors.js';
import {
  errorCode,
  readSlice,
  realSystem,
  removeStale,
  restoreAside,
  type StoreOptions,
  storeError,
  writeFiles,
} from '../files/index.js';
import { lazily, type Node, type Op, type Tensor } from '../graph/graph.js';
import { checkWeights } from '../graph/infer.js';
import { resize } from '../graph/passes.js';
import { plain } from '../plain.js';
import { type Base, type BaseModel, layerGraph } from './base.js';
import { calibrationOf } from './calibrations.js';
import { digestOnnx, LARGE_TENSOR, letGo, type OnnxModel, rereadOnnx, writeOnnx } from './onnx/index.js';
import { keptDir } from './place.js';
import { seal, unseal } from './sealed.js';
import { type BaseSpec, digestGraph } from './spec.js';

/** The files that hold the weights of a kept base: of layers, in the order of the nodes; of an ONNX model, the model. */
const WEIGHTS = 'weights.f32';
const ONNX = 'model.onnx';

/** @returns whether a cache keeps the base of a spec; what dead runs left half kept is removed */
export async function isKept(
  cache: string,
  spec: BaseSpec,
  { system = realSystem }: StoreOptions = {},
): Promise<boolean> {
  const dir = keptDir(cache, spec);
  await restoreAside(system, path.dirname(dir));
  for (const folder of [dir, path.dirname(dir)]) await removeStale(system, folder);
  return system.modified(path.join(dir, 'base.json')).then(
    () => true,
    () => false,
  );
}

/**
 * Keeps a base (its cut graph and weights) in `cache/bases`, once: `weights.f32` (little-endian, in the order of the nodes), or the
 * cut `model.onnx`, and `base.json`, which appears last.
 * @throws CacheError when it cannot be written
 */
export async function keepBase(cache: string, base: Base, { system = realSystem }: StoreOptions = {}): Promise<void> {
  const dir = keptDir(cache, base.spec);
  if (await isKept(cache, base.spec, { system })) return;
  const { json, file, bytes } = base.model.kind === 'onnx' ? onnxFiles(base.name, base.model.onnx) : layerFiles(base);
  try {
    await system.makeFolder(dir);
    await writeFiles(system, dir, [
      [file, bytes],
      ['base.json', [new TextEncoder().encode(json)]],
    ]);
  } catch (error) {
    throw storeError(error, 'to keep the base', dir);
  }
}

/** Takes what a cache keeps of a base away, where it is damaged; calibrations stay. @throws CacheError when that fails */
export async function dropBase(
  cache: string,
  spec: BaseSpec,
  { system = realSystem }: StoreOptions = {},
): Promise<void> {
  const dir = keptDir(cache, spec);
  for (const name of ['base.json', WEIGHTS, ONNX]) {
    await system.unlink(path.join(dir, name)).catch((error: unknown) => {
      if (errorCode(error) !== 'ENOENT') throw storeError(error, 'to take a damaged base away', path.join(dir, name));
    });
  }
}

/**
 * Keeps a base as `keepBase` does.
 * @returns the same base as it is kept: large weights are in the file, not in memory
 * @throws CacheError when it cannot be written, or is damaged
 */
export async function moveToCache(cache: string, base: Base, options: StoreOptions = {}): Promise<Base> {
  if (await isKept(cache, base.spec, options)) return base;
  await keepBase(cache, base, options);
  const kept = await keptLayers(cache, base.spec);
  return kept === null ? base : { ...base, model: kept.model };
}

interface KeptFiles {
  readonly json: string;
  readonly file: string;
  readonly bytes: Iterable<Uint8Array>;
}

function onnxFiles(name: string, onnx: OnnxModel): KeptFiles {
  const { layout, tap, tapLayout, batched } = onnx;
  const json = seal({ format: 1, kind: 'onnx', name, layout, tap, tapLayout, batched });
  return { json, file: ONNX, bytes: writeOnnx(onnx) };
}

function layerFiles(base: Base): KeptFiles {
  const { nodes, input, output } = layerGraph(base);
  const tensors = nodes.flatMap((node) => node.weights);
  const json = seal({
    format: 1,
    name: base.name,
    input,
    output,
    nodes: nodes.map(({ name, op, inputs, weights }) => ({
      name,
      op: op as unknown as Json,
      inputs,
      weights: weights.map(({ shape }) => shape),
    })),
  });
  return { json, file: WEIGHTS, bytes: bytesOfAll(tensors) };
}

function* bytesOfAll(tensors: readonly Tensor[]): Generator<Uint8Array> {
  for (const { data } of tensors) yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

interface KeptNode {
  name: string;
  op: Op;
  inputs: string[];
  weights: number[][];
}

interface KeptLayers {
  readonly kind?: undefined;
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly nodes: readonly KeptNode[];
}

interface KeptOnnx extends Pick<OnnxModel, 'layout' | 'tap' | 'tapLayout' | 'batched'> {
  readonly kind: 'onnx';
  readonly name: string;
}

/**
 * The base of a spec out of `cache/bases`.
 * @param calibration the file of its int8 calibration, where the cache need not keep that
 * @returns null where the cache does not keep it
 * @throws CacheError when what is kept is damaged, or its calibration is not there
 */
export async function keptBase(cache: string, spec: BaseSpec, calibration?: string): Promise<Base | null> {
  const base = await keptLayers(cache, spec);
  if (base === null || spec.precision !== 'int8') return base;
  return {
    ...base,
    calibration: await calibrationOf(cache, spec, calibration === undefined ? {} : { given: calibration }),
  };
}

async function keptLayers(cache: string, spec: BaseSpec): Promise<Base | null> {
  const dir = keptDir(cache, spec);
  let json: string;
  let onnx: Buffer | null;
  try {
    json = await readFile(path.join(dir, 'base.json'), 'utf8');
    onnx = /"kind":"onnx"/.test(json) ? await readFile(path.join(dir, ONNX)) : null;
    if (onnx === null) await stat(path.join(dir, WEIGHTS));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return (await restoreAside(realSystem, path.dirname(dir))) ? keptLayers(cache, spec) : null;
    }
    throw new CacheError(`${dir} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    const kept = fieldsOf(json);
    const base: Base = {
      name: kept.name,
      model:
        kept.kind === 'onnx' ? onnxModel(kept, onnx as Buffer, spec) : layerModel(kept, path.join(dir, WEIGHTS), spec),
      spec,
    };
    const digests = base.model.kind === 'onnx' ? digestOnnx(base.model.onnx) : digestGraph(base.model.graph);
    if (digests.graph !== spec.graph || digests.weights !== spec.weights) throw new RangeError('its digest differs');
    if (base.model.kind === 'layers') checkWeights(base.model.graph);
    if (onnx === null || base.model.kind !== 'onnx') return base;
    const graph = letGo(base.model.onnx.graph, onnx, slices(path.join(dir, ONNX)));
    return { ...base, model: { ...base.model, onnx: { ...base.model.onnx, graph } } };
  } catch (error) {
    throw new CacheError(
      `the base kept in ${dir} is damaged (${plain((error as Error).message)}): delete that folder and run features again`,
      {
        cause: error,
      },
    );
  }
}

/** What `base.json` may hold; up to version 0.1.0 it carried no digest of itself. */
const FIELDS = ['format', 'kind', 'name', 'layout', 'tap', 'tapLayout', 'batched', 'input', 'output', 'nodes'];

/** @throws RangeError where a byte is another than was written */
function fieldsOf(json: string): KeptOnnx | KeptLayers {
  const fields = unseal(json) ?? (JSON.parse(json) as Record<string, Json>);
  if (Object.keys(fields).some((key) => !FIELDS.includes(key))) throw new RangeError('its digest differs');
  return fields as unknown as KeptOnnx | KeptLayers;
}

/** Kept once for all input sizes: the sizes of its images are those of the spec, and pooling takes maps of any size. */
function onnxModel({ layout, tap, tapLayout, batched }: KeptOnnx, bytes: Buffer, { input }: BaseSpec): BaseModel {
  const { graph, imports } = rereadOnnx(bytes);
  const { height, width, channels } = input;
  const sizes = layout === 'nchw' ? [channels, height, width] : [height, width, channels];
  const inputs = graph.inputs.map((one) => ({ ...one, dims: [one.dims[0] ?? 'n', ...sizes] }));
  return { kind: 'onnx', onnx: { graph: { ...graph, inputs }, imports, layout, tap, tapLayout, batched } };
}

function layerModel({ input, output, nodes }: KeptLayers, file: string, spec: BaseSpec): BaseModel {
  let offset = 0;
  const take = (shape: number[]): Tensor => {
    const start = offset;
    offset += shape.reduce((a, b) => a * b, 1) * 4;
    return keptTensor(shape, file, start, offset - start);
  };
  const restored: Node[] = nodes.map((node) => ({ ...node, weights: node.weights.map(take) }));
  return { kind: 'layers', graph: resize({ nodes: restored, input, output }, spec.input.height, spec.input.width) };
}

const slices = (file: string) => ({ read: (start: number, length: number) => readSlice(file, start, length) });

/** A tensor of `bytes` in a file; a large one is read when it is asked for, and not held. */
function keptTensor(shape: number[], file: string, start: number, bytes: number): Tensor {
  const read = (): Float32Array => new Float32Array(readSlice(file, start, bytes).buffer);
  if (bytes < LARGE_TENSOR) return { shape, data: read() };
  return lazily(shape, read);
}
