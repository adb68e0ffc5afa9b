import { ModelError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import type { Calibration } from '../quantize/index.js';
import type { OnnxModel } from './onnx/index.js';
import type { BaseSpec } from './spec.js';

/** A frozen base, ready to give vectors. */
export interface Base {
  /** For people and folder names. */
  readonly name: string;
  readonly model: BaseModel;
  readonly spec: BaseSpec;
  /** What makes it int8, where its spec says so. */
  readonly calibration?: Calibration;
}

/**
 * A model cut at the tap, with its weights, at its input size; without preprocessing and pooling. `layers`: Keras's layers, which
 * every engine runs; `onnx`: an ONNX model as it is, which only onnxruntime runs.
 */
export type BaseModel =
  | { readonly kind: 'layers'; readonly graph: Graph }
  | { readonly kind: 'onnx'; readonly onnx: OnnxModel };

/**
 * The layers of a base, cut at the tap.
 * @throws ModelError for an ONNX model, which has none
 */
export function layerGraph({ name, model }: Base): Graph {
  if (model.kind === 'layers') return model.graph;
  throw noLayers(name);
}

const noLayers = (name: string): ModelError =>
  new ModelError(`${name} is an ONNX model, which has no Keras layers: use a Keras or TensorFlow.js model for this`);
