import { ModelError } from '../errors.js';
import type { Graph, Node } from '../graph/graph.js';
import { cutAt } from '../graph/passes.js';
import { suggestLayers } from '../graph/suggest.js';
import { joinChannels } from './channel-order.js';
import { isFields, isText } from './json.js';
import { MODELS } from './layer-configs.js';
import { type LayerEntry, Reader } from './reader.js';

export type { LayerEntry };

/** A model's architecture: its nodes without weights, and the layers that the weights of a file belong to. */
export interface Architecture {
  /** All that the file lists; layers that are not supported, and all that depend on them, are `Refused`. */
  readonly nodes: readonly Node[];
  /** Names of the nodes by which something comes in, and of those that the model gives. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** The last node of each model within the model, by its path. */
  readonly models: ReadonlyMap<string, string>;
  /** In the order of `model.layers`. */
  readonly layers: readonly LayerEntry[];
  /** Layer path of each node that holds weights. */
  readonly layerOf: ReadonlyMap<string, string>;
  /** What people should know of how it is read, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Reads a Keras model config (Functional or Sequential, Keras 2 or 3).
 * @param source the file, for messages
 * @param version Keras version that wrote it, where the file says so; some activations changed their meaning with Keras 3
 * @throws ModelError for a config that is no model's
 */
export function readArchitecture(json: unknown, source: string, version: string | null = null): Architecture {
  if (!isFields(json) || !isText(json.class_name) || json.class_name.length > 512)
    throw new ModelError(`${source}: its config names no model class: ${again(source)}`);
  const { class_name: className } = json;
  if (!MODELS.includes(className as string)) {
    throw new ModelError(
      `${source}: the model class ${className} is not supported: save a Functional or Sequential model, or ${convert(source)}`,
    );
  }
  const keras3 = version === null ? 'module' in json : Number.parseInt(version, 10) >= 3;
  const reader = new Reader(source, keras3);
  const { outputs, layers } = readable(source, () => reader.model(className as string, json.config, '', null));
  const { inputs, models, layerOf, policies, shapes } = reader;
  const notes = [...policies].map(
    (policy) =>
      `${source} was saved with the policy ${policy}: it runs in float32, and its vectors differ by as much as that rounds`,
  );
  return { nodes: joinChannels(reader.nodes, shapes), inputs, outputs, models, layers, layerOf, notes };
}

/** What to do with a file whose config holds together in no way that Keras has. */
const again = (source: string): string => `save the model again with Keras, or ${convert(source)}`;

/** Puts behind what is the matter with a config what to do. */
function readable<T>(source: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(`${error.message}: ${again(source)}`, { cause: error });
  }
}

/** What to do with a model that holds what is not supported: the command that makes an ONNX model of it. */
export const convert = (source: string, className = ''): string =>
  source.endsWith('.json')
    ? 'use the Keras model that it was made from'
    : className === 'KerasLayer'
      ? `make an ONNX model of it: python -c "import tf_keras, tensorflow_hub as hub; tf_keras.models.load_model('${source}', custom_objects={'KerasLayer': hub.KerasLayer}).export('saved')" && python -m tf2onnx.convert --saved-model saved --output model.onnx`
      : `make an ONNX model of it: python -c "import keras; keras.models.load_model('${source}', compile=False, safe_mode=False).export('model.onnx', format='onnx')"`;

/**
 * The part of a model that one layer depends on.
 * @param layer a node, or a model within the model; default: the model's one output
 * @throws ModelError where there is no such layer, where it depends on layers that are not supported, or on several inputs
 */
export function graphAt(architecture: Architecture, source: string, layer?: string): Graph {
  const { nodes, inputs, outputs, models } = architecture;
  const tap = layer ?? outputs[0] ?? '';
  const output = models.get(tap) ?? tap;
  if (layer === undefined && outputs.length !== 1) {
    const names = outputs.slice(0, 8).join(', ');
    throw new ModelError(
      `${source}: the model has ${outputs.length} outputs (${names}): give --layer the layer to tap, ${suggestLayers(architecture)}`,
    );
  }
  if (nodes.every(({ name }) => name !== output)) {
    throw new ModelError(`${source} has no layer ${JSON.stringify(tap)}: ${suggestLayers(architecture, tap)}`);
  }
  const cut = cutAt({ nodes, input: '', output }, output);
  const refused = cut.nodes.find(({ op }) => op.kind === 'Refused');
  if (refused?.op.kind === 'Refused') {
    throw new ModelError(
      `${refused.op.reason}: tap a layer before it with --layer, or ${convert(source, refused.op.className)}`,
    );
  }
  const taken = inputs.filter((name) => cut.nodes.some((node) => node.name === name));
  const [input] = taken;
  if (input === undefined || taken.length > 1) {
    throw new ModelError(
      `${source}: ${output} depends on ${taken.length} inputs (${taken.join(', ')}), a base must have one: give --layer one that depends on the image alone`,
    );
  }
  return { ...cut, input };
}

/** @returns the graph of a Keras model config, without weights; see `readArchitecture` and `graphAt` */
export function graphFromConfig(json: unknown, source: string, version: string | null = null): Graph {
  return graphAt(readArchitecture(json, source, version), source);
}
