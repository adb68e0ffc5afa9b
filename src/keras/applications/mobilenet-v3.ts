import { UsageError } from '../../errors.js';
import { type Application, application, multipleOf8, WEIGHTS_URL } from './application.js';

/** Expansion, filters, kernel (5 shrinks to 3 when minimalistic), stride, squeeze-and-excite, hard swish (else relu). */
type Block = readonly [expansion: number, filters: number, kernel: 3 | 5, strides: 1 | 2, se: 0 | 1, swish: 0 | 1];

const SMALL: readonly Block[] = [
  [1, 16, 3, 2, 1, 0],
  [72 / 16, 24, 3, 2, 0, 0],
  [88 / 24, 24, 3, 1, 0, 0],
  [4, 40, 5, 2, 1, 1],
  [6, 40, 5, 1, 1, 1],
  [6, 40, 5, 1, 1, 1],
  [3, 48, 5, 1, 1, 1],
  [3, 48, 5, 1, 1, 1],
  [6, 96, 5, 2, 1, 1],
  [6, 96, 5, 1, 1, 1],
  [6, 96, 5, 1, 1, 1],
];
const LARGE: readonly Block[] = [
  [1, 16, 3, 1, 0, 0],
  [4, 24, 3, 2, 0, 0],
  [3, 24, 3, 1, 0, 0],
  [3, 40, 5, 2, 1, 0],
  [3, 40, 5, 1, 1, 0],
  [3, 40, 5, 1, 1, 0],
  [6, 80, 3, 2, 0, 1],
  [2.5, 80, 3, 1, 0, 1],
  [2.3, 80, 3, 1, 0, 1],
  [2.3, 80, 3, 1, 0, 1],
  [6, 112, 3, 1, 1, 1],
  [6, 112, 3, 1, 1, 1],
  [6, 160, 5, 2, 1, 1],
  [6, 160, 5, 1, 1, 1],
  [6, 160, 5, 1, 1, 1],
];

interface Variant {
  readonly size: 'small' | 'large';
  /** Without squeeze-and-excite, hard swish and 5 x 5 kernels. */
  readonly minimalistic: boolean;
  /** By alpha. */
  readonly hashes: ReadonlyMap<number, readonly [string, string]>;
}

/** Howard et al. 2019, arXiv:1905.02244, as keras/src/applications/mobilenet_v3.py builds it, its Rescaling included. */
function mobilenetV3({ size, minimalistic, hashes }: Variant): Application {
  const name = `mobilenet-v3-${size}${minimalistic ? '-minimalistic' : ''}`;
  return application(
    {
      name,
      defaultSize: 224,
      minSize: 32,
      preprocess: 'none',
      alphas: [...hashes.keys()],
      imagenet({ includeTop, alpha = 1 }) {
        const found = hashes.get(alpha);
        if (!found) {
          const known = [...hashes.keys()].join(', ');
          throw new UsageError(`${name} has ImageNet weights for --alpha ${known}, not for ${alpha}`);
        }
        const model = `${size}${minimalistic ? '_minimalistic' : ''}_224_${alpha === 1 ? '1.0' : alpha}_float`;
        const file = `weights_mobilenet_v3_${model}${includeTop ? '' : '_no_top_v2'}.h5`;
        return { file, url: `${WEIGHTS_URL}/mobilenet_v3/${file}`, hash: includeTop ? found[0] : found[1] };
      },
    },
    (b, input, { includeTop, alpha = 1, classes = 1000 }) => {
      const activate = (x: string, swish: boolean): string =>
        swish && !minimalistic ? b.activation(x, 'hard_silu') : b.relu(x, null);
      let x = b.rescaling(input, [1 / 127.5], [-1]);
      x = b.conv(x, 16, 3, { strides: 2, padding: 'same', name: 'conv' });
      x = activate(b.batchNorm(x, 'conv_bn'), true);
      for (const [i, [expansion, width, window, strides, se, swish]] of (size === 'small' ? SMALL : LARGE).entries()) {
        const name = i === 0 ? 'expanded_conv' : `expanded_conv_${i}`;
        const filters = multipleOf8(width * alpha);
        const expanded = multipleOf8(b.channels(x) * expansion);
        const kernel = minimalistic ? 3 : window;
        let y = x;
        if (i > 0) {
          y = b.conv(y, expanded, 1, { padding: 'same', name: `${name}_expand` });
          y = activate(b.batchNorm(y, `${name}_expand_bn`), swish === 1);
        }
        if (strides === 2) y = b.correctPadding(y, kernel, `${name}_depthwise_pad`);
        y = b.depthwise(y, kernel, { strides, padding: strides === 1 ? 'same' : 'valid', name: `${name}_depthwise` });
        y = activate(b.batchNorm(y, `${name}_depthwise_bn`), swish === 1);
        if (se === 1 && !minimalistic) {
          const excite = `${name}_squeeze_excite`;
          const dense = { padding: 'same', useBias: true } as const;
          let gate = b.globalAverage(y, true, `${excite}_avg_pool`);
          gate = b.conv(gate, multipleOf8(expanded * 0.25), 1, { ...dense, name: `${excite}_conv` });
          gate = b.conv(b.relu(gate, null, `${excite}_relu`), expanded, 1, { ...dense, name: `${excite}_conv_1` });
          gate = b.times(b.relu(b.plus(gate, 3), 6), 1 / 6); // hard sigmoid, in operations
          y = b.multiply([y, gate], `${excite}_mul`);
        }
        y = b.batchNorm(b.conv(y, filters, 1, { padding: 'same', name: `${name}_project` }), `${name}_project_bn`);
        x = strides === 1 && b.channels(x) === filters ? b.sum([x, y], `${name}_add`) : y;
      }
      x = b.conv(x, multipleOf8(b.channels(x) * 6), 1, { padding: 'same', name: 'conv_1' });
      x = activate(b.batchNorm(x, 'conv_1_bn'), true);
      if (!includeTop) return x;
      const last = size === 'small' ? 1024 : 1280;
      x = b.globalAverage(x, true);
      x = b.conv(x, alpha > 1 ? multipleOf8(last * alpha) : last, 1, {
        padding: 'same',
        useBias: true,
        name: 'conv_2',
      });
      x = b.dropout(activate(x, true));
      x = b.flatten(b.conv(x, classes, 1, { padding: 'same', useBias: true, name: 'logits' }));
      return b.activation(x, 'softmax', 'predictions');
    },
  );
}

export const mobilenetV3s = [
  mobilenetV3({
    size: 'small',
    minimalistic: false,
    hashes: new Map([
      [0.75, ['cb65d4e5be93758266aa0a7f2c6708b7', 'ebdb5cc8e0b497cd13a7c275d475c819']],
      [1, ['8768d4c2e7dee89b9d02b2d03d65d862', 'd3e8ec802a04aa4fc771ee12a9a9b836']],
    ]),
  }),
  mobilenetV3({
    size: 'large',
    minimalistic: false,
    hashes: new Map([
      [0.75, ['765b44a33ad4005b3ac83185abf1d0eb', '40af19a13ebea4e2ee0c676887f69a2e']],
      [1, ['59e551e166be033d707958cf9e29a6a7', '07fb09a5933dd0c8eaafa16978110389']],
    ]),
  }),
  mobilenetV3({
    size: 'small',
    minimalistic: true,
    hashes: new Map([[1, ['99cd97fb2fcdad2bf028eb838de69e37', 'cde8136e733e811080d9fcd8a252f7e4']]]),
  }),
  mobilenetV3({
    size: 'large',
    minimalistic: true,
    hashes: new Map([[1, ['675e7b876c45c57e9e63e6d90a36599c', 'ec5221f64a2f6d1ef965a614bdae7973']]]),
  }),
];
