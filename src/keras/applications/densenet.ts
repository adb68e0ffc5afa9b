import { type Application, application, classifier, published, WEIGHTS_URL } from './application.js';

const EPSILON = { epsilon: 1.001e-5 };
/** Channels that each block adds. */
const GROWTH = 32;

/** Huang et al. 2017, arXiv:1608.06993, as keras/src/applications/densenet.py builds it. */
function densenet(size: number, blocks: readonly number[], hashes: readonly [string, string]): Application {
  const stem = `densenet${size}_weights_tf_dim_ordering_tf_kernels`;
  return application(
    {
      name: `densenet${size}`,
      defaultSize: 224,
      minSize: 32,
      preprocess: 'torch',
      imagenet: published(`${WEIGHTS_URL}/densenet`, stem, hashes),
    },
    (b, input, options) => {
      const activated = (x: string, bn: string, relu: string): string =>
        b.activation(b.batchNorm(x, bn, EPSILON), 'relu', relu);
      let x = b.conv(b.zeroPadding(input, [3, 3], [3, 3]), 64, 7, { strides: 2, name: 'conv1_conv' });
      x = b.zeroPadding(activated(x, 'conv1_bn', 'conv1_relu'), [1, 1], [1, 1]);
      x = b.maxPool(x, 3, 2, { name: 'pool1' });
      for (const [i, count] of blocks.entries()) {
        for (let j = 1; j <= count; j++) {
          const name = `conv${i + 2}_block${j}`;
          let y = activated(x, `${name}_0_bn`, `${name}_0_relu`);
          y = activated(b.conv(y, 4 * GROWTH, 1, { name: `${name}_1_conv` }), `${name}_1_bn`, `${name}_1_relu`);
          y = b.conv(y, GROWTH, 3, { padding: 'same', name: `${name}_2_conv` });
          x = b.concat([x, y], `${name}_concat`);
        }
        if (i === blocks.length - 1) break;
        const name = `pool${i + 2}`;
        x = activated(x, `${name}_bn`, `${name}_relu`);
        x = b.conv(x, Math.floor(b.channels(x) / 2), 1, { name: `${name}_conv` });
        x = b.averagePool(x, 2, 2, { name: `${name}_pool` });
      }
      x = activated(x, 'bn', 'relu');
      return options.includeTop ? classifier(b, x, options, 'avg_pool') : x;
    },
  );
}

export const densenets = [
  densenet(121, [6, 12, 24, 16], ['9d60b8095a5708f2dcce2bca79d332c7', '30ee3e1110167f948a6b9946edeeb738']),
  densenet(169, [6, 12, 32, 32], ['d699b8f76981ab1b30698df4c175e90b', 'b8c4d4c20dd625c148057b9ff1c1176b']),
  densenet(201, [6, 12, 48, 32], ['1ceb130c1ea1b78c3bf6114dbdfd8807', 'c13680b51ded0fb44dff2d8f86ac8bb1']),
];
