import { UsageError } from '../errors.js';
import type { Graph, Op } from '../graph/graph.js';

/** What happens to pixels (0 to 255) before the base: the modes of `keras/src/applications/imagenet_utils.py`. */
export type Preprocessing = 'tf' | 'caffe' | 'torch' | 'none';

const CAFFE_MEAN = [103.939, 116.779, 123.68];
const TORCH_MEAN = [0.485, 0.456, 0.406];
const TORCH_DEVIATION = [0.229, 0.224, 0.225];

/**
 * Preprocessing as layers that stand in front of a base. `tf`: x / 127.5 - 1; `torch`: x / 255, less the mean, over the deviation;
 * `caffe`: BGR, less the mean.
 * @throws UsageError for a mode of colours on grey images
 */
export function preprocessingOps(mode: Preprocessing, channels: number): { name: string; op: Op }[] {
  const rescaling = (scale: readonly number[], offset: readonly number[]) => ({
    name: 'preprocess',
    op: { kind: 'Rescaling' as const, scale, offset },
  });
  if (mode === 'none') return [];
  if (mode === 'tf') return [rescaling([1 / 127.5], [-1])];
  if (channels !== 3)
    throw new UsageError(`--preprocess ${mode} needs colour images, and this base takes grey ones: use tf or none`);
  if (mode === 'torch') {
    const scale = TORCH_DEVIATION.map((deviation) => 1 / (255 * deviation));
    return [
      rescaling(
        scale,
        TORCH_MEAN.map((mean, i) => -mean / (TORCH_DEVIATION[i] ?? 1)),
      ),
    ];
  }
  const reverse = { name: 'reverse', op: { kind: 'ReverseChannels' as const } };
  return [
    reverse,
    rescaling(
      [1],
      CAFFE_MEAN.map((mean) => -mean),
    ),
  ];
}

/** Leave values as they are: layers that are idle at inference, and those that move pixels about. */
const MOVES: readonly Op['kind'][] = [
  'Identity',
  'Resizing',
  'CenterCrop',
  'Cropping2D',
  'ZeroPadding2D',
  'ReverseChannels',
  'Slice',
];

/** Whether a model scales its pixels itself: all that takes its input does, at once or behind layers that move pixels about. */
export function scalesItself(graph: Graph): boolean {
  const scales = (name: string): boolean => {
    const users = graph.nodes.filter(({ inputs }) => inputs.includes(name));
    const each = users.map(({ op, name: user }) => {
      return op.kind === 'Rescaling' || op.kind === 'Normalization' || (MOVES.includes(op.kind) && scales(user));
    });
    return each.length > 0 && each.every(Boolean);
  };
  return scales(graph.input);
}
