import { EngineError } from '../../errors.js';
import { type Imports, type OnnxGraph, writeModel } from '../../formats/onnx/write.js';
import type { Device, EngineOptions } from '../engine.js';
import ort from './runtime.js';
import { withoutTelemetry } from './telemetry.js';

/** Version of onnxruntime that runs the graphs. */
export const runtimeVersion: string = ort.env.versions.node ?? ort.env.versions.common;

const message = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';

/**
 * Optimizers of onnxruntime 1.30 that make another graph of it, found by running chains of operators with each and without any
 * (test/engine/optimizer.test.ts).
 */
const FAULTY_OPTIMIZERS = [
  // Zeros around an image become a pool's own padding: minus infinity of a maximum, and no pixels of an average. A padding as wide
  // as the pool's window is refused then.
  'Pad_Fusion',
  // (1 / x) * y loses x where another rewrite has taken x's producer away: "not a graph input, initializer, or output".
  'DivMulFusion',
  // Weights that a quantized model holds in float32 are rounded to 8 bits.
  'WeightBiasQuantization',
];

/** Devices that the installed onnxruntime offers on this machine. */
export function offeredDevices(): Device[] {
  const names = ort.listSupportedBackends().map((backend) => backend.name);
  return (['cpu', 'webgpu', 'cuda', 'coreml', 'dml'] as const).filter((device) => names.includes(device));
}

export interface SessionOptions extends EngineOptions {
  /** Default: those of the graphs that are compiled here. */
  readonly imports?: Imports;
  /** Whether onnxruntime may rewrite the graph, which computes what is constant. Default true. */
  readonly optimize?: boolean;
  /**
   * Whether threads that wait spin. Default false: they sleep, since images are decoded beside them, which is as fast alone and
   * faster together. Operators of a few microseconds, one after the other, are over before a sleeper wakes.
   */
  readonly spin?: boolean;
  /** Folder of the files that hold weights of the graph. */
  readonly beside?: string;
}

/**
 * @returns a session of the graph
 * @throws EngineError when the device is absent, or the graph cannot be run
 */
export const createSession = (graph: OnnxGraph, options: SessionOptions = {}): Promise<ort.InferenceSession> =>
  openSession(writeModel(graph, {}, options.imports), options);

/**
 * @param model bytes of a ModelProto
 * @returns a session of it
 * @throws EngineError when the device is absent, or the model cannot be run
 */
export async function openSession(
  model: Uint8Array,
  options: Omit<SessionOptions, 'imports'> = {},
): Promise<ort.InferenceSession> {
  const device = options.device ?? 'cpu';
  const offered = offeredDevices();
  if (!offered.includes(device)) {
    throw new EngineError(
      `device ${device} is not offered by onnxruntime-node ${runtimeVersion} on ${process.platform}-${process.arch}: ` +
        `use one of ${offered.join(', ')}`,
    );
  }
  await withoutTelemetry();
  try {
    return await ort.InferenceSession.create(model, {
      executionProviders: [device],
      graphOptimizationLevel: options.optimize === false ? 'disabled' : 'all',
      logSeverityLevel: 4, // what fails is thrown, and told once
      enableMemPattern: false, // as fast, in a tenth less memory
      extra: {
        session: {
          intra_op: { allow_spinning: options.spin ? '1' : '0' },
          ...(options.beside === undefined ? {} : { model_external_initializers_file_folder_path: options.beside }),
        },
        optimization: { disable_specified_optimizers: FAULTY_OPTIMIZERS.join(';') },
      },
      ...(options.threads === undefined ? {} : { intraOpNumThreads: options.threads }),
    });
  } catch (error) {
    const advice = device === 'cpu' ? '' : '; check its driver, or use --device cpu';
    throw new EngineError(`device ${device} could not load the graph: ${message(error)}${advice}`, { cause: error });
  }
}
