import ort from '../engine/onnx/runtime.js';
import { openSession } from '../engine/onnx/session.js';
import { EngineError } from '../errors.js';
import { Nodes } from '../formats/onnx/nodes.js';
import { floats, int64s, type OnnxTensor, writeModel } from '../formats/onnx/write.js';
import type { Activation, Ending, HeadNet } from './head-net.js';

/** Rows of one call, so that a long list of vectors does not hold the JavaScript thread. */
const ROWS = 4096;
/** Length below which a vector is not scaled up to 1. */
export const SHORTEST = 1e-12;

/**
 * Adds a hidden activation.
 * @param out name of the output
 * @returns the name of the activated values
 */
export function addActivation(nodes: Nodes, activation: Activation, z: string, out?: string): string {
  switch (activation) {
    case 'relu':
      return nodes.add('Relu', [z], {}, out);
    case 'gelu':
      return nodes.add('Gelu', [z], {}, out);
    case 'silu':
      return nodes.add('Mul', [z, nodes.add('Sigmoid', [z])], {}, out);
    case 'tanh':
      return nodes.add('Tanh', [z], {}, out);
    case 'elu':
      return nodes.add('Elu', [z], {}, out);
    case 'sigmoid':
      return nodes.add('Sigmoid', [z], {}, out);
  }
}

/** Adds `x / max(|x|, 1e-12)` by rows; wants initializers `axis1` and `shortest`. */
export const addNormalize = (nodes: Nodes, x: string): string =>
  nodes.add('Div', [x, nodes.add('Max', [nodes.add('ReduceL2', [x, 'axis1']), 'shortest'])]);

const ENDINGS: Readonly<Record<Ending, string>> = { sigmoid: 'Sigmoid', softmax: 'Softmax', linear: 'Identity' };

/**
 * @param metadata goes into the model's own metadata, for whoever opens the file elsewhere
 * @returns an ONNX model: `features` `[n, d]` to `probabilities` `[n, units]`
 */
export function writeHeadModel(net: HeadNet, metadata: Readonly<Record<string, string>>): Uint8Array {
  const { d, layers } = net;
  const nodes = new Nodes();
  const initializers: OnnxTensor[] = [];
  let x = 'features';
  if (net.normalize) {
    initializers.push(int64s('axis1', [1]), floats('shortest', [], [SHORTEST]));
    x = addNormalize(nodes, x);
  }
  layers.forEach(({ kernel, bias }, i) => {
    const last = i === layers.length - 1;
    const suffix = last ? '' : `_${i + 1}`;
    const units = bias.length;
    initializers.push(
      floats(`kernel${suffix}`, [units, kernel.length / units], kernel),
      floats(`bias${suffix}`, [units], bias),
    );
    x = nodes.add(
      'Gemm',
      [x, `kernel${suffix}`, `bias${suffix}`],
      { transB: { i: 1 } },
      last ? 'logits' : `dense${suffix}`,
    );
    if (!last) x = addActivation(nodes, net.activation, x, `hidden${suffix}`);
  });
  nodes.add(ENDINGS[net.ending], [x], net.ending === 'softmax' ? { axis: { i: 1 } } : {}, 'probabilities');
  return writeModel(
    {
      name: 'head',
      nodes: nodes.list,
      initializers,
      inputs: [{ name: 'features', type: 'float', dims: ['n', d] }],
      outputs: [{ name: 'probabilities', type: 'float', dims: ['n', layers.at(-1)?.bias.length ?? 0] }],
    },
    metadata,
  );
}

/** A saved head in the engine. */
export class HeadModel {
  private constructor(
    private readonly session: ort.InferenceSession,
    private readonly d: number,
    private readonly units: number,
  ) {}

  /** @throws EngineError when the bytes are not a model that takes `features` and gives `probabilities` */
  static async load(bytes: Uint8Array, d: number, units: number): Promise<HeadModel> {
    let session: ort.InferenceSession;
    try {
      session = await openSession(bytes, { threads: 1 });
    } catch (error) {
      throw new EngineError('not an ONNX model that onnxruntime can load', { cause: error });
    }
    if (!session.inputNames.includes('features') || !session.outputNames.includes('probabilities')) {
      await session.release();
      throw new EngineError('the ONNX model has no features and probabilities');
    }
    return new HeadModel(session, d, units);
  }

  /**
   * @param features `[n, d]`
   * @returns `[n, units]`
   */
  async run(features: Float32Array, n: number): Promise<Float32Array> {
    const { d, units } = this;
    const probabilities = new Float32Array(n * units);
    for (let at = 0; at < n; at += ROWS) {
      const count = Math.min(ROWS, n - at);
      const rows = new ort.Tensor('float32', features.subarray(at * d, (at + count) * d), [count, d]);
      let data: Float32Array;
      try {
        const result = await this.session.run({ features: rows }, ['probabilities']);
        data = result.probabilities?.data as Float32Array;
      } catch (error) {
        throw new EngineError(`the head does not take ${d} features`, { cause: error });
      }
      if (data.length !== count * units) {
        throw new EngineError(`the head gives ${data.length / count} probabilities an image, ${units} were expected`);
      }
      probabilities.set(data, at * units);
    }
    return probabilities;
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}
