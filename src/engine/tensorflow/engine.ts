import type { Tensor as Value } from '@tensorflow/tfjs-core';
import { EngineError, PermafrostError } from '../../errors.js';
import type { Graph } from '../../graph/graph.js';
import { inLayer } from '../../graph/infer.js';
import { fixedShapes, prepare } from '../../graph/prepare.js';
import type { Engine, Runner } from '../engine.js';
import { compileLayer, type Step } from './ops.js';
import { loadRuntime, type Runtime, type Tfjs } from './runtime.js';

const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);

/**
 * Loads TensorFlow, or what stands in for it, once in a process.
 * @returns the engine that runs layer graphs with it
 * @throws EngineError when nothing is installed that could run it
 */
export async function tensorflowEngine(threads?: number): Promise<Engine> {
  const runtime = await loadRuntime(threads);
  return {
    name: 'tensorflow',
    version: runtime.version,
    ...(runtime.notice === undefined ? {} : { notice: runtime.notice }),
    async load(graph, { device = 'cpu', outputs, input = 'float32' } = {}) {
      if (device !== 'cpu') {
        throw new EngineError(`the tensorflow engine runs on the CPU only, not on ${device}: use --device cpu`);
      }
      return new TensorflowRunner(runtime, compile(runtime.tf, graph, outputs ?? [graph.output]), input);
    },
  };
}

/** One layer of a compiled graph. */
interface Call {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly step: Step;
  /** Values that no later layer takes. */
  readonly spent: readonly string[];
}

interface Compiled {
  readonly input: string;
  readonly inputShape: readonly number[];
  readonly calls: readonly Call[];
  readonly outputs: readonly { readonly name: string; readonly size: number }[];
  readonly constants: readonly Value[];
}

function compile(tf: Tfjs, graph: Graph, asked: readonly string[]): Compiled {
  const { graph: prepared, taps } = prepare(graph, asked);
  const shapes = fixedShapes(prepared);
  const shapeOf = (name: string): readonly number[] => shapes.get(name) ?? [];
  const layers = prepared.nodes.filter((node) => node.name !== prepared.input);
  const lastUse = new Map<string, string>();
  for (const node of layers) for (const input of [node.name, ...node.inputs]) lastUse.set(input, node.name);
  const constants: Value[] = [];
  try {
    const calls = layers.map((node): Call => {
      const { op, weights, name, inputs } = node;
      const layer = { op, weights, inputs: inputs.map(shapeOf), output: shapeOf(name) };
      const step = inLayer(node, () => compileLayer(tf, layer, (constant) => constants.push(constant)));
      const spent = [...new Set([name, ...inputs])].filter((value) => lastUse.get(value) === name);
      return { name, inputs, step, spent: spent.filter((value) => !taps.includes(value)) };
    });
    const outputs = taps.map((name) => ({ name, size: product(shapeOf(name)) }));
    return { input: prepared.input, inputShape: shapeOf(prepared.input), calls, outputs, constants };
  } catch (error) {
    tf.dispose(constants);
    throw error;
  }
}

/**
 * Runs the layers one after the other and frees each value behind its last user.
 *
 * Images go in one at a time, because TensorFlow's kernels choose how to sum by the size of the batch, and the same image must
 * give the same bits in any batch; an image is work enough for all threads.
 */
class TensorflowRunner implements Runner {
  private readonly tf: Tfjs;

  constructor(
    runtime: Runtime,
    private readonly compiled: Compiled,
    private readonly input: 'float32' | 'uint8',
  ) {
    this.tf = runtime.tf;
  }

  async run(images: Float32Array | Uint8Array, n: number): Promise<Float32Array[]> {
    const { inputShape, outputs } = this.compiled;
    const size = product(inputShape);
    if (images.length !== n * size) {
      throw new TypeError(`expected ${n} images of ${inputShape.join(' x ')}, found ${images.length} values`);
    }
    if (images instanceof Uint8Array !== (this.input === 'uint8')) {
      throw new TypeError(`expected images of type ${this.input}`);
    }
    const results = outputs.map((output) => new Float32Array(n * output.size));
    for (let i = 0; i < n; i++) {
      const values = this.runOne(Float32Array.from(images.subarray(i * size, (i + 1) * size)));
      for (const [o, value] of values.entries()) {
        results[o]?.set((await value.data()) as Float32Array, i * value.size);
        value.dispose();
      }
    }
    return results;
  }

  private runOne(pixels: Float32Array): Value[] {
    const { tf, compiled } = this;
    const alive = new Map<string, Value>();
    try {
      alive.set(compiled.input, tf.tensor(pixels, [1, ...compiled.inputShape]));
      for (const { name, inputs, step, spent } of compiled.calls) {
        const values = inputs.map((input) => alive.get(input) as Value);
        alive.set(
          name,
          tf.tidy(() => step(values)),
        );
        for (const done of spent) {
          alive.get(done)?.dispose();
          alive.delete(done);
        }
      }
      const outputs = compiled.outputs.map(({ name }) => alive.get(name) as Value);
      for (const { name } of compiled.outputs) alive.delete(name);
      return outputs;
    } catch (error) {
      if (error instanceof PermafrostError) throw error;
      throw new EngineError(`the engine failed: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    } finally {
      tf.dispose([...alive.values()]);
    }
  }

  async release(): Promise<void> {
    this.tf.dispose([...this.compiled.constants]);
  }
}
