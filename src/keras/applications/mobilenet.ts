import { UsageError } from '../../errors.js';
import { application, WEIGHTS_URL } from './application.js';

/** Sizes that the ImageNet weights were trained at. */
const SIZES = [128, 160, 192, 224];
const ALPHAS = new Map([
  [0.25, '2_5'],
  [0.5, '5_0'],
  [0.75, '7_5'],
  [1, '1_0'],
]);

/** Filters and stride of each depthwise-separable block. */
const BLOCKS = [
  [64, 1],
  [128, 2],
  [128, 1],
  [256, 2],
  [256, 1],
  [512, 2],
  [512, 1],
  [512, 1],
  [512, 1],
  [512, 1],
  [512, 1],
  [1024, 2],
  [1024, 1],
] as const;

/** Howard et al. 2017, arXiv:1704.04861, layer for layer as keras/src/applications/mobilenet.py builds it. */
export const mobilenet = application(
  {
    name: 'mobilenet',
    defaultSize: 224,
    minSize: 32,
    preprocess: 'tf',
    alphas: [...ALPHAS.keys()],
    imagenet({ includeTop, alpha = 1, height, width }) {
      const text = ALPHAS.get(alpha);
      if (text === undefined) {
        throw new UsageError(
          `mobilenet has ImageNet weights for --alpha ${[...ALPHAS.keys()].join(', ')}, not for ${alpha}`,
        );
      }
      const known = height === width && height !== null && SIZES.includes(height);
      if (includeTop && !known) {
        throw new UsageError(
          `mobilenet with its top has ImageNet weights for --input-size ${SIZES.join(', ')}, not for ${height}x${width}`,
        );
      }
      const file = `mobilenet_${text}_${known ? height : 224}_tf${includeTop ? '' : '_no_top'}.h5`;
      return { file, url: `${WEIGHTS_URL}/mobilenet/${file}`, hash: null };
    },
  },
  (b, input, { includeTop, alpha = 1, classes = 1000 }) => {
    const width = (filters: number): number => {
      const scaled = Math.trunc(filters * alpha);
      if (scaled < 1)
        throw new UsageError(`alpha ${alpha} leaves mobilenet a layer without filters: give a larger one`);
      return scaled;
    };
    let x = b.conv(input, width(32), 3, { strides: 2, padding: 'same', name: 'conv1' });
    x = b.relu(b.batchNorm(x, 'conv1_bn'), 6, 'conv1_relu');
    for (const [i, [filters, strides]] of BLOCKS.entries()) {
      const id = i + 1;
      if (strides === 2) x = b.zeroPadding(x, [0, 1], [0, 1], `conv_pad_${id}`);
      x = b.depthwise(x, 3, { strides, padding: strides === 1 ? 'same' : 'valid', name: `conv_dw_${id}` });
      x = b.relu(b.batchNorm(x, `conv_dw_${id}_bn`), 6, `conv_dw_${id}_relu`);
      x = b.conv(x, width(filters), 1, { padding: 'same', name: `conv_pw_${id}` });
      x = b.relu(b.batchNorm(x, `conv_pw_${id}_bn`), 6, `conv_pw_${id}_relu`);
    }
    if (!includeTop) return x;
    x = b.dropout(b.globalAverage(x, true), 'dropout');
    x = b.conv(x, classes, 1, { padding: 'same', useBias: true, name: 'conv_preds' });
    return b.activation(b.reshape(x, [classes], 'reshape_2'), 'softmax', 'predictions');
  },
);
