import type { Imports, OnnxGraph } from '../formats/onnx/write.js';
import type { Graph } from '../graph/graph.js';

export type Device = 'cpu' | 'webgpu' | 'cuda' | 'coreml' | 'dml';

/** `onnx`: onnxruntime. `tensorflow`: TensorFlow through tfjs. */
export type EngineName = 'onnx' | 'tensorflow';

export interface EngineOptions {
  /** Default `onnx`. It shapes no fingerprint: a set's parts record what made them. */
  readonly engine?: EngineName;
  /** Default `cpu`. */
  readonly device?: Device;
  /** Threads of the engine: of one operator, or of runs side by side. Default: one for each core. */
  readonly threads?: number;
}

/** How one graph is loaded. */
export interface LoadOptions extends EngineOptions {
  /** Whether the engine may rewrite the graph. Default true. */
  readonly optimize?: boolean;
  /**
   * A file that takes the weights of a large model on their way to the engine, so that they need not be in memory beside its own
   * copy. Default: they are.
   */
  readonly scratch?: () => Scratch;
  /**
   * Runs that go side by side, each in a thread of its own with a copy of the weights, where the engine can; `threads` are those of
   * each. Default 1: in the calling thread.
   */
  readonly lanes?: number;
}

/** A temporary file that takes bytes one after the other. */
export interface Scratch {
  readonly path: string;
  /** @returns where in the file the bytes begin */
  add(bytes: Uint8Array): number;
  remove(): Promise<void>;
}

/** Runs one graph. */
export interface Runner {
  /** Runs that go side by side; more wait. Default 1. */
  readonly lanes?: number;
  /**
   * @param images `[n, height, width, channels]`, flat, in C order
   * @returns one flat array for each of the graph's asked outputs, `[n, ...shape]`
   */
  run(images: Float32Array | Uint8Array, n: number): Promise<Float32Array[]>;
  release(): Promise<void>;
}

/** A model that is no layer graph: images `[n, height, width, channels]` in, one output. */
export interface OnnxProgram {
  readonly graph: OnnxGraph;
  readonly imports: Imports;
  /** Whether it takes any number of images at once; else one at a time. */
  readonly batched: boolean;
}

/** What runs a layer graph. */
export interface Engine {
  readonly name: EngineName;
  /** Version of the library that does the work. */
  readonly version: string;
  /** Whether it rewrites graphs, which `optimize: false` turns off. */
  readonly optimizes?: true;
  /** One sentence for people where the engine runs, but not as it should. */
  readonly notice?: string;
  /**
   * @param outputs names of the nodes to return; default: the graph's output
   * @throws EngineError when the device is absent
   */
  load(
    graph: Graph,
    options?: LoadOptions & { readonly outputs?: readonly string[]; readonly input?: 'float32' | 'uint8' },
  ): Promise<Runner>;
  /** Runs an ONNX model as it is; absent where the engine runs layer graphs only. */
  loadOnnx?(program: OnnxProgram, options?: LoadOptions): Promise<Runner>;
}
