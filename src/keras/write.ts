import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import * as h5wasm from 'h5wasm/node';
import yazl from 'yazl';
import { version } from '../version.js';
import { toSnakeCase } from './naming.js';
import type { WrittenLayer, WrittenModel } from './written.js';

/** The Keras whose formats are written. */
const KERAS_VERSION = '3.15.1';
/** The one date in every file, so that the same model gives the same bytes: the first that zip files can hold. */
const DATE = new Date(Date.UTC(1980, 0, 1));
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

/** Writes an HDF5 file. HDF5 stamps its data sets with the time, which would make each file differ. */
async function writeHdf5(file: string, fill: (root: h5wasm.File) => void): Promise<void> {
  await h5wasm.ready;
  const now = Date.now;
  Date.now = () => DATE.getTime();
  try {
    const root = new h5wasm.File(file, 'w');
    try {
      fill(root);
    } finally {
      root.close();
    }
  } finally {
    Date.now = now;
  }
}

function put(group: h5wasm.Group, name: string, { tensor }: WrittenLayer['weights'][number]): void {
  group.create_dataset({ name, data: tensor.data, shape: [...tensor.shape], dtype: '<f' });
}

/** Keras 3's layout: groups named by class and number, weights numbered (keras/src/saving/saving_lib.py). */
function byPlace(root: h5wasm.File, model: WrittenModel): void {
  const layers = root.create_group('layers');
  const used = new Map<string, number>();
  for (const { className, weights } of model) {
    const stem = toSnakeCase(className);
    const count = used.get(stem) ?? 0;
    used.set(stem, count + 1);
    const vars = layers.create_group(count === 0 ? stem : `${stem}_${count}`).create_group('vars');
    for (const [i, weight] of weights.entries()) put(vars, String(i), weight);
  }
}

const texts = (group: h5wasm.Group, name: string, values: readonly string[]): void => {
  if (values.length === 0) group.create_attribute(name, [], [0], 'S1');
  else group.create_attribute(name, [...values]);
};

/** Keras's older layout: a group a layer (keras/src/legacy/saving/legacy_h5_format.py). */
function byName(root: h5wasm.File, model: WrittenModel): void {
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

/** Makes a file under a temporary name beside it, and puts it in place when it is whole. */
async function whole(file: string, write: (temporary: string) => Promise<void>): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const temporary = path.join(path.dirname(file), `_tmp-${process.pid}-${path.basename(file)}`);
  try {
    await write(temporary);
    await rename(temporary, file);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Writes Keras's `.h5`; the metadata is its attribute `permafrost`, as JSON. The same model gives the same bytes. */
export function writeH5(file: string, model: WrittenModel, { name, metadata }: WriteOptions): Promise<void> {
  return whole(file, (temporary) =>
    writeHdf5(temporary, (root) => {
      root.create_attribute('keras_version', KERAS_VERSION);
      root.create_attribute('backend', 'tensorflow');
      root.create_attribute('model_config', JSON.stringify(kerasConfig(model, name)));
      root.create_attribute('permafrost', JSON.stringify(metadata));
      byName(root, model);
    }),
  );
}

/** Writes Keras 3's `.keras`; the metadata is the member `permafrost` of `metadata.json`. The same model gives the same bytes. */
export async function writeArchive(file: string, model: WrittenModel, { name, metadata }: WriteOptions): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'permafrost-'));
  try {
    const weights = path.join(folder, 'model.weights.h5');
    await writeHdf5(weights, (root) => byPlace(root, model));
    const about = { keras_version: KERAS_VERSION, date_saved: '1980-01-01@00:00:00', permafrost: metadata };
    const options = { mtime: DATE, mode: 0o100644, compress: false, forceDosTimestamp: true };
    await whole(file, async (temporary) => {
      const zip = new yazl.ZipFile();
      zip.addBuffer(Buffer.from(JSON.stringify(about)), 'metadata.json', options);
      zip.addBuffer(Buffer.from(JSON.stringify(kerasConfig(model, name))), 'config.json', options);
      zip.addFile(weights, 'model.weights.h5', options);
      zip.end();
      await pipeline(zip.outputStream, createWriteStream(temporary));
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes a TensorFlow.js layers model into a folder: weights in shards, then `model.json`, whose `userDefinedMetadata` is the metadata. */
export async function writeTfjs(folder: string, model: WrittenModel, { name, metadata }: WriteOptions): Promise<void> {
  const all = model.flatMap((layer) =>
    layer.weights.map((weight) => ({ ...weight, name: `${layer.name}/${weight.name}` })),
  );
  const bytes = Buffer.concat(
    all.map(({ tensor: { data } }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
  );
  const count = Math.max(1, Math.ceil(bytes.length / SHARD));
  const paths = Array.from({ length: count }, (_, i) => `group1-shard${i + 1}of${count}.bin`);
  const json = {
    format: 'layers-model',
    generatedBy: `permafrost ${version}`,
    convertedBy: null,
    modelTopology: { keras_version: '2.15.0', backend: 'tensorflow', model_config: tfjsConfig(model, name) },
    weightsManifest: [
      { paths, weights: all.map(({ name, tensor }) => ({ name, shape: tensor.shape, dtype: 'float32' })) },
    ],
    userDefinedMetadata: metadata,
  };
  await mkdir(folder, { recursive: true });
  for (const [i, name] of paths.entries()) {
    await writeFile(path.join(folder, name), bytes.subarray(i * SHARD, (i + 1) * SHARD));
  }
  await whole(path.join(folder, 'model.json'), (temporary) => writeFile(temporary, JSON.stringify(json)));
}
