import { openArchitecture } from '../base/open.js';
import type { BaseOptions } from '../base/options.js';
import { classOf, type Node, type Shape, type Tensor } from '../graph/graph.js';
import { inferShapes, inputShapes, weightSpecs } from '../graph/infer.js';
import { checkOptions } from '../options/check.js';

/** What says which layers a base has. */
export type SummaryOptions = Pick<BaseOptions, 'base' | 'alpha' | 'includeTop' | 'layer' | 'inputSize'>;

export interface LayerSummary {
  readonly name: string;
  /** Its class in Keras. */
  readonly type: string;
  /** Of one example, without the batch. */
  readonly shape: Shape;
  readonly params: number;
  /** For one image: one for each weight of a kernel at each position of the output, padding included; 0 where there is no kernel. */
  readonly multiplyAdds: number;
  /** Names of the layers whose outputs it takes, in order. */
  readonly inputs: readonly string[];
}

export interface ModelSummary {
  readonly name: string;
  /** In Keras's order; a layer that is called twice stands twice. */
  readonly layers: readonly LayerSummary[];
  /** Parameters, those of a layer that is called twice counted once. All are frozen. */
  readonly params: number;
  /** Of convolutions (depthwise and separable too) and dense layers, for one image. */
  readonly multiplyAdds: number;
}

const product = (sizes: readonly (number | null)[]): number => sizes.reduce<number>((a, b) => a * (b ?? 1), 1);

function summarize(node: Node, shapes: ReadonlyMap<string, Shape>): LayerSummary {
  const shape = shapes.get(node.name) ?? [];
  const specs = weightSpecs(node.op, inputShapes(node, shapes));
  const kernels = specs.filter(({ name }) => name.endsWith('kernel'));
  const count = (some: typeof specs): number => some.reduce((sum, spec) => sum + product(spec.shape), 0);
  return {
    name: node.name,
    type: classOf(node),
    shape,
    params: count(specs),
    multiplyAdds: count(kernels) * product(shape.slice(0, -1)),
    inputs: node.inputs,
  };
}

/**
 * The layers of a base as Keras's `model.summary()` gives them, with multiply-adds. A named base is built without weights:
 * nothing is downloaded.
 * @throws UsageError for options that are unknown or missing; ModelError for what a file holds, and for an ONNX model
 */
export async function summary(options: SummaryOptions): Promise<ModelSummary> {
  checkOptions('summary', options);
  const { name, graph } = await openArchitecture(options);
  const shapes = inferShapes(graph);
  const counted = new Set<Tensor>();
  const layers: LayerSummary[] = [];
  let params = 0;
  for (const node of graph.nodes) {
    const layer = summarize(node, shapes);
    layers.push(layer);
    const [first] = node.weights; // calls of one layer hold the same tensors
    if (!first || !counted.has(first)) params += layer.params;
    if (first) counted.add(first);
  }
  return { name, layers, params, multiplyAdds: layers.reduce((sum, layer) => sum + layer.multiplyAdds, 0) };
}
