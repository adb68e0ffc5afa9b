import path from 'node:path';
import { type Base, type BaseOptions, type OpenHooks, onnxProgram, vectorGraph } from '../base/index.js';
import { rereadOnnx } from '../base/onnx/index.js';
import { portable } from '../engine/onnx/portable.js';
import { CacheError, ModelError } from '../errors.js';
import {
  type Chunks,
  discard,
  errorCode,
  isTemporary,
  readNamed,
  realSystem,
  type StoreOptions,
  type StoreSystem,
  tryOutput,
  writeOutput,
  writeOutputs,
} from '../files/index.js';

import { value } from '../formats/onnx/nodes.js';
import { type OnnxGraph, writeModel } from '../formats/onnx/write.js';
import { loadHead } from '../heads/head.js';
import {
  activationName,
  archiveFile,
  h5File,
  isShard,
  MODEL_JSON,
  type Reader,
  tfjsFiles,
  type WrittenLayer,
  type WrittenModel,
  writtenModel,
} from '../keras/index.js';
import { checkOptions } from '../options/check.js';
import type { HEAD_FORMATS } from '../options/choices.js';
import type { HeadNet } from '../train/head-net.js';
import { version } from '../version.js';
import { checkEnding, isThere, type Planned } from './export-place.js';
import { cachesOf, headDir, matchBase, type PredictOptions } from './predict.js';
import { savedNet } from './saved-net.js';

export type HeadFormat = (typeof HEAD_FORMATS)[number];

export interface ExportOptions
  extends Pick<PredictOptions, 'head' | 'cache' | Exclude<keyof BaseOptions | keyof OpenHooks, 'onWarning'>>,
    StoreOptions {
  readonly format: HeadFormat;
  /** Where it goes: a file, or the folder of a TensorFlow.js model. */
  readonly out: string;
  /** Write over another file that is there. Default false: FileError. */
  readonly replace?: boolean;
  /** Base and head in one model: pixels in (RGB, 0 to 255, at the base's input size), preprocessing inside. Default false: vectors in. */
  readonly withBase?: boolean;
}

export interface ExportResult {
  /** Absolute path of the file, or of the folder of a TensorFlow.js model. */
  readonly out: string;
  readonly format: HeadFormat;
  /** Whether the very same bytes were there already. */
  readonly reused: boolean;
  /** Shape of one example that goes in: `[features]`, or `[height, width, channels]`. */
  readonly input: readonly number[];
  /** In the order of the outputs; a binary head has one, the probability of the second. */
  readonly classes: readonly string[];
}

/** The head's layers after a layer that gives vectors. */
function headLayers(net: HeadNet, from: string, taken: ReadonlySet<string>, reader: Reader): WrittenLayer[] {
  const layers: WrittenLayer[] = [];
  let x = from;
  let size = net.d;
  const add = (
    wanted: string,
    layer: Pick<WrittenLayer, 'className' | 'config'> & Partial<Pick<WrittenLayer, 'inputs' | 'weights'>>,
  ): void => {
    let name = wanted;
    for (let i = 1; taken.has(name); i++) name = `${wanted}_${i}`;
    layers.push({ name, inputs: [x], shape: [size], weights: [], ...layer });
    x = name;
  };
  if (net.normalize && reader === 'keras') add('normalize', { className: 'UnitNormalization', config: { axis: -1 } });
  // TensorFlow.js has no layer for it, but x beside -x has mean 0 and variance |x|² / d, which its LayerNormalization divides by.
  if (net.normalize && reader === 'tfjs') {
    add('opposite', { className: 'Rescaling', config: { scale: -1, offset: 0 } });
    size = 2 * net.d;
    add('both_signs', { className: 'Concatenate', config: { axis: -1 }, inputs: [from, x] });
    const gamma = { shape: [size], data: new Float32Array(size).fill(1 / Math.sqrt(net.d)) };
    add('normalize', {
      className: 'LayerNormalization',
      config: { axis: -1, epsilon: 1e-30, center: false, scale: true },
      weights: [{ name: 'gamma', tensor: gamma }],
    });
  }
  for (const [i, { kernel, bias }] of net.layers.entries()) {
    const last = i === net.layers.length - 1;
    const inputs = size;
    const units = bias.length;
    size = units;
    const given = kernel.length / units;
    const turned = new Float32Array(inputs * units); // [inputs, units]; zeros for -x
    for (let at = 0; at < kernel.length; at++) turned[(at % given) * units + Math.floor(at / given)] = kernel[at] ?? 0;
    const activation = activationName(last ? net.ending : net.activation, reader);
    add(last ? 'probabilities' : `hidden_${i + 1}`, {
      className: 'Dense',
      config: { units, use_bias: true, activation },
      weights: [
        { name: 'kernel', tensor: { shape: [inputs, units], data: turned } },
        { name: 'bias', tensor: { shape: [units], data: bias } },
      ],
    });
  }
  return layers;
}

function kerasModel(net: HeadNet, base: Base | null, reader: Reader): WrittenModel {
  const input = { className: 'InputLayer', config: {}, inputs: [], weights: [] };
  const before: WrittenModel = base
    ? writtenModel(vectorGraph(base), reader)
    : [{ ...input, name: 'features', shape: [net.d] }];
  const taken = new Set(before.map(({ name }) => name));
  const from = before.at(-1)?.name ?? '';
  return [...before, ...headLayers(net, from, taken, reader)];
}

/**
 * A head as an ONNX model. With its base the values inside the head get a prefix, since both may use a name, and its features are
 * the base's vectors.
 */
function onnxModel(base: Base | null, model: Uint8Array, metadata: Readonly<Record<string, string>>): Uint8Array {
  const { graph: head, imports } = rereadOnnx(model);
  const program = base ? onnxProgram(base, 'float32') : null;
  const before = program?.graph ?? { ...head, name: 'head', nodes: [], initializers: [] };
  const prefix = base ? 'head/' : '';
  const names = new Map([
    ['', ''], // an input that is left out
    ['features', program?.graph.outputs[0]?.name ?? 'features'],
    [head.outputs[0]?.name ?? '', 'probabilities'],
  ]);
  const units = head.initializers.find(({ name }) => name === 'bias')?.dims[0] ?? 'units';
  const called = (name: string): string => names.get(name) ?? `${prefix}${name}`;
  const graph: OnnxGraph = {
    ...before,
    nodes: [
      ...before.nodes,
      ...head.nodes.map((node) => ({
        ...node,
        name: `${prefix}${node.name ?? node.outputs[0]}`,
        inputs: node.inputs.map(called),
        outputs: node.outputs.map(called),
      })),
    ],
    initializers: [...before.initializers, ...head.initializers.map((t) => ({ ...t, name: called(t.name) }))],
    outputs: [value('probabilities', [before.inputs[0]?.dims[0] ?? 'n', units])],
  };
  const used = program?.imports ?? imports;
  return writeModel(portable(graph, used.opsets[''] ?? 0), metadata, used);
}

/**
 * Writes a TensorFlow.js model into a folder. `model.json` comes last, and what an earlier export left of weights that it does not
 * name goes, unless another export is at work there.
 */
async function writeFolder(system: StoreSystem, folder: string, files: ReturnType<typeof tfjsFiles>): Promise<void> {
  await writeOutputs(folder, files, { system });
  try {
    const names = await system.list(folder);
    if (names.some(isTemporary)) return;
    const json = await readNamed(path.join(folder, MODEL_JSON), MAX_JSON, system);
    for (const name of names.filter(isShard)) if (!json.includes(name)) await discard(system, path.join(folder, name));
  } catch (error) {
    // The model is in place; the next export tidies up.
    if (!(error instanceof CacheError) && errorCode(error) === undefined) throw error;
  }
}

/** Bytes of the largest model.json. */
const MAX_JSON = 64 * 2 ** 20;

/**
 * Writes a head, or base and head in one model, for another runtime. Classes, task, preprocessing and versions travel in the
 * file's own metadata: an attribute `permafrost` of `.h5`, the member `permafrost` of a `.keras` file's `metadata.json`,
 * `userDefinedMetadata` of TensorFlow.js, metadata properties of ONNX. The same head gives the same bytes.
 * @throws UsageError for a file that ends as those of another format; HeadError where there is no such head or its base cannot be
 *   found; ModelError for what the format cannot hold; FileError where it cannot be written, or another file is there and is not to
 *   be replaced: what was there before stays then
 */
export async function exportHead(options: ExportOptions): Promise<ExportResult> {
  checkOptions('export', options);
  const { cache = 'cache', format, withBase = false } = options;
  const { system = realSystem } = options;
  checkEnding(options.out, format);
  const out = path.resolve(options.out);
  await tryOutput(format === 'tfjs' ? path.join(out, MODEL_JSON) : out, { system });
  const dir = await headDir(options.head, cache);
  const head = await loadHead(dir);
  const { info } = head;
  if (withBase && info.joined.length > 0) {
    throw new ModelError(
      'this head takes the vectors of several bases, which cannot be one model: leave out --with-base',
    );
  }
  const base = withBase
    ? await matchBase({ fingerprint: info.fingerprint, set: info.set }, options, cachesOf(dir, cache))
    : null;
  if (base?.calibration !== undefined && format !== 'onnx') {
    throw new ModelError(
      `this head was trained on int8 vectors of ${base.name}, and only an ONNX model holds an int8 base: use --format onnx`,
    );
  }
  if (base?.model.kind === 'onnx' && format !== 'onnx') {
    throw new ModelError(`${base.name} is an ONNX model, which can only be exported as one: use --format onnx`);
  }
  const metadata = {
    task: info.task,
    classes: info.classes,
    threshold: info.threshold?.values ?? null,
    fingerprint: info.fingerprint,
    base: info.set,
    versions: { ...info.versions, permafrost: version },
  };
  let reused: boolean;
  const place = async (chunks: () => Chunks | Promise<Chunks>): Promise<boolean> => {
    const planned: Planned = [path.basename(out), chunks];
    if (options.replace !== true && (await isThere(system, path.dirname(out), [planned], options.out))) return true;
    await writeOutput(out, await chunks(), { system });
    return false;
  };
  if (format === 'onnx') {
    const values = Object.entries(metadata).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]);
    const bytes = onnxModel(base, head.model, Object.fromEntries(values));
    reused = await place(() => [bytes]);
  } else {
    const model = kerasModel(savedNet(head), base, format === 'tfjs' ? 'tfjs' : 'keras');
    const about = { name: base?.name ?? 'head', metadata };
    if (format === 'tfjs') {
      const files = tfjsFiles(model, about);
      const planned = files.map(([name, chunks]): Planned => [name, () => chunks]);
      reused = options.replace !== true && (await isThere(system, out, planned, options.out));
      if (!reused) await writeFolder(system, out, files);
    } else if (format === 'h5') {
      const bytes = await h5File(model, about);
      reused = await place(() => [bytes]);
    } else {
      reused = await place(() => archiveFile(model, about));
    }
  }
  const input = base ? [base.spec.input.height, base.spec.input.width, base.spec.input.channels] : [info.dim];
  return { out, format, reused, input, classes: info.classes };
}
