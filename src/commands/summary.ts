import { outlineOnnx } from '../base/onnx/outline.js';
import { isOnnx } from '../base/open.js';
import type { BaseOptions } from '../base/options.js';
import { outlineBase } from '../base/outline.js';
import type { Preprocessing } from '../base/preprocess.js';
import { classOf, type Node, type Shape } from '../graph/graph.js';
import { weightSpecs } from '../graph/infer.js';
import { checkOptions } from '../options/check.js';

/** What says which layers a base has. */
export interface SummaryOptions extends Pick<BaseOptions, 'base' | 'alpha' | 'includeTop' | 'layer' | 'inputSize'> {
  /** Is told what is being done. */
  readonly onStep?: (what: string) => void;
}

export interface LayerSummary {
  readonly name: string;
  /** Its class in Keras, or its operator in ONNX. */
  readonly type: string;
  /** Of one example, without the batch; null where that is not known, since the layer is not supported. */
  readonly shape: Shape | null;
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
  /** Layers (tensors of an ONNX model) that people tap, the likeliest first. */
  readonly taps: readonly string[];
  /** What happens to pixels by default, `none` where the model scales them itself; null where `preprocess` must be given. */
  readonly preprocess: Preprocessing | null;
}

const product = (sizes: readonly (number | null)[]): number => sizes.reduce<number>((a, b) => a * (b ?? 1), 1);

function summarize(node: Node, shapes: ReadonlyMap<string, Shape | null>): LayerSummary {
  const shape = shapes.get(node.name) ?? null;
  const from = node.inputs.map((name) => shapes.get(name) ?? []);
  const specs = shape === null ? [] : weightSpecs(node.op, from);
  const kernels = specs.filter(({ name }) => name.endsWith('kernel'));
  const count = (some: typeof specs): number => some.reduce((sum, spec) => sum + product(spec.shape), 0);
  // A transposed convolution multiplies at each position of what it takes.
  const positions = node.op.kind === 'Conv2DTranspose' ? (from[0] ?? []) : (shape ?? []);
  return {
    name: node.name,
    type: classOf(node),
    shape,
    params: count(specs),
    multiplyAdds: count(kernels) * product(positions.slice(0, -1)),
    inputs: node.inputs,
  };
}

/**
 * The layers of a base as Keras's `model.summary()` gives them, with multiply-adds; of a model file all that it lists, supported or
 * not, unless a layer is given; of an ONNX model its nodes. A named base is built without weights: nothing is downloaded.
 * @throws UsageError for options that are unknown or missing; ModelError for what a file holds
 */
export async function summary(options: SummaryOptions): Promise<ModelSummary> {
  checkOptions('summary', options);
  options.onStep?.(`reading ${options.base}`);
  const total = (layers: readonly LayerSummary[]): number => layers.reduce((sum, layer) => sum + layer.multiplyAdds, 0);
  if (isOnnx(options.base)) {
    const outline = await outlineOnnx(options.base);
    return { ...outline, multiplyAdds: total(outline.layers), preprocess: null };
  }
  const { name, nodes, shapes, owner, taps, preprocess } = await outlineBase(options);
  const counted = new Set<unknown>();
  const layers: LayerSummary[] = [];
  let params = 0;
  for (const node of nodes) {
    const layer = summarize(node, shapes);
    layers.push(layer);
    if (!counted.has(owner(node))) params += layer.params;
    counted.add(owner(node));
  }
  return { name, layers, params, multiplyAdds: total(layers), taps: taps.slice(0, 5), preprocess };
}
