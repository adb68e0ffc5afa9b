import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { File, Group } from 'h5wasm';
import yazl from 'yazl';
import { version } from '../version.js';
import { DATE, type Place, writeHdf5 } from './hdf5-write.js';
import { toSnakeCase } from './naming.js';
import type { WrittenLayer, WrittenModel } from './written.js';

/** The Keras whose formats are written. */
const KERAS_VERSION = '3.15.1';
/** Bytes of a file of weights of TensorFlow.js. */
const SHARD = 4 * 2 ** 20;

const history = (layer: string) => [layer, 0, 0];

/** Layers whose inputs are one list. */
const MERGES = new Set(['Add', 'Multiply', 'Subtract', 'Average', 'Maximum', 'Minimum', 'Concatenate']);

/** keras/src/models/functional.py, `get_config`. */
function kerasConfig(model: WrittenModel, name: string): unknown {
  const shapes = new Map(model.map((layer) => [layer.name, [null, ...layer.shape]]));
  const tensor = (from: string) => ({
    class_name: '__keras_tensor__',
    config: { shape: shapes.get(from), dtype: 'float32', keras_history: history(from) },
  });
  const layers = model.map((layer) => {
    const tensors = layer.inputs.map(tensor);
    const args = MERGES.has(layer.className) ? [tensors] : tensors;
    const own =
      layer.className === 'InputLayer' ? { batch_shape: shapes.get(layer.name), sparse: false } : layer.config;
    return {
      module: 'keras.layers',
      class_name: layer.className,
      config: { name: layer.name, dtype: 'float32', ...own },
      registered_name: null,
      name: layer.name,
      inbound_nodes: layer.inputs.length === 0 ? [] : [{ args, kwargs: {} }],
    };
  });
  return {
    module: 'keras.src.models.functional',
    class_name: 'Functional',
    config: { name, trainable: true, layers, ...ends(model) },
    registered_name: 'Functional',
  };
}

function ends(model: WrittenModel) {
  return {
    input_layers: [history(model[0]?.name ?? '')],
    output_layers: [history(model.at(-1)?.name ?? '')],
  };
}

/** Keras 2's form, which TensorFlow.js reads. */
function tfjsConfig(model: WrittenModel, name: string): unknown {
  const layers = model.map((layer) => ({
    class_name: layer.className,
    config: {
      name: layer.name,
      trainable: true,
      dtype: 'float32',
      ...(layer.className === 'InputLayer'
        ? { batch_input_shape: [null, ...layer.shape], sparse: false }
        : layer.config),
    },
    name: layer.name,
    inbound_nodes: layer.inputs.length === 0 ? [] : [layer.inputs.map((from) => [...history(from), {}])],
  }));
  return { class_name: 'Model', config: { name, layers, ...ends(model) } };
}

function put(group: Group, name: string, { tensor }: WrittenLayer['weights'][number]): void {
  group.create_dataset({ name, data: tensor.data, shape: [...tensor.shape], dtype: '<f' });
}

/** Where `byPlace` puts each weight. */
function placesByPlace(model: WrittenModel): Place[] {
  const stems = stemsOf(model);
  return model.flatMap(({ weights }, at) =>
    weights.map(({ tensor }, i) => ({ path: `layers/${stems[at]}/vars/${i}`, shape: tensor.shape })),
  );
}

/** A group a layer, named by class and number. */
function stemsOf(model: WrittenModel): string[] {
  const used = new Map<string, number>();
  return model.map(({ className }) => {
    const stem = toSnakeCase(className);
    const count = used.get(stem) ?? 0;
    used.set(stem, count + 1);
    return count === 0 ? stem : `${stem}_${count}`;
  });
}

/** Keras 3's layout: groups named by class and number, weights numbered (keras/src/saving/saving_lib.py). */
function byPlace(root: File, model: WrittenModel): void {
  const layers = root.create_group('layers');
  const stems = stemsOf(model);
  for (const [at, { weights }] of model.entries()) {
    const vars = layers.create_group(stems[at] ?? '').create_group('vars');
    for (const [i, weight] of weights.entries()) put(vars, String(i), weight);
  }
}

const texts = (group: Group, name: string, values: readonly string[]): void => {
  if (values.length === 0) group.create_attribute(name, [], [0], 'S1');
  else group.create_attribute(name, [...values]);
};

/** Where `byName` puts each weight. */
const placesByName = (model: WrittenModel): Place[] =>
  model.flatMap(({ name: layer, weights }) =>
    weights.map(({ name, tensor }) => ({ path: `model_weights/${layer}/${layer}/${name}`, shape: tensor.shape })),
  );

/** Keras's older layout: a group a layer (keras/src/legacy/saving/legacy_h5_format.py). */
function byName(root: File, model: WrittenModel): void {
  const all = root.create_group('model_weights');
  texts(
    all,
    'layer_names',
    model.map(({ name }) => name),
  );
  all.create_attribute('backend', 'tensorflow');
  all.create_attribute('keras_version', KERAS_VERSION);
  for (const { name, weights } of model) {
    const group = all.create_group(name);
    texts(
      group,
      'weight_names',
      weights.map((weight) => `${name}/${weight.name}`),
    );
    if (weights.length === 0) continue;
    const own = group.create_group(name);
    for (const weight of weights) put(own, weight.name, weight);
  }
}

/** What a file is written with: the model's name, and what travels in its metadata. */
export interface WriteOptions {
  readonly name: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** @returns the bytes of Keras's `.h5`; the metadata is its attribute `permafrost`, as JSON. The same model gives the same bytes. */
export function h5File(model: WrittenModel, { name, metadata }: WriteOptions): Promise<Uint8Array> {
  return writeHdf5(placesByName(model), (root) => {
    root.create_attribute('keras_version', KERAS_VERSION);
    root.create_attribute('backend', 'tensorflow');
    root.create_attribute('model_config', JSON.stringify(kerasConfig(model, name)));
    root.create_attribute('permafrost', JSON.stringify(metadata));
    byName(root, model);
  });
}

/** Bytes of a piece of a large file. */
const PIECE = 2 ** 20;

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
}

/**
 * @returns the bytes of Keras 3's `.keras`, a piece at a time; the metadata is the member `permafrost` of `metadata.json`. The same
 * model gives the same bytes.
 */
export async function archiveFile(
  model: WrittenModel,
  { name, metadata }: WriteOptions,
): Promise<AsyncIterable<Uint8Array>> {
  const weights = await writeHdf5(placesByPlace(model), (root) => byPlace(root, model));
  const about = { keras_version: KERAS_VERSION, date_saved: '1980-01-01@00:00:00', permafrost: metadata };
  const options = { mtime: DATE, mode: 0o100644, compress: false, forceDosTimestamp: true };
  const zip = new yazl.ZipFile();
  zip.addBuffer(Buffer.from(JSON.stringify(about)), 'metadata.json', options);
  zip.addBuffer(Buffer.from(JSON.stringify(kerasConfig(model, name))), 'config.json', options);
  const stream = Readable.from(pieces(weights), { objectMode: false });
  zip.addReadStream(stream, 'model.weights.h5', { ...options, size: weights.length });
  zip.end();
  return zip.outputStream as Readable;
}

/** The name of a file of weights holds the hash of its bytes, so that one model.json never leads to the weights of another. */
const shardName = (bytes: Uint8Array): string =>
  `weights-${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}.bin`;

/** @returns whether a name is one that `tfjsFiles` gives to weights */
export const isShard = (name: string): boolean => /^weights-[0-9a-f]{32}\.bin$/.test(name);

/**
 * @returns the files of a TensorFlow.js layers model: weights in shards, then `model.json`, which names them, and whose
 * `userDefinedMetadata` is the metadata. The same model gives the same bytes.
 */
export function tfjsFiles(
  model: WrittenModel,
  { name, metadata }: WriteOptions,
): (readonly [name: string, bytes: readonly Uint8Array[]])[] {
  const all = model.flatMap((layer) =>
    layer.weights.map((weight) => ({ ...weight, name: `${layer.name}/${weight.name}` })),
  );
  const bytes = Buffer.concat(
    all.map(({ tensor: { data } }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
  );
  const count = Math.max(1, Math.ceil(bytes.length / SHARD));
  const shards = Array.from({ length: count }, (_, i) => bytes.subarray(i * SHARD, (i + 1) * SHARD));
  const json = {
    format: 'layers-model',
    generatedBy: `permafrost ${version}`,
    convertedBy: null,
    modelTopology: { keras_version: '2.15.0', backend: 'tensorflow', model_config: tfjsConfig(model, name) },
    weightsManifest: [
      {
        paths: shards.map(shardName),
        weights: all.map(({ name, tensor }) => ({ name, shape: tensor.shape, dtype: 'float32' })),
      },
    ],
    userDefinedMetadata: metadata,
  };
  const distinct = new Map(shards.map((shard) => [shardName(shard), [shard]]));
  return [...distinct, [MODEL_JSON, [Buffer.from(JSON.stringify(json))]]];
}

/** The file that names the others of a TensorFlow.js model. */
export const MODEL_JSON = 'model.json';
