import { inferShapes, inputShapes, weightSpecs } from '../graph/infer.js';
import { type Application, applications, weightShapes } from '../keras/index.js';

/** What a file of weights was saved from, as far as the shapes in it tell. */
export interface Identified {
  readonly name: string;
  readonly alpha: number | null;
  readonly includeTop: boolean;
}

/** Shapes of weights as one text, whatever their order; scalars left out, which only count. */
const signature = (shapes: readonly (readonly number[])[]): string =>
  shapes
    .map((shape) => shape.join('x'))
    .filter((shape) => shape !== '')
    .sort()
    .join();

function ofApplication({ build, defaultSize }: Application, alpha: number | null, includeTop: boolean): string {
  const options = { height: defaultSize, width: defaultSize, channels: 3, includeTop };
  const graph = build({ ...options, ...(alpha === null ? {} : { alpha }) });
  const shapes = inferShapes(graph);
  return signature(
    graph.nodes.flatMap((node) => weightSpecs(node.op, inputShapes(node, shapes)).map(({ shape }) => shape)),
  );
}

/**
 * The application that a file of weights fits, with its alpha and top, at its default size and number of classes. Takes a second or
 * two: it builds them all.
 * @returns null where it fits none, or cannot be read
 */
export async function identifyWeights(file: string): Promise<Identified | null> {
  const found = signature(await weightShapes(file).catch(() => []));
  if (found === '') return null;
  for (const application of applications.values()) {
    for (const alpha of application.alphas ?? [null]) {
      for (const includeTop of [false, true]) {
        if (ofApplication(application, alpha, includeTop) === found)
          return { name: application.name, alpha, includeTop };
      }
    }
  }
  return null;
}
