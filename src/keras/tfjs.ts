import path from 'node:path';
import { ModelError, WeightsError } from '../errors.js';
import { besideModel } from '../files/beside.js';
import { openRegular, readNamed, whyUnreadable } from '../files/index.js';
import { fromFloat16 } from '../float16.js';
import type { Tensor } from '../graph/graph.js';
import { show } from '../graph/infer.js';
import { isFields, isNumber, isText, parseFields, shown } from './json.js';
import type { StoredLayer } from './stored-layer.js';

const MAX_JSON = 64 * 2 ** 20;
const MAX_BYTES = 2 ** 32;
const MAX_RANK = 8;
const AGAIN = 'export the model again';

/** Whether a file of weights is the JSON of TensorFlow.js, by its name. */
export const isTfjs = (file: string): boolean => path.extname(file).toLowerCase() === '.json';

/** How quantized values become float32: value * scale + min, as tfjs-core's io_utils.ts decodes them. */
interface Quantization {
  readonly scale: number;
  readonly min: number;
}

type StoredType = 'float32' | 'float16' | 'uint8' | 'uint16' | 'int32' | 'bool';
const WIDTH: Readonly<Record<StoredType, number>> = { float32: 4, float16: 2, uint8: 1, uint16: 2, int32: 4, bool: 1 };

interface Entry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: StoredType;
  readonly quantization: Quantization | null;
  /** Values. */
  readonly size: number;
}

/** The weights of a TensorFlow.js model, decoded to float32, under their names there: `layer/weight`. */
export class TfjsWeights {
  constructor(
    private readonly tensors: ReadonlyMap<string, Tensor>,
    private readonly file: string,
  ) {}

  /** By layer, in the order in which layers first appear. */
  layers(): StoredLayer[] {
    const names = new Map<string, string[]>();
    for (const name of this.tensors.keys()) {
      const layer = name.slice(0, Math.max(name.lastIndexOf('/'), 0));
      names.set(layer, [...(names.get(layer) ?? []), name]);
    }
    const own = {
      shape: (name: string) => this.tensors.get(name)?.shape ?? null,
      tensor: (name: string, shape: readonly number[]) => this.take(name, shape),
    };
    return [...names].map(([name, weightNames]) => ({ name, weightNames, own }));
  }

  /**
   * A weight of a layer, by the longest ending of the layer's path that the file knows: TensorFlow.js leaves out the names of nested
   * models.
   * @throws ModelError when it is missing or has another shape
   */
  find(layer: string, weight: string, shape: readonly number[]): Tensor {
    const segments = layer.split('/');
    for (let from = 0; from < segments.length; from++) {
      const name = [...segments.slice(from), weight].join('/');
      if (this.tensors.has(name)) return this.take(name, shape);
    }
    throw new WeightsError(`${this.file}: the weight ${weight} of layer ${layer} is missing`);
  }

  private take(name: string, shape: readonly number[]): Tensor {
    const found = this.tensors.get(name);
    if (found?.shape.join() !== shape.join()) {
      throw new WeightsError(`${this.file}: ${name} has shape ${show(found?.shape ?? [])}, expected ${show(shape)}`);
    }
    return found;
  }
}

function readEntry(item: unknown, file: string): Entry {
  const name = isFields(item) ? item.name : undefined;
  if (!isFields(item) || !isText(name)) throw new ModelError(`${file}: a weight of its manifest has no name: ${AGAIN}`);
  const where = `${file}: weight ${name.slice(0, 200)}`;
  const { shape, dtype, quantization } = item;
  const fits = (n: unknown): n is number => isNumber(n) && Number.isInteger(n) && n >= 0;
  if (!Array.isArray(shape) || shape.length > MAX_RANK || !shape.every(fits)) {
    throw new ModelError(`${where}: its shape must be a list of whole numbers, found ${shown(shape)}: ${AGAIN}`);
  }
  const size = shape.reduce<number>((a, b) => a * b, 1);
  if (size * 4 > MAX_BYTES)
    throw new ModelError(`${where}: shape ${show(shape)} takes more than ${MAX_BYTES} bytes: ${AGAIN}`);
  // Counters and switches of layers, such as the count of a Normalization.
  if ((dtype === 'int32' || dtype === 'bool') && !quantization) {
    return { name, shape, type: dtype, quantization: null, size };
  }
  if (dtype !== 'float32')
    throw new ModelError(`${where}: it is stored as ${shown(dtype)}, expected float32: ${AGAIN}`);
  if (quantization === undefined || quantization === null)
    return { name, shape, type: 'float32', quantization: null, size };
  const { dtype: type, scale, min } = isFields(quantization) ? quantization : {};
  if (type === 'float16') return { name, shape, type, quantization: null, size };
  if ((type !== 'uint8' && type !== 'uint16') || !isNumber(scale) || !isNumber(min)) {
    throw new ModelError(
      `${where}: its quantization must be float16, or uint8 or uint16 with scale and min, found ${shown(quantization)}: ${AGAIN}`,
    );
  }
  return { name, shape, type, quantization: { scale, min }, size };
}

function decode({ type, quantization, size }: Entry, bytes: Uint8Array): Float32Array {
  const { buffer } = new Uint8Array(bytes); // a copy, aligned
  if (type === 'float32') return new Float32Array(buffer, 0, size);
  if (type === 'float16') return fromFloat16(new Uint16Array(buffer, 0, size));
  if (type === 'int32') return Float32Array.from(new Int32Array(buffer, 0, size));
  const { scale, min } = quantization ?? { scale: 1, min: 0 };
  const values = type === 'uint16' ? new Uint16Array(buffer, 0, size) : new Uint8Array(buffer, 0, size);
  return Float32Array.from(values, (value) => value * scale + min);
}

async function sizeOf(file: string): Promise<number> {
  const handle = await openRegular(file);
  try {
    return (await handle.stat()).size;
  } finally {
    await handle.close();
  }
}

/** The bytes of a group of weights: those of its shards, end to end, and no byte more or less. */
async function readShards(paths: unknown, expected: number, file: string): Promise<Uint8Array> {
  if (!Array.isArray(paths) || !paths.every(isText))
    throw new ModelError(`${file}: a group of weights without paths: ${AGAIN}`);
  const folder = path.dirname(file);
  const shards = await Promise.all(paths.map((shard) => besideModel(folder, shard, `${file}: a file of weights`)));
  const unreadable = (shard: string) => (error: unknown) => {
    throw new ModelError(
      `${file}: its file of weights ${shard.slice(0, 200)} ${whyUnreadable(error)}: copy all files of the model into one folder`,
      { cause: error },
    );
  };
  const sizes = await Promise.all(shards.map((shard) => sizeOf(shard).catch(unreadable(shard))));
  const total = sizes.reduce((a, b) => a + b, 0);
  if (total !== expected) {
    throw new ModelError(
      `${file}: ${paths.join(' + ').slice(0, 200)} should hold ${expected} bytes and ${paths.length === 1 ? 'holds' : 'hold'} ${total}: ` +
        'a file is cut off, or belongs to another model, so copy all files of the model again',
    );
  }
  const bytes = Buffer.concat(
    await Promise.all(shards.map((shard, i) => readNamed(shard, sizes[i] ?? 0).catch(unreadable(shard)))),
  );
  if (bytes.length !== expected)
    throw new ModelError(
      `${file}: its files of weights changed while they were read: give it again when they are in place`,
    );
  return bytes;
}

async function readWeights(manifest: unknown, file: string): Promise<TfjsWeights> {
  if (!Array.isArray(manifest))
    throw new ModelError(
      `${file} is no TensorFlow.js model, as it has no weightsManifest: give the model.json of a layers model`,
    );
  const groups = manifest.map((group: unknown) => {
    const { paths, weights } = isFields(group) ? group : {};
    if (!Array.isArray(weights))
      throw new ModelError(`${file}: a group of its weightsManifest without weights: ${AGAIN}`);
    return { paths, entries: weights.map((item) => readEntry(item, file)) };
  });
  const all = groups.flatMap(({ entries }) => entries);
  const names = new Set<string>();
  const twice = all.find(({ name }) => names.size === names.add(name).size);
  if (twice) throw new ModelError(`${file}: two weights are called ${twice.name.slice(0, 200)}: ${AGAIN}`);
  if (all.reduce((sum, { size }) => sum + size * 4, 0) > MAX_BYTES) {
    throw new ModelError(
      `${file}: its weights take more than ${MAX_BYTES} bytes, which is not supported: use the Keras model that it was made from`,
    );
  }
  const tensors = new Map<string, Tensor>();
  for (const { paths, entries } of groups) {
    const bytes = await readShards(
      paths,
      entries.reduce((sum, { type, size }) => sum + size * WIDTH[type], 0),
      file,
    );
    let at = 0;
    for (const entry of entries) {
      const end = at + entry.size * WIDTH[entry.type];
      tensors.set(entry.name, { shape: entry.shape, data: decode(entry, bytes.subarray(at, end)) });
      at = end;
    }
  }
  return new TfjsWeights(tensors, file);
}

/** A `model.json` of TensorFlow.js with its weights; `topology` is null where it holds weights alone. */
export interface TfjsModel {
  readonly topology: { readonly config: unknown; readonly version: string | null } | null;
  readonly weights: TfjsWeights;
}

/**
 * Reads the `model.json` of a TensorFlow.js layers model, or a manifest of weights alone, with the files of weights beside it.
 * @throws ModelError when it is no such model, names files outside its folder, or when sizes, types or names do not fit
 */
export async function readTfjs(file: string): Promise<TfjsModel> {
  let text: string;
  try {
    text = (await readNamed(file, MAX_JSON)).toString('utf8');
  } catch (error) {
    throw new ModelError(`${file} ${whyUnreadable(error)}: give the path of a model.json`, { cause: error });
  }
  const { format, modelTopology, weightsManifest } = parseFields(text, file);
  if (format === 'graph-model' || (isFields(modelTopology) && 'node' in modelTopology)) {
    throw new ModelError(
      `${file} is a graph model of TensorFlow.js, which no longer has layers: use the Keras model it was made from, or convert ` +
        'that again as a layers model (--output_format=tfjs_layers_model)',
    );
  }
  if (modelTopology !== null && modelTopology !== undefined && !isFields(modelTopology)) {
    throw new ModelError(`${file}: its modelTopology is not a JSON object: ${AGAIN}`);
  }
  const weights = await readWeights(weightsManifest, file);
  if (!modelTopology) return { topology: null, weights };
  const { model_config: config = modelTopology, keras_version: version } = modelTopology;
  return { topology: { config, version: isText(version) ? version : null }, weights };
}
