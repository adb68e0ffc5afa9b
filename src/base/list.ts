import type { Graph } from '../graph/graph.js';
import { inferShapes, inputShapes, weightSpecs } from '../graph/infer.js';
import { applications } from '../keras/index.js';
import { openMini } from './open.js';
import type { Preprocessing } from './preprocess.js';

/** A base that is known by name, without its classifier, at its default size. */
export interface ListedBase {
  readonly name: string;
  /** Height and width of its images, in pixels. */
  readonly inputSize: number;
  /** The least that it takes. */
  readonly minSize: number;
  /** Length of a pooled vector. */
  readonly features: number;
  readonly parameters: number;
  /** Megabytes (10^6) of its weights as float32. */
  readonly megabytes: number;
  /** What happens to pixels first; `none` where the base's own first layers do that. */
  readonly preprocess: Preprocessing;
  /** Values of `--alpha` with ImageNet weights; empty where it takes none. */
  readonly alphas: readonly number[];
}

function measured(graph: Graph): Pick<ListedBase, 'features' | 'parameters' | 'megabytes'> {
  const shapes = inferShapes(graph);
  let parameters = 0;
  for (const node of graph.nodes) {
    for (const { shape } of weightSpecs(node.op, inputShapes(node, shapes))) {
      parameters += shape.reduce((a, b) => a * b, 1);
    }
  }
  return { features: shapes.get(graph.output)?.at(-1) ?? 0, parameters, megabytes: (4 * parameters) / 1e6 };
}

/** All bases that are known by name, `xception-mini` first, then those of `keras.applications`. */
export async function listBases(): Promise<ListedBase[]> {
  const mini = await openMini();
  const known = [...applications.values()].map(({ name, defaultSize, minSize, preprocess, alphas = [], build }) => {
    const graph = build({ height: defaultSize, width: defaultSize, channels: 3, includeTop: false });
    return { name, inputSize: defaultSize, minSize, ...measured(graph), preprocess, alphas };
  });
  const { name, graph, size, preprocess } = mini;
  return [{ name, inputSize: size, minSize: 1, ...measured(graph), preprocess, alphas: [] }, ...known];
}
