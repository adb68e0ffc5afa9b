import type { Graph, Node, Op } from './graph.js';
import { inferShapes, transposedAxis, windowAxis } from './infer.js';

/** Where the positions of one axis of a feature map lie: the middle of what the first one sees, and how far it is to the next. */
export interface Spacing {
  readonly first: number;
  readonly step: number;
}

type Axis = 0 | 1;
const AXES = [0, 1] as const;

/** How an op spaces its output, whose input is spaced `from` and has `size` values along the axis; null where that cannot be said. */
function spaced(op: Op, axis: Axis, from: Spacing, size: number, out: number): Spacing | null {
  const { first, step } = from;
  switch (op.kind) {
    case 'Conv2D':
    case 'DepthwiseConv2D':
    case 'SeparableConv2D':
    case 'MaxPooling2D':
    case 'AveragePooling2D': {
      const kernel = 'poolSize' in op ? op.poolSize[axis] : op.kernelSize[axis];
      const dilation = 'dilation' in op ? op.dilation[axis] : 1;
      const { before } = windowAxis(size, kernel, op.strides[axis], dilation, op.padding);
      return { first: first + step * (((kernel - 1) * dilation) / 2 - before), step: step * op.strides[axis] };
    }
    case 'Conv2DTranspose': {
      const { kernelSize, strides, padding, outputPadding } = op;
      const { before } = transposedAxis(size, kernelSize[axis], strides[axis], padding, outputPadding?.[axis] ?? null);
      const shift = (before - (kernelSize[axis] - 1) / 2) / strides[axis];
      return { first: first + step * shift, step: step / strides[axis] };
    }
    case 'ZeroPadding2D':
      return { first: first - step * op.margins[axis][0], step };
    case 'Cropping2D':
      return { first: first + step * op.margins[axis][0], step };
    case 'UpSampling2D':
      return { first: first + step * (0.5 / op.size[axis] - 0.5), step: step / op.size[axis] };
    case 'CenterCrop':
    case 'Reshape':
    case 'Permute':
    case 'Slice':
      return null;
    case 'Resizing':
      if (op.fit !== 'stretch') return null;
      return { first: first + step * ((0.5 * size) / out - 0.5), step: (step * size) / out };
    default:
      return size === out ? from : null;
  }
}

/**
 * Follows the middles of the windows through a graph whose sizes are known. Padding that is not the same on both sides, as
 * TensorFlow's `same` at stride 2, moves what the positions of a map see by up to half a step from an even grid.
 * @returns of `[rows, columns]` of its output in pixels, the edge of the picture being 0; where branches meet the mean of them;
 *   null where a layer moves pixels about, so that it cannot be said
 */
export function spacingOf(graph: Graph): readonly [Spacing, Spacing] | null {
  const shapes = inferShapes(graph);
  const found = new Map<string, readonly [Spacing, Spacing]>();
  const sizeOf = (name: string, axis: Axis): number => shapes.get(name)?.[axis] ?? 0;
  const follow = (node: Node): readonly [Spacing, Spacing] | null => {
    if (node.name === graph.input) {
      const pixels = { first: 0.5, step: 1 };
      return [pixels, pixels];
    }
    const isMap = (name: string): boolean => shapes.get(name)?.length === 3;
    if (!isMap(node.name)) return null;
    const through = node.inputs.flatMap((name) => {
      const from = found.get(name);
      if (from === undefined || !isMap(name)) return [];
      const axes = AXES.map((axis) => spaced(node.op, axis, from[axis], sizeOf(name, axis), sizeOf(node.name, axis)));
      const [rows, columns] = axes;
      return rows && columns ? [[rows, columns] as const] : [];
    });
    if (through.length === 0) return null;
    const mean = (axis: Axis, of: keyof Spacing): number =>
      through.reduce((sum, one) => sum + one[axis][of], 0) / through.length;
    const [rows, columns] = AXES.map((axis) => ({ first: mean(axis, 'first'), step: mean(axis, 'step') }));
    return rows && columns ? [rows, columns] : null;
  };
  for (const node of graph.nodes) {
    const spacing = follow(node);
    if (spacing !== null) found.set(node.name, spacing);
  }
  return found.get(graph.output) ?? null;
}
