import { type Application, application, published, WEIGHTS_URL } from './application.js';

const FILTERS = [64, 128, 256, 512, 512];

/** Simonyan and Zisserman 2015, arXiv:1409.1556, as keras/src/applications/vgg16.py and vgg19.py build it. */
function vgg(name: string, convolutions: readonly number[], hashes: readonly [string, string]): Application {
  return application(
    {
      name,
      defaultSize: 224,
      minSize: 32,
      preprocess: 'caffe',
      imagenet: published(`${WEIGHTS_URL}/${name}`, `${name}_weights_tf_dim_ordering_tf_kernels`, hashes),
    },
    (b, input, { includeTop, classes = 1000 }) => {
      let x = input;
      for (const [i, filters] of FILTERS.entries()) {
        for (let j = 1; j <= (convolutions[i] ?? 0); j++) {
          const name = `block${i + 1}_conv${j}`;
          x = b.conv(x, filters, 3, { padding: 'same', useBias: true, activation: 'relu', name });
        }
        x = b.maxPool(x, 2, 2, { name: `block${i + 1}_pool` });
      }
      if (!includeTop) return x;
      x = b.dense(b.flatten(x, 'flatten'), 4096, 'relu', 'fc1');
      return b.dense(b.dense(x, 4096, 'relu', 'fc2'), classes, 'softmax', 'predictions');
    },
  );
}

export const vggs = [
  vgg('vgg16', [2, 2, 3, 3, 3], ['64373286793e3c8b2b4e3219cbf3544b', '6d6bbae143d832006294945121d1f1fc']),
  vgg('vgg19', [2, 2, 4, 4, 4], ['cbe5617147190e668d6c5d5026f83318', '253f8cb515780f3b799900260a226db6']),
];
