import { WeightsError } from '../errors.js';
import { classOf, type Graph, type Tensor } from '../graph/graph.js';
import { show, type WeightSpec } from '../graph/infer.js';
import { isAutoName } from './naming.js';
import { withWeights } from './owners.js';
import type { LayerEntry } from './reader.js';
import type { StoredLayer } from './stored-layer.js';

/** The name of a weight without TensorFlow's number of its output. */
export const strip = (name: string): string => name.replace(/:\d+$/, '');
/** The last part of the name of a weight. */
export const leaf = (name: string): string => strip(name).split('/').at(-1) ?? '';

/** Whether the file and the architecture differ in having a classifier, by the usual names of one. */
function hint(fileLayers: readonly string[], graphLayers: readonly string[]): string {
  const isTop = (name: string): boolean =>
    /^(predictions|conv_preds|fc\d*|logits|dense.*|classifier.*|.*_head_dense)$/.test(name);
  const fileTop = fileLayers.some(isTop);
  const graphTop = graphLayers.some(isTop);
  if (fileTop && !graphTop) return '; the file holds a classifier too: it is one with top';
  if (!fileTop && graphTop) return '; the file holds no classifier: it is one without top (no_top)';
  return '';
}

/** The layers of an architecture as Keras lists them: nodes named `outer/inner` stand in a Sequential. */
export function entries(graph: Graph): LayerEntry[] {
  const layers = new Map<string, LayerEntry & { layers: LayerEntry[] }>();
  for (const node of graph.nodes) {
    const [outer = '', inner] = node.name.split('/');
    const entry = { name: inner ?? outer, className: classOf(node), path: node.name, layers: [] };
    const model = layers.get(outer) ?? { name: outer, className: 'Sequential', path: outer, layers: [] };
    if (inner === undefined) layers.set(outer, entry);
    else layers.set(outer, { ...model, layers: [...model.layers, entry] });
  }
  return [...layers.values()];
}

/** Matches the layers of a file and of an architecture by their order among those that have weights. */
export function readByOrder(
  groups: readonly StoredLayer[],
  graph: Graph,
  specs: ReadonlyMap<string, WeightSpec[]>,
  file: string,
): Map<string, Tensor[]> {
  const layers = entries(graph).flatMap((layer) => {
    const owners = withWeights(layer, specs);
    return owners.length > 0 ? [{ ...layer, owners }] : [];
  });
  const listed = groups.map(({ name }) => name);
  const wantedNames = layers.map(({ name }) => name);
  if (groups.length !== layers.length) {
    throw new WeightsError(
      `${file} holds weights of ${groups.length} layers, the architecture has ${layers.length}${hint(listed, wantedNames)}`,
    );
  }
  const weights = new Map<string, Tensor[]>();
  for (const [i, layer] of layers.entries()) {
    const found = groups[i] as StoredLayer;
    if (!isAutoName(layer.name, layer.className) && found.name !== layer.name) {
      throw new WeightsError(
        `${file}: layer ${i + 1} of those with weights is ${found.name}, the architecture has ${layer.name} there` +
          hint(listed, wantedNames),
      );
    }
    const wanted = layer.owners.flatMap(({ path }) => (specs.get(path) ?? []).map((spec) => ({ path, ...spec })));
    if (found.weightNames.length !== wanted.length) {
      throw new WeightsError(
        `${file}: layer ${found.name} holds ${found.weightNames.length} weights (${found.weightNames.map(leaf).join(', ')}), ` +
          `${layer.name} needs ${wanted.length} (${wanted.map(({ name }) => name).join(', ')})`,
      );
    }
    for (const [j, { path, name, shape }] of wanted.entries()) {
      const dataset = found.weightNames[j] ?? '';
      const stored = found.own.shape(dataset);
      if (stored && stored.join() !== shape.join()) {
        throw new WeightsError(
          `${file}: ${name} of layer ${found.name} has shape ${show(stored)}, ${path} needs ${show(shape)}`,
        );
      }
      weights.set(path, [...(weights.get(path) ?? []), found.own.tensor(dataset, shape)]);
    }
  }
  return weights;
}

/** The layers of a model that a file keeps as one layer, whose weights are named `layer/weight`, in the order of their first weights. */
function split({ own, weightNames }: StoredLayer): StoredLayer[] {
  const parts = new Map<string, string[]>();
  for (const name of weightNames) {
    const layer = strip(name).split('/').slice(0, -1).join('/');
    parts.set(layer, [...(parts.get(layer) ?? []), name]);
  }
  return [...parts].map(([path, names]) => ({ name: path.split('/').at(-1) ?? '', own, weightNames: names }));
}

/** The layers of a file in the order of the architecture: those that it names by name, the others as they come. */
function arranged(
  stored: readonly StoredLayer[],
  graph: Graph,
  specs: ReadonlyMap<string, WeightSpec[]>,
): StoredLayer[] {
  const layers = entries(graph).filter((layer) => withWeights(layer, specs).length > 0);
  const named = new Map(stored.map((layer) => [layer.name, layer]));
  const isNamed = ({ name, className }: LayerEntry): boolean => !isAutoName(name, className) && named.has(name);
  const taken = new Set(layers.filter(isNamed).map(({ name }) => name));
  const rest = stored.filter(({ name }) => !taken.has(name));
  return layers.flatMap((layer) => (isNamed(layer) ? named.get(layer.name) : rest.shift()) ?? []);
}

/**
 * The weights of an architecture out of a file that holds it, or a whole model of which it is a part: a model that the file keeps as
 * one layer, or as many of its layers in a row.
 * @throws WeightsError for what does not fit the file as a whole
 */
export function readInside(
  stored: readonly StoredLayer[],
  graph: Graph,
  specs: ReadonlyMap<string, WeightSpec[]>,
  file: string,
): Map<string, Tensor[]> {
  const own = entries(graph).filter((layer) => withWeights(layer, specs).length > 0);
  const count = own.length;
  // What has a name of its own in the file is another layer than one that has none here: ConvNeXt's head ends in one.
  const fits = (layers: readonly StoredLayer[]): boolean =>
    layers.every(({ name }, i) => {
      const { name: wanted = '', className = '' } = own[i] ?? {};
      return !isAutoName(wanted, className) || isAutoName(name, className);
    });
  const nested = stored.map(split).filter((layers) => layers.length === count && stored.length !== count);
  const runs = Array.from({ length: Math.max(stored.length - count, 0) }, (_, i) => stored.slice(i, i + count));
  for (const layers of [...nested.map((one) => arranged(one, graph, specs)), ...(count > 1 ? runs : [])].filter(fits)) {
    try {
      return readByOrder(layers, graph, specs, file);
    } catch (error) {
      if (!(error instanceof WeightsError)) throw error;
    }
  }
  return readByOrder(stored, graph, specs, file);
}
