import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { UsageError } from '../src/errors.js';
import { inferShapes, inputShapes, weightSpecs } from '../src/graph/infer.js';
import { applications } from '../src/keras/index.js';
import { fixture } from './helpers/fixtures.js';

interface Facts {
  layers: number;
  params: number;
  sha256: string;
  middle: string;
}

const facts = JSON.parse(readFileSync(fixture('keras/facts.json'), 'utf8')) as { applications: Record<string, Facts> };

/** Names, order, shapes and counts of every layer, as Keras 3.15 builds it: test/fixtures/make_keras_fixtures.py. */
describe('architectures are those of keras.applications', () => {
  for (const [title, expected] of Object.entries(facts.applications)) {
    test(title, () => {
      const [name = '', size = '', ...rest] = title.split(' ');
      const [height = 0, width = height] = size.split('x').map(Number);
      const includeTop = rest.includes('top');
      const alpha = rest.find((word) => /^\d/.test(word));
      const graph = applications
        .get(name)
        ?.build({ height, width, channels: 3, includeTop, ...(alpha === undefined ? {} : { alpha: Number(alpha) }) });
      assert.ok(graph);
      const shapes = inferShapes(graph);
      let params = 0;
      const lines = graph.nodes.map((node) => {
        const specs = weightSpecs(node.op, inputShapes(node, shapes));
        const count = specs.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
        params += count;
        return `${node.name} ${shapes.get(node.name)?.join('x')} ${count}`;
      });
      assert.equal(lines.length, expected.layers);
      assert.equal(lines[Math.floor(lines.length / 2)], expected.middle);
      assert.equal(params, expected.params);
      assert.equal(createHash('sha256').update(lines.join('\n')).digest('hex'), expected.sha256);
    });
  }

  test('sizes below the minimum and variants without weights are refused', () => {
    const xception = applications.get('xception');
    const mobilenet = applications.get('mobilenet');
    const square = (size: number) => ({ height: size, width: size, channels: 3, includeTop: false });
    assert.throws(() => xception?.build(square(70)), UsageError);
    assert.throws(() => mobilenet?.build(square(31)), UsageError);
    assert.throws(() => mobilenet?.build({ ...square(64), alpha: 0.01 }), UsageError);
    assert.throws(() => mobilenet?.imagenet({ ...square(224), alpha: 0.3 }), /0\.25, 0\.5, 0\.75, 1/);
    assert.throws(() => mobilenet?.imagenet({ ...square(200), includeTop: true }), UsageError);
  });

  test('published files are named as Keras names them', () => {
    const mobilenet = applications.get('mobilenet');
    const at = (size: number, alpha: number, includeTop: boolean) =>
      mobilenet?.imagenet({ height: size, width: size, channels: 3, includeTop, alpha }).file;
    assert.equal(at(224, 0.25, false), 'mobilenet_2_5_224_tf_no_top.h5');
    assert.equal(at(160, 1, true), 'mobilenet_1_0_160_tf.h5');
    assert.equal(at(200, 0.5, false), 'mobilenet_5_0_224_tf_no_top.h5');
    const published = applications
      .get('xception')
      ?.imagenet({ height: 299, width: 299, channels: 3, includeTop: false });
    assert.deepEqual(published, {
      file: 'xception_weights_tf_dim_ordering_tf_kernels_notop.h5',
      url: 'https://storage.googleapis.com/tensorflow/keras-applications/xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5',
      hash: 'b0042744bf5b25fce3cb969f33bebb97',
    });
  });
});
