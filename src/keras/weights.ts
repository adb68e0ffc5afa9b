import { ModelError, WeightsError } from '../errors.js';
import type { Graph, Node, Tensor } from '../graph/graph.js';
import { checkWeights, inferShapes, inLayer, inputShapes, type WeightSpec, weightSpecs } from '../graph/infer.js';
import { withArchive } from './archive.js';
import { entries, readByOrder, readInside, strip } from './by-order.js';
import { refusePointer } from './foreign.js';
import { type Hdf5Group, head, withHdf5 } from './hdf5.js';
import { toSnakeCase } from './naming.js';
import { withWeights } from './owners.js';
import type { LayerEntry } from './reader.js';
import type { StoredLayer } from './stored-layer.js';
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
    if (!own || !names) throw new WeightsError(`${file}: the weights of layer ${layer.name} are missing`);
    const taken = new Set<string>();
    for (const owner of owners) {
      const wanted = specs.get(owner.path) ?? [];
      const mine = owner === layer ? names : within(names, owner, wanted);
      const twice = mine.find((name) => taken.size === taken.add(name).size);
      if (twice) throw new WeightsError(`${file}: two layers of ${layer.name} would take the weight ${twice}`);
      if (mine.length !== wanted.length) {
        throw new WeightsError(
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
      const endings = spellings(owner, name).map((one) => [...segments.slice(from), one].join('/'));
      const found = names.filter((other) =>
        endings.some((ending) => unnumbered(other) === ending || unnumbered(other).endsWith(`/${ending}`)),
      );
      if (found.length === 1) return found;
    }
    return [];
  });
}

/** The name of a weight without Keras 3's number of a variable that has no name. */
const unnumbered = (name: string): string => strip(name).replace(/\/variable_\d+$/, '/variable');

/**
 * What a weight may be called: Keras 3 calls the kernel of a DepthwiseConv2D so, Keras 2 depthwise_kernel; and ConvNeXt's LayerScale
 * gives its weight no name, so that it has Keras 3's for a variable.
 */
function spellings({ className }: LayerEntry, name: string): string[] {
  if (className === 'LayerScale') return [name, 'variable'];
  return className === 'DepthwiseConv2D' && name === 'depthwise_kernel' ? [name, 'kernel'] : [name];
}

/** Keras 3's layout: groups named by class and number, in the order of the layers; weights are numbered. */
export function readByPlace(
  group: Hdf5Group,
  layers: readonly LayerEntry[],
  specs: ReadonlyMap<string, WeightSpec[]>,
  file: string,
): Map<string, Tensor[]> {
  const weights = new Map<string, Tensor[]>();
  const groupOf = layerGroups(group, layers);
  for (const layer of layers) {
    const wanted = specs.get(layer.path) ?? [];
    if (wanted.length === 0 && layer.layers.length === 0) continue;
    const own = groupOf(layer);
    if (layer.layers.length > 0) {
      if (withWeights(layer, specs).length === 0) continue;
      if (!own) throw new WeightsError(`${file}: the weights of the nested model ${layer.path} are missing`);
      for (const [path, tensors] of readByPlace(own, layer.layers, specs, file)) weights.set(path, tensors);
      continue;
    }
    const inner = [...new Set(wanted.flatMap(({ place }) => (place === undefined ? [] : [place.split('/')[0] ?? ''])))];
    const groups = inner.length > 0 ? inner.map((name) => own?.child(name)) : [own];
    const held = groups.reduce((sum, group) => sum + (group?.child('vars')?.names().length ?? 0), 0);
    if (!own || held !== wanted.length) {
      throw new WeightsError(
        `${file}: layer ${layer.path} (${layer.className}) needs ${wanted.length} weights and the file holds ${held}`,
      );
    }
    weights.set(
      layer.path,
      wanted.map(({ shape, place }, i) => {
        const [inner = '', ...rest] = place?.split('/') ?? [];
        const from = place === undefined ? own : own.child(inner);
        return (from ?? own).tensor(place === undefined ? `vars/${i}` : rest.join('/'), shape);
      }),
    );
  }
  return weights;
}

/** The groups of layers within a model's group. */
const containerOf = (group: Hdf5Group): Hdf5Group | null =>
  group.child('layers') ?? group.child('_layer_checkpoint_dependencies');

const stemOf = ({ className }: LayerEntry): string => toSnakeCase(className === 'Model' ? 'Functional' : className);

/**
 * Which group holds a layer: those of one class are numbered. Keras 2.12 and 2.13 left numbers out, as layers with weights took two:
 * there their order says it.
 */
function layerGroups(group: Hdf5Group, layers: readonly LayerEntry[]): (layer: LayerEntry) => Hdf5Group | null {
  const container = containerOf(group);
  const isOld = group.child('layers') === null;
  const numbers = new Map<string, number[]>();
  for (const name of isOld ? (container?.names() ?? []) : []) {
    const [, stem = name, number = 0] = /^(.+)_(\d+)$/.exec(name) ?? [];
    numbers.set(
      stem,
      [...(numbers.get(stem) ?? []), Number(number)].sort((a, b) => a - b),
    );
  }
  const alike = new Map<string, LayerEntry[]>();
  for (const layer of layers) alike.set(stemOf(layer), [...(alike.get(stemOf(layer)) ?? []), layer]);
  return (layer) => {
    const stem = stemOf(layer);
    const all = alike.get(stem) ?? [];
    const place = all.indexOf(layer);
    const known = numbers.get(stem) ?? [];
    const number = isOld ? (known.length === all.length ? known[place] : undefined) : place;
    return number === undefined ? null : (container?.child(number === 0 ? stem : `${stem}_${number}`) ?? null);
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

/** Opens the weights of a file: HDF5, alone or within a `.keras` archive. */
async function openWeights<T>(file: string, use: (root: Hdf5Group) => T): Promise<T> {
  const start = await head(file, 64);
  refusePointer(file, start);
  if (start[0] !== 0x50 || start[1] !== 0x4b) return withHdf5(file, use);
  return withArchive(file, ({ weights }) => withHdf5(weights, use, file));
}

/**
 * Keras 3's layout: the weights of the architecture, or of a model within the model that is it.
 * @throws WeightsError for what does not fit the file's own layers
 */
function readGroups(
  root: Hdf5Group,
  graph: Graph,
  specs: ReadonlyMap<string, WeightSpec[]>,
  file: string,
): Map<string, Tensor[]> {
  const failures: WeightsError[] = [];
  const search = (group: Hdf5Group, depth: number): Map<string, Tensor[]> | null => {
    try {
      return readByPlace(group, entries(graph), specs, file);
    } catch (error) {
      if (!(error instanceof WeightsError)) throw error;
      failures.push(error);
    }
    const layers = containerOf(group);
    for (const name of depth < MAX_DEPTH ? (layers?.names() ?? []) : []) {
      const inner = layers?.child(name);
      const found = inner && containerOf(inner) ? search(inner, depth + 1) : null;
      if (found) return found;
    }
    return null;
  };
  const found = search(root, 0);
  if (found) return found;
  throw failures[0];
}

/** How deep models lie within models. */
const MAX_DEPTH = 4;

/** The shapes of all weights in a file of weights, in no certain order. */
export async function weightShapes(file: string): Promise<(readonly number[])[]> {
  const all = (layers: readonly StoredLayer[]): (readonly number[])[] =>
    layers.flatMap(({ own, weightNames }) => weightNames.map((name) => own.shape(name) ?? []));
  if (isTfjs(file)) return all((await readTfjs(file)).weights.layers());
  return openWeights(file, (root) => {
    const legacy = root.child('model_weights') ?? root;
    return legacy.texts('layer_names') ? all(storedLayers(legacy)) : varShapes(root, 0);
  });
}

/** Keras 3 keeps the weights of a layer in its group `vars`. */
function varShapes(group: Hdf5Group, depth: number): number[][] {
  if (depth > 16) return [];
  return group.names().flatMap((name) => {
    const child = group.child(name);
    if (!child) return [];
    if (name !== 'vars') return varShapes(child, depth + 1);
    return child.names().flatMap((variable) => {
      const shape = child.shape(variable);
      return shape ? [shape] : [];
    });
  });
}

/**
 * Fills an architecture from a file of weights: Keras's older HDF5 layout (by order among the layers with weights; names are
 * compared where Keras gives the layer an explicit one), whole-model files of it, Keras 3's `.weights.h5` and `.keras`, and the
 * weights of a TensorFlow.js `model.json`, by order too. The architecture may be a part of what the file holds: a model within the
 * model, or its first layers.
 * @throws WeightsError when the file does not fit, ModelError when it cannot be read
 */
export async function loadWeights(graph: Graph, file: string): Promise<Graph> {
  const specs = specsByLayer(graph, (node) => node.name);
  const weights = await readInto(graph, specs, file);
  try {
    return bindWeights(graph, (node) => node.name, weights);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(`${file}: ${error.message}: give another file of weights`, { cause: error });
  }
}

async function readInto(
  graph: Graph,
  specs: ReadonlyMap<string, WeightSpec[]>,
  file: string,
): Promise<Map<string, Tensor[]>> {
  if (isTfjs(file)) return readByOrder((await readTfjs(file)).weights.layers(), graph, specs, file);
  return openWeights(file, (root) => {
    const legacy = root.child('model_weights') ?? root;
    if (legacy.texts('layer_names')) return readInside(storedLayers(legacy), graph, specs, file);
    if (containerOf(root)) return readGroups(root, graph, specs, file);
    throw new WeightsError(
      `${file} holds no Keras weights, neither layer_names nor a group of layers: give a file of model.save_weights or a whole model`,
    );
  });
}
