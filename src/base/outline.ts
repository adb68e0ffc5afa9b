import { ModelError } from '../errors.js';
import type { Node, Shape } from '../graph/graph.js';
import { inferShape, inferShapes } from '../graph/infer.js';
import { likelyTaps } from '../graph/suggest.js';
import { applications, readOutline } from '../keras/index.js';
import { emptyApplication } from './application.js';
import { teachableMachine } from './class-names.js';
import { cutSource, openSource, slug, tapped } from './open.js';
import { type BaseOptions, checkBaseOptions, isFile, modelFile } from './options.js';
import { type Preprocessing, scalesItself } from './preprocess.js';

/** What a base is made of, whether or not all of it could be run. */
export interface Outline {
  readonly name: string;
  /** Layers that are not supported, and all that depend on them, are `Refused`. */
  readonly nodes: readonly Node[];
  /** Of one example at every node; null where a layer is not supported. */
  readonly shapes: ReadonlyMap<string, Shape | null>;
  /** What calls of one layer share: the same for all that hold the same weights. */
  readonly owner: (node: Node) => unknown;
  /** Layers that people tap, the likeliest first. */
  readonly taps: readonly string[];
  /** What happens to pixels by default; null where it must be given. */
  readonly preprocess: Preprocessing | null;
}

function shapesOf(nodes: readonly Node[], inputSize: BaseOptions['inputSize']): Map<string, Shape | null> {
  const shapes = new Map<string, Shape | null>();
  for (const { name, op, inputs } of nodes) {
    const from = inputs.map((input) => shapes.get(input) ?? null);
    const isImage = op.kind === 'InputLayer' && op.shape.length === 3 && inputSize !== undefined;
    const sized = isImage ? { ...op, shape: [...inputSize, op.shape[2] ?? null] } : op;
    try {
      const known = from.every((shape): shape is Shape => shape !== null);
      shapes.set(name, op.kind === 'Refused' || !known ? null : inferShape(sized, from));
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      shapes.set(name, null);
    }
  }
  return shapes;
}

/**
 * The layers of a base at its input size: of a named base without weights, so that nothing is downloaded; of a model file all that it
 * lists, or what a layer depends on.
 * @throws UsageError for options that are unknown or missing; ModelError for what a file holds
 */
export async function outlineBase(options: BaseOptions): Promise<Outline> {
  checkBaseOptions(options);
  const { base, layer, inputSize } = options;
  if (isFile(base) && layer === undefined) {
    const file = modelFile(base);
    const { nodes, inputs, outputs, layerOf } = await readOutline(file);
    const shapes = shapesOf(nodes, inputSize);
    const own = inputs.length === 1 && scalesItself({ nodes, input: inputs[0] ?? '', output: outputs[0] ?? '' });
    const preprocess = (await teachableMachine(file)) ? 'tf' : own ? 'none' : null;
    const owner = ({ name }: Node): string => layerOf.get(name) ?? name;
    return { name: slug(base), nodes, shapes, owner, taps: likelyTaps(nodes, outputs), preprocess };
  }
  const application = applications.get(base);
  const source = application ? cutSource(emptyApplication(application, options), layer) : await openSource(options, {});
  const graph = tapped(source, options);
  const owner = ({ name, weights }: Node): unknown => weights[0] ?? name; // calls of one layer hold the same tensors
  const preprocess = source.preprocess ?? (scalesItself(graph) ? 'none' : null);
  return {
    name: source.name,
    nodes: graph.nodes,
    shapes: inferShapes(graph),
    owner,
    taps: likelyTaps(graph.nodes, [graph.output]),
    preprocess,
  };
}
