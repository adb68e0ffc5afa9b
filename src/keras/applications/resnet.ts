import { type Application, application, classifier, published, WEIGHTS_URL } from './application.js';
import type { Builder } from './builder.js';

const EPSILON = { epsilon: 1.001e-5 };
const FILTERS = [64, 128, 256, 512];

const files = (stem: string, hashes: readonly [string, string]) =>
  published(`${WEIGHTS_URL}/resnet`, `${stem}_weights_tf_dim_ordering_tf_kernels`, hashes);

function stem(b: Builder, input: string): string {
  const x = b.zeroPadding(input, [3, 3], [3, 3], 'conv1_pad');
  return b.conv(x, 64, 7, { strides: 2, useBias: true, name: 'conv1_conv' });
}

const pool = (b: Builder, x: string): string =>
  b.maxPool(b.zeroPadding(x, [1, 1], [1, 1], 'pool1_pad'), 3, 2, { name: 'pool1_pool' });

/** He et al. 2016, arXiv:1512.03385, as keras/src/applications/resnet.py builds it. */
function resnet(name: string, blocks: readonly number[], hashes: readonly [string, string]): Application {
  return application(
    { name, defaultSize: 224, minSize: 32, preprocess: 'caffe', imagenet: files(name, hashes) },
    (b, input, options) => {
      const normed = (x: string, filters: number, size: number, strides: number, name: string): string => {
        const y = b.conv(x, filters, size, { strides, padding: 'same', useBias: true, name: `${name}_conv` });
        return b.batchNorm(y, `${name}_bn`, EPSILON);
      };
      let x = b.activation(b.batchNorm(stem(b, input), 'conv1_bn', EPSILON), 'relu', 'conv1_relu');
      x = pool(b, x);
      for (const [i, filters] of FILTERS.entries()) {
        for (let j = 1; j <= (blocks[i] ?? 0); j++) {
          const name = `conv${i + 2}_block${j}`;
          const strides = i > 0 && j === 1 ? 2 : 1;
          const shortcut = j === 1 ? normed(x, 4 * filters, 1, strides, `${name}_0`) : x;
          x = b.activation(normed(x, filters, 1, strides, `${name}_1`), 'relu', `${name}_1_relu`);
          x = b.activation(normed(x, filters, 3, 1, `${name}_2`), 'relu', `${name}_2_relu`);
          x = b.sum([shortcut, normed(x, 4 * filters, 1, 1, `${name}_3`)], `${name}_add`);
          x = b.activation(x, 'relu', `${name}_out`);
        }
      }
      return options.includeTop ? classifier(b, x, options, 'avg_pool') : x;
    },
  );
}

/** He et al. 2016, arXiv:1603.05027, as keras/src/applications/resnet_v2.py builds it: a stack strides in its last block. */
function resnetV2(size: number, blocks: readonly number[], hashes: readonly [string, string]): Application {
  const imagenet = files(`resnet${size}v2`, hashes);
  return application(
    { name: `resnet${size}-v2`, defaultSize: 224, minSize: 32, preprocess: 'tf', imagenet },
    (b, input, options) => {
      const activated = (x: string, bn: string, relu: string): string =>
        b.activation(b.batchNorm(x, bn, EPSILON), 'relu', relu);
      let x = pool(b, stem(b, input));
      for (const [i, filters] of FILTERS.entries()) {
        const last = blocks[i] ?? 0;
        for (let j = 1; j <= last; j++) {
          const name = `conv${i + 2}_block${j}`;
          const strides = i < 3 && j === last ? 2 : 1;
          const before = activated(x, `${name}_preact_bn`, `${name}_preact_relu`);
          let shortcut = x;
          if (j === 1) shortcut = b.conv(before, 4 * filters, 1, { strides, useBias: true, name: `${name}_0_conv` });
          else if (strides > 1) shortcut = b.maxPool(x, 1, strides);
          x = activated(b.conv(before, filters, 1, { name: `${name}_1_conv` }), `${name}_1_bn`, `${name}_1_relu`);
          x = b.zeroPadding(x, [1, 1], [1, 1], `${name}_2_pad`);
          x = b.conv(x, filters, 3, { strides, name: `${name}_2_conv` });
          x = activated(x, `${name}_2_bn`, `${name}_2_relu`);
          x = b.conv(x, 4 * filters, 1, { useBias: true, name: `${name}_3_conv` });
          x = b.sum([shortcut, x], `${name}_out`);
        }
      }
      x = activated(x, 'post_bn', 'post_relu');
      return options.includeTop ? classifier(b, x, options, 'avg_pool') : x;
    },
  );
}

export const resnets = [
  resnet('resnet50', [3, 4, 6, 3], ['2cb95161c43110f7111970584f804107', '4d473c1dd8becc155b73f8504c6f6626']),
  resnet('resnet101', [3, 4, 23, 3], ['f1aeb4b969a6efcfb50fad2f0c20cfc5', '88cf7a10940856eca736dc7b7e228a21']),
  resnet('resnet152', [3, 8, 36, 3], ['100835be76be38e30d865e96f2aaae62', 'ee4c566cf9a93f14d82f913c2dc6dd0c']),
  resnetV2(50, [3, 4, 6, 3], ['3ef43a0b657b3be2300d5770ece849e0', 'fac2f116257151a9d068a22e544a4917']),
  resnetV2(101, [3, 4, 23, 3], ['6343647c601c52e1368623803854d971', 'c0ed64b8031c3730f411d2eb4eea35b5']),
  resnetV2(152, [3, 8, 36, 3], ['a49b44d1979771252814e80f8ec446f9', 'ed17cf2e0169df9d443503ef94b23b33']),
];
