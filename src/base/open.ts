import path from 'node:path';
import { ModelError, UsageError } from '../errors.js';
import type { Graph, Node, Op, Shape } from '../graph/graph.js';
import { checkWeights, inferShapes, show } from '../graph/infer.js';
import { cutAt, resize } from '../graph/passes.js';
import { givesProbabilities, suggestLayers } from '../graph/suggest.js';
import { BACKGROUND, PIXELS_REVISIONS } from '../images/modes.js';
import { applications, readModel } from '../keras/index.js';
import { openApplication, type Source } from './application.js';
import type { Base } from './base.js';
import { teachableMachine } from './class-names.js';
import { digestOnnx, openOnnx } from './onnx/index.js';
import { type BaseOptions, checkBaseOptions, MINI, modelFile, type OpenHooks } from './options.js';
import { type Preprocessing, scalesItself } from './preprocess.js';
import { type BaseSpec, digestGraph } from './spec.js';

export function slug(file: string): string {
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

/** A base's layers, cut at the tap. */
export async function openSource(options: BaseOptions, hooks: OpenHooks): Promise<Source> {
  const application = applications.get(options.base);
  if (application) return cutSource(await openApplication(application, options, hooks), options.layer);
  if (options.base === MINI.name) return cutSource(await openMini(), options.layer);
  const file = modelFile(options.base);
  const { notes, ...graph } = await readModel(file, options.layer);
  for (const note of notes) hooks.onWarning?.(note);
  const preprocess = (await teachableMachine(file)) ? 'tf' : null;
  return { name: slug(options.base), graph, preprocess, size: null, where: file };
}

export function cutSource(source: Source, layer = source.graph.output): Source {
  const { graph, where } = source;
  if (graph.nodes.some(({ name }) => name === layer)) return { ...source, graph: cutAt(graph, layer) };
  const suggestions = suggestLayers({ nodes: graph.nodes, outputs: [graph.output] }, layer);
  throw new ModelError(`${where} has no layer ${JSON.stringify(layer)}: ${suggestions}`);
}

function inputShape(graph: Graph): Shape {
  const node = graph.nodes.find(({ name }) => name === graph.input);
  return node?.op.kind === 'InputLayer' ? node.op.shape : [];
}

function sized({ graph, size, where }: Source, inputSize: BaseOptions['inputSize']): Graph {
  const shape = inputShape(graph);
  const channels = shape[2];
  if (shape.length !== 3 || (channels !== 1 && channels !== 3)) {
    throw new ModelError(
      `${where} takes ${show(shape)}: a base must take images of 1 or 3 channels, channels last: give a model of such images`,
    );
  }
  const [height, width] = inputSize ?? [shape[0] ?? size, shape[1] ?? size];
  if (height == null || width == null) {
    throw new UsageError(`${where} leaves its input size open ${show(shape)}: give --input-size, for example 224`);
  }
  if (height === shape[0] && width === shape[1]) return graph;
  try {
    return resize(graph, height, width);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(`${where}: ${error.message}: give another --input-size`, { cause: error });
  }
}

const KEEPS_VALUES: readonly Op['kind'][] = ['Identity', 'Reshape', 'Flatten', 'Permute'];

/** Refuses a tap whose values have been squashed: a head cannot learn much from probabilities. */
function checkTap(graph: Graph): void {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  let node: Node | undefined = nodes.get(graph.output);
  while (node && KEEPS_VALUES.includes(node.op.kind)) node = nodes.get(node.inputs[0] ?? '');
  if (!node || !givesProbabilities(node.op)) return;
  const what = 'activation' in node.op ? node.op.activation : 'softmax';
  const [before = ''] = node.inputs;
  const pool = graph.nodes.findLast(
    ({ op }) => op.kind === 'GlobalAveragePooling2D' || op.kind === 'GlobalMaxPooling2D',
  );
  const or = pool && pool.name !== before ? `, or the pooled features before its classifier, --layer ${pool.name}` : '';
  throw new ModelError(
    `layer ${node.name} gives probabilities (${what}), which make poor features: tap the layer before it, --layer ${before}${or}`,
  );
}

function defaultPreprocess({ preprocess, graph, where }: Source): Preprocessing {
  if (preprocess) return preprocess;
  if (scalesItself(graph)) return 'none';
  throw unknownPreprocessing(where);
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

export const isOnnx = (base: string): boolean => path.extname(base).toLowerCase() === '.onnx';

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
  const image = { mode, pixels: PIXELS_REVISIONS[mode], background: mode === 'photo' ? BACKGROUND : null };
  return { format: 1, ...found, image, type: store, precision: 'float32' };
}

/** The graph at its input size. */
export function tapped(source: Source, options: BaseOptions): Graph {
  const { graph } = source;
  if (graph.output === graph.input) {
    throw new ModelError(`layer ${graph.input} is the input itself: tap a layer after it`);
  }
  return sized(source, options.inputSize);
}

async function open(options: BaseOptions, hooks: OpenHooks, classifier = false): Promise<Base> {
  checkBaseOptions(options);
  if (isOnnx(options.base)) return openOnnxBase(options, classifier);
  const source = await openSource(options, hooks);
  const preprocess = options.preprocess ?? defaultPreprocess(source);
  if (preprocess !== 'none' && source.preprocess === null && scalesItself(source.graph)) {
    hooks.onWarning?.(
      `${source.where} scales its pixels itself, in its own first layers: --preprocess ${preprocess} does so once more before them; leave it out unless that is meant`,
    );
  }
  const graph = tapped(source, options);
  const layer = graph.output;
  checkWeights(graph);
  const shape = inferShapes(graph).get(layer) ?? [];
  if (shape.length !== 1 && shape.length !== 3) {
    throw new ModelError(
      `layer ${layer} gives ${show(shape)}: a tap must be a feature map or a vector, so give another --layer, ${suggestLayers({ nodes: graph.nodes, outputs: [] })}`,
    );
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
