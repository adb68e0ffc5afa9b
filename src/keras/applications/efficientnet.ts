import { type Application, application, multipleOf8, published } from './application.js';
import type { Builder } from './builder.js';
import { squeezeExcite } from './squeeze-excite.js';

/** Kernel, repeats, filters, expansion, stride of the first of the inverted residual blocks, before scaling. */
const STAGES = [
  [3, 1, 16, 1, 1],
  [3, 2, 24, 6, 2],
  [5, 2, 40, 6, 2],
  [3, 3, 80, 6, 2],
  [5, 3, 112, 6, 1],
  [5, 4, 192, 6, 2],
  [3, 1, 320, 6, 1],
] as const;

/** Width, depth, input size, and the hashes of the two files, from B0 to B7. */
const VARIANTS = [
  [1, 1, 224, '902e53a9f72be733fc0bcb005b3ebbac', '50bc09e76180e00e4465e1a485ddc09d'],
  [1, 1.1, 240, '1d254153d4ab51201f1646940f018540', '74c4e6b3e1f6a1eea24c589628592432'],
  [1.1, 1.2, 260, 'b15cce36ff4dcbd00b6dd88e7857a6ad', '111f8e2ac8aa800a7a99e3239f7bfb39'],
  [1.2, 1.4, 300, 'ffd1fdc53d0ce67064dc6a9c7960ede0', 'af6d107764bb5b1abb91932881670226'],
  [1.4, 1.8, 380, '18c95ad55216b8f92d7e70b3a046e2fc', 'ebc24e6d6c33eaebbd558eafbeedf1ba'],
  [1.6, 2.2, 456, 'ace28f2a6363774853a83a0b21b9421a', '38879255a25d3c92d5e44e04ae6cec6f'],
  [1.8, 2.6, 528, '165f6e37dce68623721b423839de8be5', '9ecce42647a20130c1f39a5d4cb75743'],
  [2, 3.1, 600, '8c03f828fec3ef71311cd463b6759d99', 'cbcfe4450ddf6f3ad90b1b398090fe4a'],
] as const;

const DEVIATION = [0.229, 0.224, 0.225];

/** Tan and Le 2019, arXiv:1905.11946, as keras/src/applications/efficientnet.py builds it, its Normalization included. */
function efficientnet(index: number, [width, depth, size, top, notop]: (typeof VARIANTS)[number]): Application {
  const round = (filters: number): number => multipleOf8(filters * width);
  return application(
    {
      name: `efficientnet-b${index}`,
      defaultSize: size,
      minSize: 32,
      preprocess: 'none',
      imagenet: published('https://storage.googleapis.com/keras-applications', `efficientnetb${index}`, [top, notop]),
    },
    (b, input, options) => {
      let x = b.normalization(b.rescaling(input, [1 / 255], [0]), null, null);
      // Keras's own correction for how these weights were trained: efficientnet.py, tensorflow issue 49930
      if (options.imagenet) {
        x = b.rescaling(
          x,
          DEVIATION.map((deviation) => 1 / Math.sqrt(deviation)),
          [0],
        );
      }
      x = b.conv(b.correctPadding(x, 3, 'stem_conv_pad'), round(32), 3, { strides: 2, name: 'stem_conv' });
      x = b.activation(b.batchNorm(x, 'stem_bn'), 'silu', 'stem_activation');
      let dropped = false;
      for (const [i, [kernel, repeats, filters, expansion, strides]] of STAGES.entries()) {
        for (let j = 0; j < Math.ceil(depth * repeats); j++) {
          const name = `block${i + 1}${String.fromCharCode(97 + j)}_`;
          x = block(b, x, name, kernel, round(filters), expansion, j === 0 ? strides : 1, dropped);
          dropped = true;
        }
      }
      x = b.conv(x, round(1280), 1, { padding: 'same', name: 'top_conv' });
      x = b.activation(b.batchNorm(x, 'top_bn'), 'silu', 'top_activation');
      if (!options.includeTop) return x;
      const pooled = b.dropout(b.globalAverage(x, false, 'avg_pool'), 'top_dropout');
      return b.dense(pooled, options.classes ?? 1000, 'softmax', 'predictions');
    },
  );
}

/** @param dropped whether it may be dropped in training, as all but the first */
function block(
  b: Builder,
  x: string,
  name: string,
  kernel: number,
  filters: number,
  expansion: number,
  strides: number,
  dropped: boolean,
): string {
  const before = b.channels(x);
  let y = x;
  if (expansion !== 1) {
    y = b.conv(y, before * expansion, 1, { padding: 'same', name: `${name}expand_conv` });
    y = b.activation(b.batchNorm(y, `${name}expand_bn`), 'silu', `${name}expand_activation`);
  }
  if (strides === 2) y = b.correctPadding(y, kernel, `${name}dwconv_pad`);
  y = b.depthwise(y, kernel, { strides, padding: strides === 2 ? 'valid' : 'same', name: `${name}dwconv` });
  y = b.activation(b.batchNorm(y, `${name}bn`), 'silu', `${name}activation`);
  y = squeezeExcite(b, y, Math.max(1, Math.trunc(before * 0.25)), name);
  y = b.batchNorm(b.conv(y, filters, 1, { padding: 'same', name: `${name}project_conv` }), `${name}project_bn`);
  if (strides !== 1 || before !== filters) return y;
  return b.sum([dropped ? b.dropout(y, `${name}drop`) : y, x], `${name}add`);
}

export const efficientnets = VARIANTS.map((variant, i) => efficientnet(i, variant));
