import ort from 'onnxruntime-node';
import { EngineError } from '../../errors.js';
import type { Graph } from '../../graph/graph.js';
import type { Device, Engine, Runner } from '../engine.js';
import { type Compiled, compile, INPUT } from './compile.js';
import { createSession, runtimeVersion } from './session.js';

const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);

/** Runs layer graphs with onnxruntime. */
export const onnxEngine: Engine = {
  name: 'onnx',
  version: runtimeVersion,

  async load(graph, { device, threads, outputs, input = 'float32' } = {}): Promise<Runner> {
    const { session, asked } = await open(graph, { device, threads, outputs, input });
    const shape = inputShape(graph);
    // A matrix product of one row takes another path than that of many and rounds differently; the same image must give the
    // same bits in any batch, so a single one goes in twice.
    const pair = graph.nodes.some((node) => node.op.kind === 'Dense');

    return {
      async run(images, n) {
        const size = product(shape);
        if (images.length !== n * size) {
          throw new TypeError(`expected ${n} images of ${shape.join(' x ')}, found ${images.length} values`);
        }
        const rows = pair && n === 1 ? 2 : n;
        const fed = rows === n ? images : twice(images);
        const type = input === 'uint8' ? 'uint8' : 'float32';
        let results: ort.InferenceSession.OnnxValueMapType;
        try {
          results = await session.run({ [INPUT]: new ort.Tensor(type, fed, [rows, ...shape]) });
        } catch (error) {
          throw new EngineError(`the engine failed: ${error instanceof Error ? error.message : String(error)}`, {
            cause: error,
          });
        }
        return asked.map(({ name, shape: each }) => {
          const data = results[name]?.data;
          if (!(data instanceof Float32Array)) throw new EngineError(`the engine gave no output ${name}`);
          return rows === n ? data : data.subarray(0, n * product(each));
        });
      },

      release: () => session.release(),
    };
  },
};

/** Only the session outlives this: the compiled graph is as large as the weights. */
async function open(
  graph: Graph,
  { device, threads, outputs, input }: LoadOptions,
): Promise<{ session: ort.InferenceSession; asked: Compiled['outputs'] }> {
  const compiled = compile(graph, { input, ...(outputs ? { outputs } : {}) });
  const session = await createSession(compiled.graph, {
    ...(device ? { device } : {}),
    ...(threads === undefined ? {} : { threads }),
  });
  return { session, asked: compiled.outputs };
}

interface LoadOptions {
  readonly device: Device | undefined;
  readonly threads: number | undefined;
  readonly outputs: readonly string[] | undefined;
  readonly input: 'float32' | 'uint8';
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
