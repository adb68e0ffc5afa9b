import { ModelError } from '../errors.js';
import type { Graph, Node } from '../graph/graph.js';
import { withArchive } from './archive.js';
import { type Architecture, readArchitecture } from './config.js';
import { head, withHdf5 } from './hdf5.js';
import { isText, parseFields } from './json.js';
import { readTfjs } from './tfjs.js';
import { bindWeights, readByName, readByPlace, specsByLayer, withWeights } from './weights.js';

/** Puts the file in front of what a later check says. */
function inFile<T>(file: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof ModelError && !error.message.startsWith(file)) {
      throw new ModelError(`${file}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

const layerOf =
  ({ layerOf }: Architecture) =>
  (node: Node): string =>
    layerOf.get(node.name) ?? node.name;

async function readWholeH5(file: string): Promise<Graph> {
  return withHdf5(file, (root) => {
    const config = root.text('model_config');
    const group = root.child('model_weights');
    if (config === null || !group) {
      throw new ModelError(
        `${file} holds weights without an architecture: give them as --weights with a named base, or save the whole model`,
      );
    }
    const architecture = readArchitecture(parseFields(config, file), file, root.text('keras_version'));
    return inFile(file, () => {
      const specs = specsByLayer(architecture.graph, layerOf(architecture));
      const weights = readByName(group, architecture.layers, specs, file);
      return bindWeights(architecture.graph, layerOf(architecture), weights);
    });
  });
}

async function readArchive(file: string): Promise<Graph> {
  return withArchive(file, async ({ config, metadata, weights }) => {
    const version = metadata === null ? null : parseFields(metadata, file).keras_version;
    const architecture = readArchitecture(parseFields(config, file), file, isText(version) ? version : null);
    return withHdf5(
      weights,
      (root) =>
        inFile(file, () => {
          const specs = specsByLayer(architecture.graph, layerOf(architecture));
          const tensors = readByPlace(root, architecture.layers, specs, file);
          return bindWeights(architecture.graph, layerOf(architecture), tensors);
        }),
      file,
    );
  });
}

async function readLayersModel(file: string): Promise<Graph> {
  const { topology, weights } = await readTfjs(file);
  if (topology === null) {
    throw new ModelError(
      `${file} holds weights without an architecture: give them as --weights with a named base, for example --base mobilenet`,
    );
  }
  const architecture = readArchitecture(topology.config, file, topology.version);
  return inFile(file, () => {
    const specs = specsByLayer(architecture.graph, layerOf(architecture));
    const owners = architecture.layers.flatMap((layer) => withWeights(layer, specs));
    const tensors = new Map(
      owners.map(({ path }) => [
        path,
        (specs.get(path) ?? []).map(({ name, shape }) => weights.find(path, name, shape)),
      ]),
    );
    return bindWeights(architecture.graph, layerOf(architecture), tensors);
  });
}

/**
 * Reads a whole model with its weights: `.h5` of Keras 2 and 3, `.keras` of Keras 3, and the `model.json` of a TensorFlow.js
 * layers model, told apart by content.
 * @throws ModelError when the file is no such model, is damaged, or holds what is not supported
 */
export async function readModel(file: string): Promise<Graph> {
  const start = await head(file, 8);
  if (start[0] === 0x50 && start[1] === 0x4b) return readArchive(file);
  if (start[0] === 0x89 && start[1] === 0x48) return readWholeH5(file);
  if (/^\s*\{/.test(start.toString('latin1'))) return readLayersModel(file);
  throw new ModelError(
    start.length === 0
      ? `${file} is empty: expected a Keras model`
      : `${file} is neither a .keras archive nor an HDF5 file nor a model.json`,
  );
}
