import ort from 'onnxruntime-node';
import { EngineError } from '../../errors.js';
import type { DenseWeights, HeadActivation } from './head-trainer.js';
import { floats, writeModel } from './proto.js';

/** Rows of one call, so that a long list of vectors does not hold the JavaScript thread. */
const ROWS = 4096;

/**
 * @param metadata goes into the model's own metadata, for whoever opens the file elsewhere
 * @returns an ONNX model: `features` `[n, d]` to `probabilities` `[n, units]`
 */
export function writeHeadModel(
  weights: DenseWeights,
  activation: HeadActivation,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const units = weights.bias.length;
  const d = weights.kernel.length / units;
  return writeModel(
    {
      name: 'head',
      nodes: [
        { op: 'Gemm', inputs: ['features', 'kernel', 'bias'], outputs: ['logits'], attributes: { transB: { i: 1 } } },
        activation === 'sigmoid'
          ? { op: 'Sigmoid', inputs: ['logits'], outputs: ['probabilities'] }
          : { op: 'Softmax', inputs: ['logits'], outputs: ['probabilities'], attributes: { axis: { i: 1 } } },
      ],
      initializers: [floats('kernel', [units, d], weights.kernel), floats('bias', [units], weights.bias)],
      inputs: [{ name: 'features', type: 'float', dims: ['n', d] }],
      outputs: [{ name: 'probabilities', type: 'float', dims: ['n', units] }],
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
      session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 });
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
