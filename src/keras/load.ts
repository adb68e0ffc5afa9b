import { ModelError, WeightsError } from '../errors.js';
import type { Graph, Node, Tensor } from '../graph/graph.js';
import type { WeightSpec } from '../graph/infer.js';
import { withArchive } from './archive.js';
import { type Architecture, graphAt, readArchitecture } from './config.js';
import { refuseForeign } from './foreign.js';
import { head, withHdf5 } from './hdf5.js';
import { isText, parseFields } from './json.js';
import { withWeights } from './owners.js';
import { readTfjs } from './tfjs.js';
import { bindWeights, readByName, readByPlace, specsByLayer } from './weights.js';

/** Puts the file in front of what a later check says, and what to do behind. */
function inFile<T>(file: string, advice: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(`${file}: ${error.message}: ${advice}`, { cause: error });
  }
}

/** A file whose weights do not fit its own layers. */
function whole<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof WeightsError)) throw error;
    throw new ModelError(`${error.message}: ${AGAIN}`, { cause: error });
  }
}

const AGAIN = 'copy or save the model again';

/** A model out of a file, cut at a layer: the graph with its weights. */
export interface Model extends Graph {
  /** What people should know of how it is read, a sentence each. */
  readonly notes: readonly string[];
}

type ReadWeights = (specs: ReadonlyMap<string, WeightSpec[]>) => Map<string, Tensor[]>;

/** The part of an architecture that a layer depends on, with the weights that it needs and no others. */
function bind(architecture: Architecture, file: string, layer: string | undefined, read: ReadWeights): Model {
  const graph = graphAt(architecture, file, layer);
  const layerOf = ({ name }: Node): string => architecture.layerOf.get(name) ?? '';
  const specs = inFile(file, 'tap another layer with --layer', () => specsByLayer(graph, layerOf));
  const weights = whole(() => read(specs));
  const bound = inFile(file, AGAIN, () => bindWeights(graph, layerOf, weights));
  return { ...bound, notes: architecture.notes };
}

/** What a model file holds, before any layer of it is asked for. */
interface Opened {
  readonly architecture: Architecture;
  bind(layer: string | undefined): Model;
}

async function openH5<T>(file: string, use: (opened: Opened) => T): Promise<T> {
  return withHdf5(file, (root) => {
    const config = root.text('model_config');
    const group = root.child('model_weights');
    if (root.names().length === 0) throw new ModelError(`${file} holds nothing: copy or save the model again`);
    if (config === null || !group) {
      throw new ModelError(
        `${file} holds weights without an architecture: give them as --weights with a named base, or save the whole model`,
      );
    }
    const architecture = readArchitecture(parseFields(config, file), file, root.text('keras_version'));
    const read: ReadWeights = (specs) => readByName(group, architecture.layers, specs, file);
    return use({ architecture, bind: (layer) => bind(architecture, file, layer, read) });
  });
}

async function openArchive<T>(file: string, use: (opened: Opened) => T): Promise<T> {
  return withArchive(file, async ({ config, metadata, weights }) => {
    const version = metadata === null ? null : parseFields(metadata, file).keras_version;
    const architecture = readArchitecture(parseFields(config, file), file, isText(version) ? version : null);
    return withHdf5(
      weights,
      (root) => {
        const read: ReadWeights = (specs) => readByPlace(root, architecture.layers, specs, file);
        return use({ architecture, bind: (layer) => bind(architecture, file, layer, read) });
      },
      file,
    );
  });
}

async function openTfjs<T>(file: string, use: (opened: Opened) => T): Promise<T> {
  const { topology, weights } = await readTfjs(file);
  if (topology === null) {
    throw new ModelError(
      `${file} holds weights without an architecture: give them as --weights with a named base, for example --base mobilenet`,
    );
  }
  const architecture = readArchitecture(topology.config, file, topology.version);
  const read: ReadWeights = (specs) => {
    const owners = architecture.layers.flatMap((layer) => withWeights(layer, specs));
    return new Map(
      owners.map(({ path }) => [
        path,
        (specs.get(path) ?? []).map(({ name, shape }) => weights.find(path, name, shape)),
      ]),
    );
  };
  return use({ architecture, bind: (layer) => bind(architecture, file, layer, read) });
}

/** Opens a model file by what it begins with. */
async function open<T>(file: string, use: (opened: Opened) => T): Promise<T> {
  await refuseForeign(file);
  const start = await head(file, 8);
  if (start[0] === 0x50 && start[1] === 0x4b) return openArchive(file, use);
  if (start[0] === 0x89 && start[1] === 0x48) return openH5(file, use);
  if (/^\s*\{/.test(start.toString('latin1'))) return openTfjs(file, use);
  throw new ModelError(
    start.length === 0
      ? `${file} is empty: copy or save the model again`
      : `${file} is neither a .keras archive nor an HDF5 file nor a model.json, and no other kind of model that is known: give one of them, or an ONNX model`,
  );
}

/**
 * Reads a model with its weights: `.h5` of Keras 2 and 3, `.keras` of Keras 3, and the `model.json` of a TensorFlow.js layers
 * model, told apart by content.
 * @param layer what is read is all that this layer, or model within the model, depends on. Default: the model's one output
 * @throws ModelError when the file is no such model, is damaged, or when what the layer depends on is not supported
 */
export function readModel(file: string, layer?: string): Promise<Model> {
  return open(file, ({ bind }) => bind(layer));
}

/** Reads the architecture of such a file alone: all its layers, those that are not supported too. */
export function readOutline(file: string): Promise<Architecture> {
  return open(file, ({ architecture }) => architecture);
}
