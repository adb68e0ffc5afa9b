import { ModelError, WeightsError } from '../errors.js';
import { classOf, type Graph, type Node, type Op, type Tensor } from '../graph/graph.js';
import { checkWeights, inferShapes, inLayer, inputShapes, show, type WeightSpec, weightSpecs } from '../graph/infer.js';
import { Random } from '../random.js';
import type { LayerEntry } from './config.js';
import { type Hdf5Group, withHdf5 } from './hdf5.js';
import { isAutoName, toSnakeCase } from './naming.js';
import { isTfjs, readTfjs } from './tfjs.js';

/** The weights that each layer must have, by layer path. */
export function specsByLayer(graph: Graph, layerOf: (node: Node) => string): Map<string, WeightSpec[]> {
  const shapes = inferShapes(graph);
  const specs = new Map<string, WeightSpec[]>();
  for (const node of graph.nodes) {
    const found = inLayer(node, () => weightSpecs(node.op, inputShapes(node, shapes)));
    const before = specs.get(layerOf(node));
    if (before && JSON.stringify(before) !== JSON.stringify(found)) {
      throw new ModelError(`layer ${layerOf(node)} is called on shapes that need different weights`);
    }
    specs.set(layerOf(node), found);
  }
  return specs;
}

/** @returns the graph with the weights of each layer in its nodes, checked */
export function bindWeights(
  graph: Graph,
  layerOf: (node: Node) => string,
  weights: ReadonlyMap<string, readonly Tensor[]>,
): Graph {
  const nodes = graph.nodes.map((node): Node => ({ ...node, weights: weights.get(layerOf(node)) ?? [] }));
  const bound = { ...graph, nodes };
  checkWeights(bound);
  return bound;
}

const strip = (name: string): string => name.replace(/:\d+$/, '');
const leaf = (name: string): string => strip(name).split('/').at(-1) ?? '';

/** The layers below an entry that hold weights, in order. */
export function withWeights(entry: LayerEntry, specs: ReadonlyMap<string, WeightSpec[]>): LayerEntry[] {
  const inner = entry.layers.flatMap((layer) => withWeights(layer, specs));
  return (specs.get(entry.path)?.length ?? 0) > 0 ? [entry, ...inner] : inner;
}

/** Keras's older layout of a whole model: one group a layer, found by its name. */
export function readByName(
  group: Hdf5Group,
  layers: readonly LayerEntry[],
  specs: ReadonlyMap<string, WeightSpec[]>,
  file: string,
): Map<string, Tensor[]> {
  const weights = new Map<string, Tensor[]>();
  for (const layer of layers) {
    const owners = withWeights(layer, specs);
    if (owners.length === 0) continue;
    const own = group.child(layer.name);
    const names = own?.texts('weight_names');
    if (!own || !names) throw new ModelError(`${file}: the weights of layer ${layer.name} are missing`);
    for (const owner of owners) {
      const wanted = specs.get(owner.path) ?? [];
      const mine = owner === layer ? names : within(names, owner, wanted);
      if (mine.length !== wanted.length) {
        throw new ModelError(
          `${file}: layer ${owner.path} (${owner.className}) needs ${wanted.length} weights and the file holds ${mine.length}`,
        );
      }
      weights.set(
        owner.path,
        wanted.map(({ shape }, i) => own.tensor(mine[i] ?? '', shape)),
      );
    }
  }
  return weights;
}

/** The weights of a layer in a nested model, among those of the whole model, by the longest ending of its path that fits. */
function within(names: readonly string[], owner: LayerEntry, wanted: readonly WeightSpec[]): string[] {
  const segments = owner.path.split('/');
  return wanted.flatMap(({ name }) => {
    for (let from = 0; from < segments.length; from++) {
      const ending = [...segments.slice(from), name].join('/');
      const found = names.filter((other) => strip(other) === ending || strip(other).endsWith(`/${ending}`));
      if (found.length === 1) return found;
    }
    return [];
  });
}

/** Keras 3's layout: groups named by class and number, in the order of the layers; weights are numbered. */
export function readByPlace(
  group: Hdf5Group,
  layers: readonly LayerEntry[],
  specs: ReadonlyMap<string, WeightSpec[]>,
  file: string,
): Map<string, Tensor[]> {
  const weights = new Map<string, Tensor[]>();
  const container = group.child('layers') ?? group.child('_layer_checkpoint_dependencies');
  const used = new Map<string, number>();
  for (const layer of layers) {
    const stem = toSnakeCase(layer.className === 'Model' ? 'Functional' : layer.className);
    const count = used.get(stem) ?? 0;
    used.set(stem, count + 1);
    const wanted = specs.get(layer.path) ?? [];
    if (wanted.length === 0 && layer.layers.length === 0) continue;
    const own = container?.child(count === 0 ? stem : `${stem}_${count}`);
    if (layer.layers.length > 0) {
      if (withWeights(layer, specs).length === 0) continue;
      if (!own) throw new ModelError(`${file}: the weights of the nested model ${layer.path} are missing`);
      for (const [path, tensors] of readByPlace(own, layer.layers, specs, file)) weights.set(path, tensors);
      continue;
    }
    const vars = own?.child('vars');
    const names = vars?.names() ?? [];
    if (!vars || names.length !== wanted.length) {
      throw new ModelError(
        `${file}: layer ${layer.path} (${layer.className}) needs ${wanted.length} weights and the file holds ${names.length}`,
      );
    }
    weights.set(
      layer.path,
      wanted.map(({ shape }, i) => vars.tensor(String(i), shape)),
    );
  }
  return weights;
}

/** What may be the matter when a file does not fit, from the counts and shapes that are there. */
function hint(fileLayers: readonly string[], graphLayers: readonly Node[]): string {
  const top = /^(predictions|conv_preds|fc\d*|logits|dense.*|classifier.*)$/;
  const fileTop = fileLayers.some((name) => top.test(name));
  const graphTop = graphLayers.some((node) => top.test(node.name));
  if (fileTop && !graphTop) return '; the file holds a classifier too: it is one with top';
  if (!fileTop && graphTop) return '; the file holds no classifier: it is one without top (no_top)';
  return '; is it a file of this architecture?';
}

/** The weights of one layer in a file that lists them by layer. */
export interface StoredLayer {
  readonly name: string;
  /** In order; never empty. */
  readonly weightNames: readonly string[];
  readonly own: {
    shape(name: string): readonly number[] | null;
    tensor(name: string, shape: readonly number[]): Tensor;
  };
}

/** The layers of Keras's older layout that hold weights. */
function storedLayers(group: Hdf5Group): StoredLayer[] {
  return (group.texts('layer_names') ?? []).flatMap((name) => {
    const own = group.child(name);
    const weightNames = own?.texts('weight_names') ?? [];
    return own && weightNames.length > 0 ? [{ name, own, weightNames }] : [];
  });
}

/** Matches the layers of a file and of an architecture by their order among those that have weights. */
function readByOrder(
  groups: readonly StoredLayer[],
  graph: Graph,
  specs: ReadonlyMap<string, WeightSpec[]>,
  file: string,
): Map<string, Tensor[]> {
  const nodes = graph.nodes.filter((node) => (specs.get(node.name)?.length ?? 0) > 0);
  const listed = groups.map(({ name }) => name);
  if (groups.length !== nodes.length) {
    throw new WeightsError(
      `${file} holds weights of ${groups.length} layers, the architecture has ${nodes.length}${hint(listed, nodes)}`,
    );
  }
  const weights = new Map<string, Tensor[]>();
  for (const [i, node] of nodes.entries()) {
    const found = groups[i] as StoredLayer;
    if (!isAutoName(node.name, classOf(node)) && found.name !== node.name) {
      throw new WeightsError(
        `${file}: layer ${i + 1} of those with weights is ${found.name}, the architecture has ${node.name} there` +
          hint(listed, nodes),
      );
    }
    const wanted = specs.get(node.name) ?? [];
    if (found.weightNames.length !== wanted.length) {
      throw new WeightsError(
        `${file}: layer ${found.name} holds ${found.weightNames.length} weights (${found.weightNames.map(leaf).join(', ')}), ` +
          `${node.name} needs ${wanted.length} (${wanted.map(({ name }) => name).join(', ')})`,
      );
    }
    weights.set(
      node.name,
      wanted.map(({ name, shape }, j) => {
        const path = found.weightNames[j] ?? '';
        const stored = found.own.shape(path);
        if (stored && stored.join() !== shape.join()) {
          const widths =
            stored.length === shape.length ? '; is it a file of another alpha, or another architecture?' : '';
          throw new WeightsError(
            `${file}: ${name} of layer ${found.name} has shape ${show(stored)}, ${node.name} needs ${show(shape)}${widths}`,
          );
        }
        return found.own.tensor(path, shape);
      }),
    );
  }
  return weights;
}

/**
 * Fills an architecture from a file of weights: Keras's older HDF5 layout (by order among the layers with weights; names are
 * compared where Keras gives the layer an explicit one), whole-model files of it, Keras 3's `.weights.h5`, and the weights of a
 * TensorFlow.js `model.json`, by order too.
 * @throws WeightsError when the file does not fit, ModelError when it cannot be read
 */
export async function loadWeights(graph: Graph, file: string): Promise<Graph> {
  const specs = specsByLayer(graph, (node) => node.name);
  if (isTfjs(file)) {
    const { weights: stored } = await readTfjs(file);
    return bindWeights(graph, (node) => node.name, readByOrder(stored.layers(), graph, specs, file));
  }
  const weights = await withHdf5(file, (root) => {
    const legacy = root.child('model_weights') ?? root;
    if (legacy.texts('layer_names')) return readByOrder(storedLayers(legacy), graph, specs, file);
    if (root.child('layers') || root.child('_layer_checkpoint_dependencies')) {
      const layers = graph.nodes.map((node): LayerEntry => {
        return { name: node.name, className: classOf(node), path: node.name, layers: [] };
      });
      try {
        return readByPlace(root, layers, specs, file);
      } catch (error) {
        if (error instanceof ModelError) throw new WeightsError(error.message, { cause: error });
        throw error;
      }
    }
    throw new WeightsError(`${file} holds no Keras weights: expected layer_names, or a group of layers`);
  });
  return bindWeights(graph, (node) => node.name, weights);
}

/** Mean square of what a node gives, from that of what it takes: enough to keep made weights from running off. */
function meanSquare(op: Op, inputs: readonly number[]): number {
  const [x = 1] = inputs;
  switch (op.kind) {
    case 'InputLayer':
      return 1 / 3; // uniform in -1 to 1
    case 'Conv2D':
    case 'DepthwiseConv2D':
    case 'Dense':
      return 2 * x;
    case 'SeparableConv2D':
      return 4 * x;
    case 'BatchNormalization':
      return 1;
    case 'Activation':
    case 'ReLU':
      return x / 2;
    case 'Add':
      return inputs.reduce((a, b) => a + b, 0);
    default:
      return x;
  }
}

/**
 * Fills an architecture with made weights: kernels normal with He's deviation sqrt(2 / fan in), small biases, batch norm with the
 * statistics that such kernels give, so that values neither vanish nor run off. The same seed gives the same weights. Good for
 * trying things out, and as the baseline that a pretrained base must beat.
 */
export function randomWeights(graph: Graph, seed: number | string): Graph {
  const specs = specsByLayer(graph, (node) => node.name);
  const squares = new Map<string, number>();
  const weights = new Map<string, Tensor[]>();
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => squares.get(name) ?? 1);
    squares.set(node.name, meanSquare(node.op, inputs));
    const random = new Random(`${seed} ${node.name}`);
    const tensors = (specs.get(node.name) ?? []).map(({ name, shape }) => {
      const size = shape.reduce((a, b) => a * b, 1);
      const fill = (make: () => number): Tensor => ({ shape, data: Float32Array.from({ length: size }, make) });
      if (name === 'gamma') return fill(() => random.uniform(0.8, 1.2));
      if (name.endsWith('variance')) return fill(() => (inputs[0] ?? 1) * random.uniform(0.8, 1.2));
      if (name.endsWith('kernel')) {
        const depthwise = name === 'depthwise_kernel';
        const fanIn = size / (depthwise ? (shape[2] ?? 1) * (shape[3] ?? 1) : (shape.at(-1) ?? 1));
        return fill(() => random.normal(0, Math.sqrt(2 / fanIn)));
      }
      if (name === 'alpha') return fill(() => random.uniform(0.1, 0.3));
      return fill(() => random.normal(0, 0.05));
    });
    weights.set(node.name, tensors);
  }
  return bindWeights(graph, (node) => node.name, weights);
}
