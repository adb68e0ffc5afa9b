import { type Application, application, published, WEIGHTS_URL } from './application.js';
import type { Builder } from './builder.js';
import { squeezeExcite } from './squeeze-excite.js';

/** Repeats, filters, expansion, stride of the first, whether its convolutions are fused (else depthwise, with squeeze-and-excite). */
type Stage = readonly [repeats: number, filters: number, expansion: number, strides: 1 | 2, fused: 0 | 1];

const B: readonly Stage[] = [
  [1, 16, 1, 1, 1],
  [2, 32, 4, 2, 1],
  [2, 48, 4, 2, 1],
  [3, 96, 4, 2, 0],
  [5, 112, 6, 1, 0],
  [8, 192, 6, 2, 0],
];
const S: readonly Stage[] = [
  [2, 24, 1, 1, 1],
  [4, 48, 4, 2, 1],
  [4, 64, 4, 2, 1],
  [6, 128, 4, 2, 0],
  [9, 160, 6, 1, 0],
  [15, 256, 6, 2, 0],
];
const M: readonly Stage[] = [
  [3, 24, 1, 1, 1],
  [5, 48, 4, 2, 1],
  [5, 80, 4, 2, 1],
  [7, 160, 4, 2, 0],
  [14, 176, 6, 1, 0],
  [18, 304, 6, 2, 0],
  [5, 512, 6, 1, 0],
];
const L: readonly Stage[] = [
  [4, 32, 1, 1, 1],
  [7, 64, 4, 2, 1],
  [7, 96, 4, 2, 1],
  [10, 192, 4, 2, 0],
  [19, 224, 6, 1, 0],
  [25, 384, 6, 2, 0],
  [7, 640, 6, 1, 0],
];

type Variant = readonly [
  name: string,
  stages: readonly Stage[],
  stem: number,
  width: number,
  depth: number,
  size: number,
  top: string,
  notop: string,
];

const VARIANTS: readonly Variant[] = [
  ['b0', B, 32, 1, 1, 224, '21ecbf6da12460d5c40bb2f29ceb2188', '893217f2bb855e2983157299931e43ff'],
  ['b1', B, 32, 1, 1.1, 240, '069f0534ff22adf035c89e2d9547a9dc', '0e80663031ca32d657f9caa404b6ec37'],
  ['b2', B, 32, 1.1, 1.2, 260, '424e49f28180edbde1e94797771950a7', '1dfe2e7a5d45b6632553a8961ea609eb'],
  ['b3', B, 32, 1.2, 1.4, 300, '1f1fc43bd98a6e4fd8fdfd551e02c7a0', 'f6abf7b5849ac99a89b50dd3fd532856'],
  ['s', S, 24, 1, 1, 384, 'e1d88a8495beba45748fedd0cecbe016', 'af0682fb74e8c54910f2d4393339c070'],
  ['m', M, 24, 1, 1, 480, 'a3bf6aa3276309f4fc6a34aa114c95cd', '1b8dc055df72dde80d614482840fe342'],
  ['l', L, 32, 1, 1, 480, '27e6d408b53c7ebc868fefa357689935', 'b0b66b5c863aef5b46e8608fe1711615'],
];

const MEAN = [0.485, 0.456, 0.406];
const VARIANCE = [0.229, 0.224, 0.225].map((deviation) => deviation ** 2);

/** Tan and Le 2021, arXiv:2104.00298, as keras/src/applications/efficientnet_v2.py builds it, its preprocessing included. */
function efficientnetV2([variant, stages, stem, width, depth, size, top, notop]: Variant): Application {
  const round = (filters: number): number => Math.max(8, Math.floor(Math.trunc(filters * width + 4) / 8) * 8);
  return application(
    {
      name: `efficientnet-v2-${variant}`,
      defaultSize: size,
      minSize: 32,
      preprocess: 'none',
      imagenet: published(`${WEIGHTS_URL}/efficientnet_v2`, `efficientnetv2-${variant}`, [top, notop]),
    },
    (b, input, options) => {
      let x = variant.startsWith('b')
        ? b.normalization(b.rescaling(input, [1 / 255], [0]), MEAN, VARIANCE)
        : b.rescaling(input, [1 / 128], [-1]);
      x = b.conv(x, round(stem), 3, { strides: 2, padding: 'same', name: 'stem_conv' });
      x = b.activation(b.batchNorm(x, 'stem_bn'), 'silu', 'stem_activation');
      let dropped = false;
      for (const [i, [repeats, filters, expansion, strides, fused]] of stages.entries()) {
        for (let j = 0; j < Math.ceil(depth * repeats); j++) {
          const name = `block${i + 1}${String.fromCharCode(97 + j)}_`;
          const block = fused === 1 ? fusedBlock : depthwiseBlock;
          const y = block(b, x, round(filters), expansion, j === 0 ? strides : 1, name);
          const residual = (j > 0 || strides === 1) && b.channels(x) === round(filters);
          x = residual ? b.sum([dropped ? b.dropout(y, `${name}drop`) : y, x], `${name}add`) : y;
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

function depthwiseBlock(b: Builder, x: string, filters: number, expansion: number, strides: number, name: string) {
  const before = b.channels(x);
  let y = b.conv(x, before * expansion, 1, { padding: 'same', name: `${name}expand_conv` });
  y = b.activation(b.batchNorm(y, `${name}expand_bn`), 'silu', `${name}expand_activation`);
  y = b.depthwise(y, 3, { strides, padding: 'same', name: `${name}dwconv2` });
  y = b.activation(b.batchNorm(y, `${name}bn`), 'silu', `${name}activation`);
  y = squeezeExcite(b, y, Math.max(1, Math.trunc(before * 0.25)), name);
  return b.batchNorm(b.conv(y, filters, 1, { padding: 'same', name: `${name}project_conv` }), `${name}project_bn`);
}

function fusedBlock(b: Builder, x: string, filters: number, expansion: number, strides: number, name: string) {
  if (expansion === 1) {
    const y = b.conv(x, filters, 3, { strides, padding: 'same', name: `${name}project_conv` });
    return b.activation(b.batchNorm(y, `${name}project_bn`), 'silu', `${name}project_activation`);
  }
  let y = b.conv(x, b.channels(x) * expansion, 3, { strides, padding: 'same', name: `${name}expand_conv` });
  y = b.activation(b.batchNorm(y, `${name}expand_bn`), 'silu', `${name}expand_activation`);
  return b.batchNorm(b.conv(y, filters, 1, { padding: 'same', name: `${name}project_conv` }), `${name}project_bn`);
}

export const efficientnetV2s = VARIANTS.map(efficientnetV2);
