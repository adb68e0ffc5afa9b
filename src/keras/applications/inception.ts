import type { Pair } from '../../graph/graph.js';
import { application, classifier, published, WEIGHTS_URL } from './application.js';
import type { Builder } from './builder.js';

interface Options {
  readonly strides?: number;
  readonly padding?: 'same' | 'valid';
}

/** One convolution of a branch: filters, kernel, and where it strides, `valid` too. */
type Step = readonly [filters: number, size: number | Pair, strides?: 2];

/** Convolution, batch norm without gamma, relu. */
function unit(b: Builder, x: string, filters: number, size: number | Pair, options: Options = {}): string {
  return b.activation(
    b.batchNorm(b.conv(x, filters, size, { padding: 'same', ...options }), undefined, { scale: false }),
    'relu',
  );
}

/** Branches side by side, each a chain of units. */
const branches = (b: Builder, x: string, chains: readonly (readonly Step[])[]): string[] =>
  chains.map((steps) =>
    steps.reduce((y, [filters, size, strides]) => {
      return unit(b, y, filters, size, strides === 2 ? { strides, padding: 'valid' } : {});
    }, x),
  );

/** The two Inceptions begin alike: to 35 x 35 x 192 at their default size. */
function stem(b: Builder, input: string): string {
  let x = unit(b, input, 32, 3, { strides: 2, padding: 'valid' });
  x = unit(b, unit(b, x, 32, 3, { padding: 'valid' }), 64, 3);
  x = unit(b, b.maxPool(x, 3, 2), 80, 1, { padding: 'valid' });
  return b.maxPool(unit(b, x, 192, 3, { padding: 'valid' }), 3, 2);
}

const averaged = (b: Builder, x: string, filters: number): string =>
  unit(b, b.averagePool(x, 3, 1, { padding: 'same' }), filters, 1);

const files = (name: string, hashes: readonly [string, string]) =>
  published(`${WEIGHTS_URL}/${name}`, `${name}_weights_tf_dim_ordering_tf_kernels`, hashes);

/** Szegedy et al. 2016, arXiv:1512.00567, as keras/src/applications/inception_v3.py builds it. */
export const inceptionV3 = application(
  {
    name: 'inception-v3',
    defaultSize: 299,
    minSize: 75,
    preprocess: 'tf',
    imagenet: files('inception_v3', ['9a0d58056eeedaa3f26cb7ebd46da564', 'bcbd6486424b2319ff4ef7d526e38f63']),
  },
  (b, input, options) => {
    let x = stem(b, input);
    for (const [i, pooled] of [32, 64, 64].entries()) {
      const mixed = branches(b, x, [
        [[64, 1]],
        [
          [48, 1],
          [64, 5],
        ],
        [
          [64, 1],
          [96, 3],
          [96, 3],
        ],
      ]);
      x = b.concat([...mixed, averaged(b, x, pooled)], `mixed${i}`);
    }
    const reduced = branches(b, x, [
      [[384, 3, 2]],
      [
        [64, 1],
        [96, 3],
        [96, 3, 2],
      ],
    ]);
    x = b.concat([...reduced, b.maxPool(x, 3, 2)], 'mixed3');
    for (const [i, n] of [128, 160, 160, 192].entries()) {
      const mixed = branches(b, x, [
        [[192, 1]],
        [
          [n, 1],
          [n, [1, 7]],
          [192, [7, 1]],
        ],
        [
          [n, 1],
          [n, [7, 1]],
          [n, [1, 7]],
          [n, [7, 1]],
          [192, [1, 7]],
        ],
      ]);
      x = b.concat([...mixed, averaged(b, x, 192)], `mixed${4 + i}`);
    }
    const halved = branches(b, x, [
      [
        [192, 1],
        [320, 3, 2],
      ],
      [
        [192, 1],
        [192, [1, 7]],
        [192, [7, 1]],
        [192, 3, 2],
      ],
    ]);
    x = b.concat([...halved, b.maxPool(x, 3, 2)], 'mixed8');
    for (let i = 0; i < 2; i++) {
      const split = (y: string, name?: string): string =>
        b.concat([unit(b, y, 384, [1, 3]), unit(b, y, 384, [3, 1])], name);
      const one = unit(b, x, 320, 1);
      const three = split(unit(b, x, 384, 1), `mixed9_${i}`);
      const double = split(unit(b, unit(b, x, 448, 1), 384, 3));
      x = b.concat([one, three, double, averaged(b, x, 192)], `mixed${9 + i}`);
    }
    return options.includeTop ? classifier(b, x, options, 'avg_pool') : x;
  },
);

/** The residual blocks of Inception-ResNet: name, how many, their branches, and what the branches count. */
const BLOCKS = {
  block35: [
    [[32, 1]],
    [
      [32, 1],
      [32, 3],
    ],
    [
      [32, 1],
      [48, 3],
      [64, 3],
    ],
  ],
  block17: [
    [[192, 1]],
    [
      [128, 1],
      [160, [1, 7]],
      [192, [7, 1]],
    ],
  ],
  block8: [
    [[192, 1]],
    [
      [192, 1],
      [224, [1, 3]],
      [256, [3, 1]],
    ],
  ],
} as const satisfies Record<string, readonly (readonly Step[])[]>;

/** Szegedy et al. 2017, arXiv:1602.07261, as keras/src/applications/inception_resnet_v2.py builds it. */
export const inceptionResnetV2 = application(
  {
    name: 'inception-resnet-v2',
    defaultSize: 299,
    minSize: 75,
    preprocess: 'tf',
    imagenet: files('inception_resnet_v2', ['e693bd0210a403b3192acc6073ad2e96', 'd19885ff4a710c122648d3b5c3b684e4']),
  },
  (b, input, options) => {
    const residual = (x: string, type: keyof typeof BLOCKS, index: number, scale: number, relu = true): string => {
      const name = `${type}_${index}`;
      const mixed = b.concat(branches(b, x, BLOCKS[type]), `${name}_mixed`);
      const up = b.conv(mixed, b.channels(x), 1, { padding: 'same', useBias: true, name: `${name}_conv` });
      const y = b.scaledSum(x, up, scale);
      return relu ? b.activation(y, 'relu', `${name}_ac`) : y;
    };
    let x = stem(b, input);
    const mixed = branches(b, x, [
      [[96, 1]],
      [
        [48, 1],
        [64, 5],
      ],
      [
        [64, 1],
        [96, 3],
        [96, 3],
      ],
    ]);
    x = b.concat([...mixed, averaged(b, x, 64)], 'mixed_5b');
    for (let i = 1; i <= 10; i++) x = residual(x, 'block35', i, 0.17);
    const reduced = branches(b, x, [
      [[384, 3, 2]],
      [
        [256, 1],
        [256, 3],
        [384, 3, 2],
      ],
    ]);
    x = b.concat([...reduced, b.maxPool(x, 3, 2)], 'mixed_6a');
    for (let i = 1; i <= 20; i++) x = residual(x, 'block17', i, 0.1);
    const halved = branches(b, x, [
      [
        [256, 1],
        [384, 3, 2],
      ],
      [
        [256, 1],
        [288, 3, 2],
      ],
      [
        [256, 1],
        [288, 3],
        [320, 3, 2],
      ],
    ]);
    x = b.concat([...halved, b.maxPool(x, 3, 2)], 'mixed_7a');
    for (let i = 1; i <= 9; i++) x = residual(x, 'block8', i, 0.2);
    x = residual(x, 'block8', 10, 1, false);
    x = b.conv(x, 1536, 1, { padding: 'same', name: 'conv_7b' });
    x = b.activation(b.batchNorm(x, 'conv_7b_bn', { scale: false }), 'relu', 'conv_7b_ac');
    return options.includeTop ? classifier(b, x, options, 'avg_pool') : x;
  },
);
