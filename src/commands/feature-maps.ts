import { type Base, loadProven, type ProofOptions, vectorGraph } from '../base/index.js';
import type { Engine, Runner } from '../engine/engine.js';
import { ModelError } from '../errors.js';
import type { Pixels } from '../extract/vectors.js';
import type { Graph, Node } from '../graph/graph.js';
import { cutAt } from '../graph/passes.js';
import { fixedShapes } from '../graph/prepare.js';
import { type Spacing, spacingOf } from '../graph/spacing.js';
import type { FeatureMaps } from '../maps/picture.js';

/** @returns the base without its own pooling; null where its vectors are not pooled from feature maps by it */
export function unpooled(base: Base): Base | null {
  return base.spec.pooling === null ? null : { ...base, spec: { ...base.spec, pooling: null } };
}

const KEEPS_ORDER: readonly Node['op']['kind'][] = ['Identity', 'Flatten', 'Reshape'];

/** The layer whose maps a graph averages as the last thing it does. */
function averagedLayer(graph: Graph): string | null {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  let node = nodes.get(graph.output);
  while (node && KEEPS_ORDER.includes(node.op.kind)) node = nodes.get(node.inputs[0] ?? '');
  return node?.op.kind === 'GlobalAveragePooling2D' ? (node.inputs[0] ?? null) : null;
}

/** @returns the base that gives the maps whose averages are its vectors; null where they are no averages of maps */
export function beforeAveraging(base: Base): Base | null {
  if (base.spec.pooling !== null) return base.spec.pooling === 'avg' ? unpooled(base) : null;
  if (base.model.kind !== 'layers') return null;
  const layer = averagedLayer(base.model.graph);
  return layer === null ? null : { ...base, model: { kind: 'layers', graph: cutAt(base.model.graph, layer) } };
}

/** @returns `[height, width, channels]` of what a base gives, which its runner gives channels last */
function mapShape(base: Base): readonly number[] {
  if (base.model.kind === 'layers') {
    const graph = vectorGraph(base);
    return fixedShapes(graph).get(graph.output) ?? [];
  }
  const { tap, tapLayout } = base.model.onnx;
  return tapLayout === 'nhwc' ? tap : [...tap.slice(1), ...tap.slice(0, 1)];
}

/** @returns where the maps of a base lie, `[rows, columns]` as shares of the picture's sides; null where that is not known */
function mapSpacing(base: Base): readonly [Spacing, Spacing] | null {
  const [rows, columns] = (base.model.kind === 'layers' ? spacingOf(vectorGraph(base)) : null) ?? [];
  const { height, width } = base.spec.input;
  const share = ({ first, step }: Spacing, side: number): Spacing => ({ first: first / side, step: step / side });
  return rows && columns ? [share(rows, height), share(columns, width)] : null;
}

/** A base without its pooling in an engine. */
export class MapRunner {
  private constructor(
    private readonly runner: Runner,
    private readonly name: string,
    /** `[height, width, channels]` */
    private readonly shape: readonly number[],
    /** `[rows, columns]` of its maps, as shares of the picture's sides; null where they are taken to be even. */
    readonly spacing: readonly [Spacing, Spacing] | null,
  ) {}

  /** @param base unpooled @throws as `loadProven` */
  static async open(base: Base, engine: Engine, options: ProofOptions): Promise<MapRunner> {
    const input = base.spec.image.mode === 'keras-bilinear' ? 'float32' : 'uint8';
    const runner = await loadProven(base, engine, { ...options, input }, 1);
    return new MapRunner(runner, base.name, mapShape(base), mapSpacing(base));
  }

  /**
   * @param path for the message
   * @returns the feature maps of one image
   * @throws ModelError for values that are not finite
   */
  async run(pixels: Pixels, path: string): Promise<FeatureMaps> {
    const [height = 0, width = 0, channels = 0] = this.shape;
    const [values = new Float32Array()] = await this.runner.run(pixels, 1);
    if (values.every(Number.isFinite)) return { values, height, width, channels };
    throw new ModelError(
      `${this.name} gives values that are not finite for ${path}: check its weights and --preprocess`,
    );
  }

  release(): Promise<void> {
    return this.runner.release();
  }
}
