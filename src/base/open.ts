import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Engine, EngineOptions, OnnxProgram, Runner } from '../engine/engine.js';
import { compile } from '../engine/onnx/compile.js';
import { OWN_IMPORTS } from '../engine/onnx/proto.js';
import { EngineError, ModelError, UsageError, WeightsError } from '../errors.js';
import type { Activation, Graph, Node, Op, Shape } from '../graph/graph.js';
import { checkWeights, inferShapes, show } from '../graph/infer.js';
import { append, cutAt, prepend, resize } from '../graph/passes.js';
import { BACKGROUND, type ImageMode, PIXELS_REVISION, type Preprocessing, preprocessingOps } from '../images/index.js';
import {
  type Application,
  type ApplicationOptions,
  applications,
  downloadWeights,
  isPublished,
  loadWeights,
  randomWeights,
  readModel,
} from '../keras/index.js';
import { digestOnnx, type OnnxModel, openOnnx, splice } from '../onnx/index.js';
import { identifyWeights } from './identify.js';
import { nearestNames } from './nearest.js';
import { type BaseSpec, digestGraph, type Pooling } from './spec.js';

/** The largest height or width that `inputSize` may ask for. */
export const MAX_INPUT_SIZE = 4096;

export interface BaseOptions {
  /** A name (`xception`, `resnet50`, `xception-mini`, … : `listBases`), or a model file: anything with a slash or a suffix. */
  readonly base: string;
  /** Named bases: `imagenet` (default), `random` or `random:SEED`, or a weights file. */
  readonly weights?: string;
  /** Width multiplier of the MobileNets. Default 1. */
  readonly alpha?: number;
  /** Named bases: build the classifier too (`include_top=True`), so that its layers can be tapped. Default false. */
  readonly includeTop?: boolean;
  /** The layer to tap, by its Keras name. Default: the model's output. */
  readonly layer?: string;
  /** How a feature map becomes a vector. Default `avg`. */
  readonly pooling?: Pooling;
  /** Height and width of the images that the base sees, in pixels. Default: the base's own. */
  readonly inputSize?: readonly [height: number, width: number];
  /** Default: the known base's own; `none` where the model begins with Rescaling or Normalization. */
  readonly preprocess?: Preprocessing;
  /** How a file becomes pixels. Default `photo`. */
  readonly image?: ImageMode;
  /** How the values of a vector are stored; float16 halves the space and keeps 11 bits of each. Default `float32`. */
  readonly store?: BaseSpec['type'];
}

export interface OpenHooks {
  readonly signal?: AbortSignal;
  /** While weights are downloaded: bytes so far, and in all where the server says. */
  readonly onDownload?: (file: string, received: number, total: number | null) => void;
}

/** A frozen base, ready to give vectors. */
export interface Base {
  /** For people and folder names. */
  readonly name: string;
  readonly model: BaseModel;
  readonly spec: BaseSpec;
}

/**
 * A model cut at the tap, with its weights, at its input size; without preprocessing and pooling. `layers`: Keras's layers, which
 * every engine runs; `onnx`: an ONNX model as it is, which only onnxruntime runs.
 */
export type BaseModel =
  | { readonly kind: 'layers'; readonly graph: Graph }
  | { readonly kind: 'onnx'; readonly onnx: OnnxModel };

/**
 * The layers of a base, cut at the tap.
 * @throws ModelError for an ONNX model, which has none
 */
export function layerGraph({ name, model }: Base): Graph {
  if (model.kind === 'layers') return model.graph;
  throw noLayers(name);
}

const noLayers = (name: string): ModelError =>
  new ModelError(`${name} is an ONNX model, which has no Keras layers: use a Keras or TensorFlow.js model for this`);

interface Source {
  readonly name: string;
  readonly graph: Graph;
  readonly preprocess: Preprocessing | null;
  readonly size: number | null;
  /** What messages call it. */
  readonly where: string;
}

const MINI = {
  name: 'xception-mini',
  size: 96,
  file: fileURLToPath(new URL('../../../base/xception_mini.keras', import.meta.url)),
};

/** Names of the bases that need no model file. */
export const baseNames = (): string[] => [MINI.name, ...applications.keys()].sort();

/** Whether a base is given as a file: anything with a slash or a suffix. */
export const isFile = (base: string): boolean => /[/\\]/.test(base) || path.extname(base) !== '';

/**
 * Checks what can be checked without opening a file.
 * @throws UsageError for an unknown name or a value out of range
 */
export function checkBaseOptions(options: BaseOptions): void {
  const { base, inputSize, alpha, weights } = options;
  if (!isFile(base) && base !== MINI.name && !applications.has(base)) {
    throw new UsageError(
      `there is no base ${JSON.stringify(base)}: did you mean ${nearestNames(base, baseNames()).join(' or ')}? ` +
        'permafrost bases lists all; a model file needs a slash or a suffix (./model.keras, ./model.onnx)',
    );
  }
  for (const size of inputSize ?? []) {
    if (!Number.isInteger(size) || size < 1 || size > MAX_INPUT_SIZE) {
      throw new UsageError(`the input size must be whole numbers from 1 to ${MAX_INPUT_SIZE}, found ${size}`);
    }
  }
  const application = applications.get(base);
  for (const [flag, value] of Object.entries({ alpha, weights, 'include-top': options.includeTop || undefined })) {
    if (value !== undefined && !application) {
      throw new UsageError(
        `--${flag} goes with a base of keras.applications (permafrost bases lists them), not with ${base}`,
      );
    }
  }
  if (alpha !== undefined && !application?.alphas) {
    const having = [...applications.values()].filter(({ alphas }) => alphas).map(({ name }) => name);
    throw new UsageError(`${base} has no --alpha; these have: ${having.join(', ')}`);
  }
}

/** The file that holds a base's weights, where it is one that is known without opening or downloading anything. */
export function baseFile(options: BaseOptions): string | null {
  if (isFile(options.base)) return path.resolve(options.base);
  if (options.base === MINI.name) return MINI.file;
  const { weights = 'imagenet' } = options;
  return weights === 'imagenet' || randomSeed(weights) !== null ? null : path.resolve(weights);
}

function randomSeed(weights: string): string | null {
  const match = /^random(?::(.+))?$/.exec(weights);
  return match ? (match[1] ?? '0') : null;
}

function applicationFacts(application: Application, { alpha, inputSize }: BaseOptions) {
  const [height, width] = inputSize ?? [application.defaultSize, application.defaultSize];
  const shape = { height, width, channels: 3, ...(alpha === undefined ? {} : { alpha }) };
  const source = {
    name: alpha === undefined || alpha === 1 ? application.name : `${application.name}-${alpha}`,
    preprocess: application.preprocess,
    size: application.defaultSize,
    where: application.name,
  };
  return { shape, source };
}

function emptyApplication(application: Application, options: BaseOptions): Source {
  const { shape, source } = applicationFacts(application, options);
  const { includeTop = false } = options;
  return { ...source, graph: application.build({ ...shape, includeTop, imagenet: true }) };
}

async function openApplication(application: Application, options: BaseOptions, hooks: OpenHooks): Promise<Source> {
  const { weights = 'imagenet', includeTop = false, alpha } = options;
  const { shape, source } = applicationFacts(application, options);
  const seed = randomSeed(weights);
  if (seed !== null) {
    const graph = application.build({ ...shape, includeTop });
    return { ...source, graph: randomWeights(graph, seed, application.preprocess) };
  }
  if (weights === 'imagenet') {
    const graph = application.build({ ...shape, includeTop, imagenet: true });
    const published = application.imagenet({ ...shape, includeTop });
    const file = await downloadWeights(published, {
      ...(hooks.signal ? { signal: hooks.signal } : {}),
      onProgress: (received, total) => hooks.onDownload?.(published.file, received, total),
    });
    return { ...source, graph: await loadWeights(graph, file) };
  }
  const build = async (top: boolean): Promise<Graph> => {
    const imagenet = await isPublishedFile(application, { ...shape, includeTop: top }, weights);
    return application.build({ ...shape, includeTop: top, imagenet });
  };
  const graph = await build(includeTop);
  try {
    return { ...source, graph: await loadWeights(graph, weights) };
  } catch (error) {
    if (!(error instanceof WeightsError)) throw error;
    // A file with the classifier holds all that the base without it needs, but ConvNeXt's, whose last layer is another.
    let nearer: Error = error;
    if (!includeTop) {
      const withTop = await loadWeights(await build(true), weights).catch((other: Error) => {
        if (error.message.includes('with top')) nearer = other;
      });
      if (withTop?.nodes.some(({ name }) => name === graph.output)) {
        return { ...source, graph: cutAt(withTop, graph.output) };
      }
    }
    throw new WeightsError(`${nearer.message}${await advice(weights, application.name, { includeTop, alpha })}`, {
      cause: nearer,
    });
  }
}

/** Whether a file is the one that Keras publishes for these options. */
async function isPublishedFile(application: Application, options: ApplicationOptions, file: string): Promise<boolean> {
  if (application.alphas) return false; // their graphs do not depend on it, and not every alpha has a file
  return isPublished(file, application.imagenet(options).hash);
}

/** What a weights file that does not fit would fit, and what to do then. */
async function advice(
  file: string,
  base: string,
  { includeTop, alpha }: { includeTop: boolean; alpha: number | undefined },
): Promise<string> {
  const found = await identifyWeights(file);
  if (!found) return '; it fits no base at its default size: is it a file of another model?';
  const withAlpha = found.alpha === null || found.alpha === 1 ? '' : ` --alpha ${found.alpha}`;
  const what = `${found.name}${withAlpha} ${found.includeTop ? 'with' : 'without'} its top`;
  if (found.name === base && (found.alpha ?? 1) === (alpha ?? 1)) {
    return `; they are the weights of ${what}: ${includeTop ? 'leave out --include-top, or give a file with it' : 'give a file without it (notop)'}`;
  }
  return `; they look like the weights of ${what}: use --base ${found.name}${withAlpha}`;
}

function slug(file: string): string {
  const stem = path
    .basename(file, path.extname(file))
    .replace(/[^A-Za-z0-9.]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '');
  return stem.slice(0, 40).toLowerCase() || 'model';
}

/** The base that ships in the package. */
export async function openMini(): Promise<Source & { readonly preprocess: 'tf'; readonly size: number }> {
  return { name: MINI.name, graph: await readModel(MINI.file), preprocess: 'tf', size: MINI.size, where: MINI.name };
}

async function openSource(options: BaseOptions, hooks: OpenHooks): Promise<Source> {
  const application = applications.get(options.base);
  if (application) return openApplication(application, options, hooks);
  if (options.base === MINI.name) return openMini();
  const graph = await readModel(options.base);
  return { name: slug(options.base), graph, preprocess: null, size: null, where: options.base };
}

function inputShape(graph: Graph): Shape {
  const node = graph.nodes.find(({ name }) => name === graph.input);
  return node?.op.kind === 'InputLayer' ? node.op.shape : [];
}

function sized({ graph, size, where }: Source, inputSize: BaseOptions['inputSize']): Graph {
  const shape = inputShape(graph);
  const channels = shape[2];
  if (shape.length !== 3 || (channels !== 1 && channels !== 3)) {
    throw new ModelError(`${where} takes ${show(shape)}: a base must take images of 1 or 3 channels, channels last`);
  }
  const [height, width] = inputSize ?? [shape[0] ?? size, shape[1] ?? size];
  if (height == null || width == null) {
    throw new UsageError(`${where} leaves its input size open ${show(shape)}: give --input-size, for example 224`);
  }
  return height === shape[0] && width === shape[1] ? graph : resize(graph, height, width);
}

const PROBABILITIES: readonly Activation[] = ['softmax', 'sigmoid'];

function givesProbabilities(op: Op): boolean {
  return op.kind === 'Softmax' || ('activation' in op && PROBABILITIES.includes(op.activation));
}

const KEEPS_VALUES: readonly Op['kind'][] = ['Identity', 'Reshape', 'Flatten', 'Permute'];

/** Refuses a tap whose values have been squashed: a head cannot learn much from probabilities. */
function checkTap(graph: Graph): void {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  let node: Node | undefined = nodes.get(graph.output);
  while (node && KEEPS_VALUES.includes(node.op.kind)) node = nodes.get(node.inputs[0] ?? '');
  if (!node || !givesProbabilities(node.op)) return;
  const what = 'activation' in node.op ? node.op.activation : 'softmax';
  throw new ModelError(
    `layer ${node.name} gives probabilities (${what}), which make poor features: tap the layer before it, ` +
      `--layer ${node.inputs[0] ?? ''}`,
  );
}

function nearest(name: string, graph: Graph): string {
  const names = graph.nodes.map((node) => node.name).filter((other) => !other.includes('\0'));
  const close = names.filter((other) => other.includes(name) || name.includes(other)).slice(0, 5);
  return close.length > 0 ? `did you mean ${close.join(', ')}?` : `the last ones are ${names.slice(-5).join(', ')}`;
}

function defaultPreprocess(source: Source): Preprocessing {
  if (source.preprocess) return source.preprocess;
  const first = source.graph.nodes.filter((node) => node.inputs.includes(source.graph.input));
  if (first.every(({ op }) => op.kind === 'Rescaling' || op.kind === 'Normalization')) return 'none';
  throw unknownPreprocessing(source.where);
}

const unknownPreprocessing = (where: string): UsageError =>
  new UsageError(
    `${where} does not say how it wants its pixels: give --preprocess tf (-1 to 1), caffe (BGR, mean taken off), ` +
      'torch (0 to 1, mean and deviation) or none (0 to 255)',
  );

/**
 * Opens a base: reads or downloads its weights, cuts it at the tap, sets its input size and checks that it holds together.
 * @throws UsageError for options that are unknown or missing; ModelError or WeightsError for what the files hold;
 *   DownloadError where ImageNet weights cannot be fetched
 */
export async function openBase(options: BaseOptions, hooks: OpenHooks = {}): Promise<Base> {
  const base = await open(options, hooks);
  if (base.model.kind === 'layers') checkTap(base.model.graph);
  return base;
}

/**
 * Opens a base with its own classifier: a named base with its top (`include_top=True`), or a whole model.
 * @returns a base whose vector is one score a class
 * @throws as `openBase`; ModelError where the output is a feature map, so that there is no classifier
 */
export async function openClassifier(options: BaseOptions, hooks: OpenHooks = {}): Promise<Base> {
  const base = await open(applications.has(options.base) ? { ...options, includeTop: true } : options, hooks, true);
  if (base.spec.pooling !== null) {
    throw new ModelError(
      `${options.base} gives feature maps of ${base.spec.features} channels and has no classifier: ` +
        'use a model with its top, or train a head and predict with it',
    );
  }
  return base;
}

const isOnnx = (base: string): boolean => path.extname(base).toLowerCase() === '.onnx';

async function openOnnxBase(options: BaseOptions, classifier: boolean): Promise<Base> {
  const { base, layer, inputSize, preprocess, pooling = 'avg' } = options;
  const { model, height, width, channels } = await openOnnx(base, {
    output: classifier && layer === undefined,
    ...(layer === undefined ? {} : { layer }),
    ...(inputSize ? { inputSize } : {}),
  });
  if (preprocess === undefined) throw unknownPreprocessing(base);
  const { tap, tapLayout } = model;
  const spec = makeSpec(options, {
    ...digestOnnx(model),
    input: { height, width, channels },
    preprocess,
    pooling: tap.length === 3 ? pooling : null,
    features: (tapLayout === 'nchw' ? tap[0] : tap.at(-1)) ?? 0,
  });
  return { name: slug(base), model: { kind: 'onnx', onnx: model }, spec };
}

type Found = Pick<BaseSpec, 'graph' | 'weights' | 'input' | 'preprocess' | 'pooling' | 'features'>;

function makeSpec({ image: mode = 'photo', store = 'float32' }: BaseOptions, found: Found): BaseSpec {
  const image = { mode, pixels: PIXELS_REVISION, background: mode === 'photo' ? BACKGROUND : null };
  return { format: 1, ...found, image, type: store, precision: 'float32' };
}

/** The graph at its input size, cut at the tap. */
function tapped(source: Source, options: BaseOptions): Graph {
  const whole = sized(source, options.inputSize);
  const { layer = whole.output } = options;
  if (whole.nodes.every((node) => node.name !== layer)) {
    throw new ModelError(`${source.where} has no layer ${JSON.stringify(layer)}: ${nearest(layer, whole)}`);
  }
  if (layer === whole.input) throw new ModelError(`layer ${layer} is the input itself: tap a layer after it`);
  return cutAt(whole, layer);
}

/**
 * The layers of a base, cut at the tap, at its input size. A named base comes without weights, so that nothing is downloaded: the
 * one that ImageNet weights would go into.
 * @throws UsageError for options that are unknown or missing; ModelError for what a file holds, and for an ONNX model
 */
export async function openArchitecture(
  options: BaseOptions,
): Promise<{ readonly name: string; readonly graph: Graph }> {
  checkBaseOptions(options);
  if (isOnnx(options.base)) throw noLayers(options.base);
  const application = applications.get(options.base);
  const source = application ? emptyApplication(application, options) : await openSource(options, {});
  return { name: source.name, graph: tapped(source, options) };
}

async function open(options: BaseOptions, hooks: OpenHooks, classifier = false): Promise<Base> {
  checkBaseOptions(options);
  if (isOnnx(options.base)) return openOnnxBase(options, classifier);
  const source = await openSource(options, hooks);
  const preprocess = options.preprocess ?? defaultPreprocess(source);
  const graph = tapped(source, options);
  const layer = graph.output;
  checkWeights(graph);
  const shape = inferShapes(graph).get(layer) ?? [];
  if (shape.length !== 1 && shape.length !== 3) {
    throw new ModelError(`layer ${layer} gives ${show(shape)}: a tap must be a feature map or a vector`);
  }
  const [height = 0, width = 0, channels] = inputShape(graph);
  const spec = makeSpec(options, {
    ...digestGraph(graph),
    input: { height: height ?? 0, width: width ?? 0, channels: channels === 1 ? 1 : 3 },
    preprocess,
    pooling: shape.length === 3 ? (options.pooling ?? 'avg') : null,
    features: shape.at(-1) ?? 0,
  });
  return { name: source.name, model: { kind: 'layers', graph }, spec };
}

/** What stands before a base and after it: preprocessing and pooling, as layers. */
function surroundings({ spec }: Base) {
  const pooled = spec.pooling === 'max' ? 'GlobalMaxPooling2D' : 'GlobalAveragePooling2D';
  const after: { name: string; op: Op }[] =
    spec.pooling === null ? [] : [{ name: '\0pooling', op: { kind: pooled, keepdims: false } }];
  const modes = preprocessingOps(spec.preprocess, spec.input.channels);
  return { before: modes.map(({ name, op }) => ({ name: `\0${name}`, op })), after };
}

/**
 * The graph that stage one runs: raw pixels (0 to 255, `[n, height, width, channels]`) in, one vector an image out.
 * @throws ModelError when the spec does not fit the graph, or the base is an ONNX model
 */
export function vectorGraph(base: Base): Graph {
  const { height, width } = base.spec.input;
  const { before, after } = surroundings(base);
  return append(prepend(resize(layerGraph(base), height, width), before), after);
}

/** The ONNX program of a base: raw pixels in, vectors out. */
export function onnxProgram(base: Base, input: 'float32' | 'uint8'): OnnxProgram {
  if (base.model.kind === 'layers') {
    return { graph: compile(vectorGraph(base), { input }).graph, imports: OWN_IMPORTS, batched: true };
  }
  const { before, after } = surroundings(base);
  return splice(base.model.onnx, before, after, input);
}

/**
 * Loads a base in an engine: raw pixels in, vectors out.
 * @throws EngineError where the engine cannot run such a base, or its device is absent
 */
export async function loadBase(
  base: Base,
  engine: Engine,
  options: EngineOptions & { readonly input: 'float32' | 'uint8' },
): Promise<Runner> {
  if (base.model.kind === 'layers') return engine.load(vectorGraph(base), options);
  if (!engine.loadOnnx) {
    throw new EngineError(`the ${engine.name} engine does not run ONNX models such as ${base.name}: use --engine onnx`);
  }
  const { before, after } = surroundings(base);
  return engine.loadOnnx(splice(base.model.onnx, before, after, options.input), options);
}
