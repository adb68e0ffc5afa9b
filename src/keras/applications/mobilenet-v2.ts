import { UsageError } from '../../errors.js';
import { application, classifier, multipleOf8, WEIGHTS_URL } from './application.js';

const ALPHAS = [0.35, 0.5, 0.75, 1, 1.3, 1.4];
/** Sizes that the ImageNet weights were trained at. */
const SIZES = [96, 128, 160, 192, 224];
/** Filters, stride of the first, and number of the inverted residual blocks. */
const STAGES = [
  [16, 1, 1],
  [24, 2, 2],
  [32, 2, 3],
  [64, 2, 4],
  [96, 1, 3],
  [160, 2, 3],
  [320, 1, 1],
] as const;

/** Python writes floats with a point. */
const asFloat = (number: number): string => (Number.isInteger(number) ? `${number}.0` : String(number));

/** Sandler et al. 2018, arXiv:1801.04381, as keras/src/applications/mobilenet_v2.py builds it. */
export const mobilenetV2 = application(
  {
    name: 'mobilenet-v2',
    defaultSize: 224,
    minSize: 32,
    preprocess: 'tf',
    alphas: ALPHAS,
    imagenet({ includeTop, alpha = 1, height, width }) {
      if (!ALPHAS.includes(alpha)) {
        throw new UsageError(`mobilenet-v2 has ImageNet weights for --alpha ${ALPHAS.join(', ')}, not for ${alpha}`);
      }
      const size = height === width && height !== null && SIZES.includes(height) ? height : 224;
      const stem = `mobilenet_v2_weights_tf_dim_ordering_tf_kernels_${asFloat(alpha)}_${size}`;
      const file = `${stem}${includeTop ? '' : '_no_top'}.h5`;
      return { file, url: `${WEIGHTS_URL}/mobilenet_v2/${file}`, hash: null };
    },
  },
  (b, input, options) => {
    const { includeTop, alpha = 1 } = options;
    const activated = (x: string, bn: string, relu: string): string => b.relu(b.batchNorm(x, bn), 6, relu);
    let x = b.conv(input, multipleOf8(32 * alpha), 3, { strides: 2, padding: 'same', name: 'Conv1' });
    x = activated(x, 'bn_Conv1', 'Conv1_relu');
    let id = 0;
    for (const [width, firstStride, count] of STAGES) {
      for (let i = 0; i < count; i++, id++) {
        const name = id === 0 ? 'expanded_conv' : `block_${id}`;
        const strides = i === 0 ? firstStride : 1;
        const filters = multipleOf8(Math.trunc(width * alpha));
        let y = x;
        if (id > 0) {
          y = b.conv(y, 6 * b.channels(x), 1, { padding: 'same', name: `${name}_expand` });
          y = activated(y, `${name}_expand_BN`, `${name}_expand_relu`);
        }
        if (strides === 2) y = b.correctPadding(y, 3, `${name}_pad`);
        y = b.depthwise(y, 3, { strides, padding: strides === 1 ? 'same' : 'valid', name: `${name}_depthwise` });
        y = activated(y, `${name}_depthwise_BN`, `${name}_depthwise_relu`);
        y = b.conv(y, filters, 1, { padding: 'same', name: `${name}_project` });
        y = b.batchNorm(y, `${name}_project_BN`);
        x = strides === 1 && b.channels(x) === filters ? b.sum([x, y], `${name}_add`) : y;
      }
    }
    x = b.conv(x, alpha > 1 ? multipleOf8(1280 * alpha) : 1280, 1, { name: 'Conv_1' });
    x = activated(x, 'Conv_1_bn', 'out_relu');
    return includeTop ? classifier(b, x, options) : x;
  },
);
