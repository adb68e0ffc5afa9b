import { type Application, application, classifier, type PublishedWeights, WEIGHTS_URL } from './application.js';
import type { Builder } from './builder.js';

interface Variant {
  readonly name: string;
  /** Of the files in Keras's cache folder; `name` with an underscore. */
  readonly size: number;
  readonly penultimateFilters: number;
  readonly blocks: number;
  readonly stemFilters: number;
  /** Whether a cell after a reduction takes the output before it, not the reduced one's input. */
  readonly skipReduction: boolean;
  readonly hashes: readonly [string, string];
}

/** Zoph et al. 2018, arXiv:1707.07012: NASNet-A's cells, as keras/src/applications/nasnet.py builds them. */
class Cells {
  constructor(private readonly b: Builder) {}

  /** 1 x 1 convolution and batch norm, `name` around their kind and `id`. */
  private projected(x: string, filters: number, conv: string, bn: string): string {
    return this.b.batchNorm(this.b.conv(x, filters, 1, { padding: 'same', name: conv }), bn);
  }

  /** Twice relu, separable convolution, batch norm; the first may stride. */
  private separable(x: string, filters: number, size: number, id: string, strides: 1 | 2 = 1): string {
    const { b } = this;
    let y = b.activation(x, 'relu');
    if (strides === 2) y = b.correctPadding(y, size, `separable_conv_1_pad_${id}`);
    const padding = strides === 2 ? 'valid' : 'same';
    y = b.separable(y, filters, size, { strides, padding, name: `separable_conv_1_${id}` });
    y = b.activation(b.batchNorm(y, `separable_conv_1_bn_${id}`), 'relu');
    y = b.separable(y, filters, size, { padding: 'same', name: `separable_conv_2_${id}` });
    return b.batchNorm(y, `separable_conv_2_bn_${id}`);
  }

  /** The previous cell's input `p` brought to the size and channels of the cell `x`. */
  private adjusted(p: string | null, x: string, filters: number, id: string): string {
    const { b } = this;
    if (p === null) return x;
    if (b.shape(p)[1] !== b.shape(x)[1]) {
      const y = b.activation(p, 'relu', `adjust_relu_1_${id}`);
      const half = (z: string, i: 1 | 2): string => {
        const pooled = b.averagePool(z, 1, 2, { name: `adjust_avg_pool_${i}_${id}` });
        return b.conv(pooled, Math.floor(filters / 2), 1, { padding: 'same', name: `adjust_conv_${i}_${id}` });
      };
      const first = half(y, 1);
      const shifted = b.cropping(b.zeroPadding(y, [0, 1], [0, 1]), [1, 0], [1, 0]);
      return b.batchNorm(b.concat([first, half(shifted, 2)]), `adjust_bn_${id}`);
    }
    if (b.channels(p) === filters) return p;
    return this.projected(b.activation(p, 'relu'), filters, `adjust_conv_projection_${id}`, `adjust_bn_${id}`);
  }

  normal(x: string, before: string | null, filters: number, id: string): string {
    const { b } = this;
    const p = this.adjusted(before, x, filters, id);
    const h = this.projected(b.activation(x, 'relu'), filters, `normal_conv_1_${id}`, `normal_bn_1_${id}`);
    const named = (part: string): string => `normal_${part}_${id}`;
    const average = (y: string, part: string): string => b.averagePool(y, 3, 1, { padding: 'same', name: named(part) });
    const x1 = b.sum(
      [this.separable(h, filters, 5, named('left1')), this.separable(p, filters, 3, named('right1'))],
      named('add_1'),
    );
    const x2 = b.sum(
      [this.separable(p, filters, 5, named('left2')), this.separable(p, filters, 3, named('right2'))],
      named('add_2'),
    );
    const x3 = b.sum([average(h, 'left3'), p], named('add_3'));
    const x4 = b.sum([average(p, 'left4'), average(p, 'right4')], named('add_4'));
    const x5 = b.sum([this.separable(h, filters, 3, named('left5')), h], named('add_5'));
    return b.concat([p, x1, x2, x3, x4, x5], named('concat'));
  }

  reduction(x: string, before: string | null, filters: number, id: string): string {
    const { b } = this;
    const p = this.adjusted(before, x, filters, id);
    const named = (part: string): string => `reduction_${part}_${id}`;
    const h = this.projected(b.activation(x, 'relu'), filters, named('conv_1'), named('bn_1'));
    const padded = b.correctPadding(h, 3, named('pad_1'));
    const x1 = b.sum(
      [this.separable(h, filters, 5, named('left1'), 2), this.separable(p, filters, 7, named('right1'), 2)],
      named('add_1'),
    );
    const x2 = b.sum(
      [b.maxPool(padded, 3, 2, { name: named('left2') }), this.separable(p, filters, 7, named('right2'), 2)],
      named('add_2'),
    );
    const x3 = b.sum(
      [b.averagePool(padded, 3, 2, { name: named('left3') }), this.separable(p, filters, 5, named('right3'), 2)],
      named('add3'),
    );
    const x4 = b.sum([x2, b.averagePool(x1, 3, 1, { padding: 'same', name: named('left4') })]);
    const x5 = b.sum(
      [this.separable(x1, filters, 3, named('left4')), b.maxPool(padded, 3, 2, { name: named('right5') })],
      named('add4'),
    );
    return b.concat([x2, x3, x4, x5], named('concat'));
  }
}

function nasnet(variant: Variant): Application {
  const { name, size, penultimateFilters, blocks, stemFilters, skipReduction, hashes } = variant;
  const kind = name.replace('nasnet-', '');
  return application(
    {
      name,
      defaultSize: size,
      minSize: 32,
      preprocess: 'tf',
      imagenet({ includeTop }): PublishedWeights {
        return {
          file: `nasnet_${kind}${includeTop ? '' : '_no_top'}.h5`,
          url: `${WEIGHTS_URL}/nasnet/NASNet-${kind}${includeTop ? '' : '-no-top'}.h5`,
          hash: includeTop ? hashes[0] : hashes[1],
        };
      },
    },
    (b, input, options) => {
      const cells = new Cells(b);
      const filters = Math.floor(penultimateFilters / 24);
      let x = b.batchNorm(b.conv(input, stemFilters, 3, { strides: 2, name: 'stem_conv1' }), 'stem_bn1');
      let before: string | null = null;
      const step = (next: string): void => {
        before = x;
        x = next;
      };
      step(cells.reduction(x, before, Math.floor(filters / 4), 'stem_1'));
      step(cells.reduction(x, before, Math.floor(filters / 2), 'stem_2'));
      for (let stage = 0; stage < 3; stage++) {
        const width = filters * 2 ** stage;
        if (stage > 0) {
          const reduced = cells.reduction(x, before, width, `reduce_${stage * blocks}`);
          if (!skipReduction) before = x;
          x = reduced;
        }
        const first = stage === 0 ? 0 : stage * blocks + 1;
        for (let i = 0; i < blocks; i++) step(cells.normal(x, before, width, String(first + i)));
      }
      x = b.activation(x, 'relu');
      return options.includeTop ? classifier(b, x, options) : x;
    },
  );
}

export const nasnets = [
  nasnet({
    name: 'nasnet-mobile',
    size: 224,
    penultimateFilters: 1056,
    blocks: 4,
    stemFilters: 32,
    skipReduction: false,
    hashes: ['020fb642bf7360b370c678b08e0adf61', '1ed92395b5b598bdda52abe5c0dbfd63'],
  }),
  nasnet({
    name: 'nasnet-large',
    size: 331,
    penultimateFilters: 4032,
    blocks: 6,
    stemFilters: 96,
    skipReduction: true,
    hashes: ['11577c9a518f0070763c2b964a382f17', 'd81d89dc07e6e56530c4e77faddd61b5'],
  }),
];
