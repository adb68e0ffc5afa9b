import { WeightsError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import { cutAt } from '../graph/passes.js';
import {
  type Application,
  type ApplicationOptions,
  downloadWeights,
  isPublished,
  loadWeights,
  randomWeights,
} from '../keras/index.js';
import { identifyWeights } from './identify.js';
import { type BaseOptions, type OpenHooks, randomSeed } from './options.js';
import type { Preprocessing } from './preprocess.js';

export interface Source {
  readonly name: string;
  readonly graph: Graph;
  readonly preprocess: Preprocessing | null;
  readonly size: number | null;
  /** What messages call it. */
  readonly where: string;
}

export function applicationFacts(application: Application, { alpha, inputSize }: BaseOptions) {
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

export function emptyApplication(application: Application, options: BaseOptions): Source {
  const { shape, source } = applicationFacts(application, options);
  const { includeTop = false } = options;
  return { ...source, graph: application.build({ ...shape, includeTop, imagenet: true }) };
}

export async function openApplication(
  application: Application,
  options: BaseOptions,
  hooks: OpenHooks,
): Promise<Source> {
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
export async function isPublishedFile(
  application: Application,
  options: ApplicationOptions,
  file: string,
): Promise<boolean> {
  if (application.alphas) return false; // their graphs do not depend on it, and not every alpha has a file
  return isPublished(file, application.imagenet(options).hash);
}

/** What a weights file that does not fit would fit, and what to do then. */
export async function advice(
  file: string,
  base: string,
  { includeTop, alpha }: { includeTop: boolean; alpha: number | undefined },
): Promise<string> {
  const found = await identifyWeights(file);
  if (!found) return `; it fits no base at its default size: give a file of ${base}`;
  const withAlpha = found.alpha === null || found.alpha === 1 ? '' : ` --alpha ${found.alpha}`;
  const what = `${found.name}${withAlpha} ${found.includeTop ? 'with' : 'without'} its top`;
  if (found.name === base && (found.alpha ?? 1) === (alpha ?? 1)) {
    return `; they are the weights of ${what}: ${includeTop ? 'leave out --include-top, or give a file with it' : 'give a file without it (notop)'}`;
  }
  return `; they look like the weights of ${what}: use --base ${found.name}${withAlpha}`;
}
