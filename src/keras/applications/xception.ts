import { application, classifier, published, WEIGHTS_URL } from './application.js';

/** Chollet 2017, arXiv:1610.02357, layer for layer as keras/src/applications/xception.py builds it. */
export const xception = application(
  {
    name: 'xception',
    defaultSize: 299,
    minSize: 71,
    preprocess: 'tf',
    imagenet: published(`${WEIGHTS_URL}/xception`, 'xception_weights_tf_dim_ordering_tf_kernels', [
      '0a58e3b7378bc2990ea3b43d5981f1f6',
      'b0042744bf5b25fce3cb969f33bebb97',
    ]),
  },
  (b, input, options) => {
    const separable = (x: string, filters: number, name: string): string =>
      b.batchNorm(b.separable(x, filters, 3, { padding: 'same', name }), `${name}_bn`);
    const shortcut = (x: string, filters: number): string =>
      b.batchNorm(b.conv(x, filters, 1, { strides: 2, padding: 'same' }));
    const pool = (x: string, name: string): string => b.maxPool(x, 3, 2, { padding: 'same', name });

    let x = b.conv(input, 32, 3, { strides: 2, name: 'block1_conv1' });
    x = b.activation(b.batchNorm(x, 'block1_conv1_bn'), 'relu', 'block1_conv1_act');
    x = b.conv(x, 64, 3, { name: 'block1_conv2' });
    x = b.activation(b.batchNorm(x, 'block1_conv2_bn'), 'relu', 'block1_conv2_act');

    for (const [block, filters] of [
      [2, 128],
      [3, 256],
      [4, 728],
    ] as const) {
      const residual = shortcut(x, filters);
      if (block > 2) x = b.activation(x, 'relu', `block${block}_sepconv1_act`);
      x = separable(x, filters, `block${block}_sepconv1`);
      x = b.activation(x, 'relu', `block${block}_sepconv2_act`);
      x = separable(x, filters, `block${block}_sepconv2`);
      x = b.sum([pool(x, `block${block}_pool`), residual]);
    }
    for (let block = 5; block <= 12; block++) {
      const residual = x;
      for (let i = 1; i <= 3; i++) {
        x = b.activation(x, 'relu', `block${block}_sepconv${i}_act`);
        x = separable(x, 728, `block${block}_sepconv${i}`);
      }
      x = b.sum([x, residual]);
    }
    const residual = shortcut(x, 1024);
    x = separable(b.activation(x, 'relu', 'block13_sepconv1_act'), 728, 'block13_sepconv1');
    x = separable(b.activation(x, 'relu', 'block13_sepconv2_act'), 1024, 'block13_sepconv2');
    x = b.sum([pool(x, 'block13_pool'), residual]);
    x = b.activation(separable(x, 1536, 'block14_sepconv1'), 'relu', 'block14_sepconv1_act');
    x = b.activation(separable(x, 2048, 'block14_sepconv2'), 'relu', 'block14_sepconv2_act');
    return options.includeTop ? classifier(b, x, options, 'avg_pool') : x;
  },
);
