import path from 'node:path';
import { createSession } from '../../engine/onnx/session.js';
import { ModelError } from '../../errors.js';
import { type OnnxFile, readOnnx } from '../../formats/onnx/read.js';
import { loadTensors } from './external.js';
import { readFileWhole } from './open.js';
import { candidates, findTap } from './tap.js';

interface OnnxLayer {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly (number | null)[] | null;
  readonly params: number;
  readonly multiplyAdds: number;
  readonly inputs: readonly string[];
}

/** What onnxruntime infers of every tensor without running anything; empty where it cannot load the model. */
async function shapesOf(file: OnnxFile, folder: string): Promise<Map<string, readonly (number | null)[]>> {
  const names = file.nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== ''));
  try {
    const initializers = await loadTensors([...file.initializers.values()], folder);
    const inputs = file.inputs.flatMap(({ name, type, dims }) => (type && dims ? [{ name, type, dims }] : []));
    const outputs = [...new Set(names)].map((name) => ({ name, dims: [] }));
    const graph = { name: 'base', nodes: file.nodes, initializers, inputs, outputs };
    const session = await createSession(graph, { imports: file.imports, optimize: false });
    const known = session.outputMetadata.flatMap((value) => {
      const dims = value.isTensor ? value.shape.slice(1) : [];
      return [[value.name, dims.map((dim) => (typeof dim === 'number' && dim >= 0 ? dim : null))] as const];
    });
    await session.release();
    return new Map(known);
  } catch {
    return new Map();
  }
}

/**
 * The nodes of an ONNX model, under the names of the tensors that they give, and the tensors that people tap.
 * @throws ModelError when the file cannot be read as an ONNX model
 */
export async function outlineOnnx(file: string) {
  let parsed: OnnxFile;
  try {
    parsed = readOnnx(await readFileWhole(file));
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(`${file}: ${error.message}`, { cause: error });
  }
  const shapes = await shapesOf(parsed, path.dirname(file));
  const sizeOf = (name: string): number => parsed.initializers.get(name)?.dims.reduce((a, b) => a * b, 1) ?? 0;
  const layers = parsed.nodes.map(({ op, inputs, outputs }): OnnxLayer => {
    const [name = ''] = outputs;
    const shape = shapes.get(name) ?? null;
    const kernel = sizeOf(inputs[1] ?? '');
    const positions = op === 'Conv' ? (shape ?? []).slice(1).reduce<number>((a, b) => a * (b ?? 1), 1) : 1;
    return {
      name,
      type: op,
      shape,
      params: inputs.reduce((sum, input) => sum + sizeOf(input), 0),
      multiplyAdds: ['Conv', 'Gemm', 'MatMul'].includes(op) ? kernel * positions : 0,
      inputs: inputs.filter((input) => input !== '' && !parsed.initializers.has(input)),
    };
  });
  const params = [...parsed.initializers.keys()].reduce((sum, name) => sum + sizeOf(name), 0);
  let own: string[] = [];
  try {
    own = [findTap(parsed, undefined)];
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
  }
  const taps = [...new Set([...own, ...candidates(parsed)])].slice(0, 5);
  return { name: path.basename(file, path.extname(file)), layers, params, taps };
}
