import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { layerGraph, openBase, vectorGraph } from '../../src/base/index.js';
import type { Engine } from '../../src/engine/engine.js';
import type { Graph } from '../../src/graph/graph.js';
import { append, cutAt } from '../../src/graph/passes.js';
import { decodeImage, sniff } from '../../src/images/index.js';
import { applications, loadWeights, readModel } from '../../src/keras/index.js';
import { readGolden } from '../helpers/arrow.js';
import { assertClose } from '../helpers/close.js';
import { engines } from '../helpers/conformance.js';
import { needsShared, shared } from '../helpers/fixtures.js';

/** max |difference| over max |expected|; fails where the expected values are too small or too large to tell anything. */
function relative(got: Float32Array | undefined, expected: Float32Array): number {
  assert.equal(got?.length, expected.length);
  let scale = 0;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(expected[i] ?? 0));
    worst = Math.max(worst, Math.abs((expected[i] ?? 0) - (got?.[i] ?? Number.NaN)));
  }
  assert.ok(scale >= 0.1 && scale <= 100, `values up to ${scale}`);
  return worst / scale;
}

async function runOn(engine: Engine, graph: Graph, images: Float32Array, n: number): Promise<Float32Array | undefined> {
  const runner = await engine.load(graph);
  const [result] = await runner.run(images, n);
  await runner.release();
  return result;
}

const pooled = (graph: Graph, layer: string): Graph =>
  append(cutAt(graph, layer), [{ name: 'pooled', op: { kind: 'GlobalAveragePooling2D', keepdims: false } }]);

for (const engine of await engines())
  describe(`golden values made by Keras: ${engine.name}`, needsShared, () => {
    const run = (graph: Graph, images: Float32Array, n: number) => runOn(engine, graph, images, n);

    test('Xception at 200x200, weights only: feature maps and pooled vectors', async () => {
      const golden = readGolden(shared('golden/xception_200.arrow'));
      const base = await openBase({
        base: 'xception',
        weights: shared('golden/xception_synthetic_notop.h5'),
        inputSize: [200, 200],
        image: 'keras',
      });
      const names = golden.texts('file');
      const pixels = await Promise.all(names.map((name) => decoded(name, 200)));
      const flat = Float32Array.from(pixels.flatMap((image) => Array.from(image)));
      const vectors = await run(vectorGraph(base), flat, names.length);
      assert.ok(relative(vectors, golden.floats('pooled')) <= 1e-4);
      const maps = await run(layerGraph(base), golden.floats('input'), names.length);
      assert.ok(relative(maps, golden.floats('feature_maps')) <= 1e-4);
    });

    test('MobileNet 0.25 from its four Keras files', async () => {
      const golden = readGolden(shared('golden/mobilenet_0.25_224.arrow'));
      const mobilenet = applications.get('mobilenet');
      assert.ok(mobilenet);
      const shape = { height: 224, width: 224, channels: 3, alpha: 0.25 };
      const input = golden.floats('input');
      const top = await loadWeights(
        mobilenet.build({ ...shape, includeTop: true }),
        shared('real/mobilenet/mobilenet_2_5_224_tf.h5'),
      );
      const notop = await loadWeights(
        mobilenet.build({ ...shape, includeTop: false }),
        shared('real/mobilenet/mobilenet_2_5_224_tf_no_top.h5'),
      );
      const archive = await readModel(shared('real/mobilenet/mobilenet_0.25_224.keras'));
      const whole = await readModel(shared('real/mobilenet/mobilenet_0.25_224_full.h5'));
      for (const graph of [top, archive, whole]) {
        const probabilities = await run(graph, input, golden.rows);
        const expected = golden.floats('predictions');
        assertClose(probabilities ?? [], expected, 1e-5);
      }
      for (const graph of [top, notop, archive, whole]) {
        const vectors = await run(pooled(graph, 'conv_pw_13_relu'), input, golden.rows);
        assert.ok(relative(vectors, golden.floats('pooled')) <= 1e-4);
      }
    });

    test('a whole model that Keras 2.0.5 wrote', async () => {
      const golden = readGolden(shared('golden/gender_mini_xception.arrow'));
      const graph = await readModel(shared('real/keras2/gender_mini_XCEPTION.21-0.95.hdf5'));
      const probabilities = await run(graph, golden.floats('input'), golden.rows);
      const expected = golden.floats('output');
      assertClose(probabilities ?? [], expected, 1e-5);
    });

    test('the same image gives the same bits in any batch and with any number of threads', async () => {
      const graph = await readModel(shared('real/mobilenet/mobilenet_0.25_224.keras'));
      const golden = readGolden(shared('golden/mobilenet_0.25_224.arrow'));
      const size = 224 * 224 * 3;
      const input = golden.floats('input');
      const together = await run(graph, input, 8);
      for (const threads of [1, 2]) {
        const runner = await engine.load(graph, { threads });
        for (const [from, n] of [
          [0, 1],
          [2, 3],
        ] as const) {
          const [alone] = await runner.run(input.subarray(from * size, (from + n) * size), n);
          assert.deepEqual(alone, together?.slice(from * 1000, (from + n) * 1000));
        }
        await runner.release();
      }
    });
  });

describe('golden pixels made by Keras', needsShared, () => {
  test('pixels of --image keras are those of load_img, those of keras-bilinear are tf.image.resize', async () => {
    const golden = readGolden(shared('golden/pixels_200.arrow'));
    const size = 200 * 200 * 3;
    for (const [i, name] of golden.texts('file').entries()) {
      const exact = await decoded(name, 200);
      const expected = golden.floats('load_img_nearest').subarray(i * size, (i + 1) * size);
      assert.deepEqual(Float32Array.from(exact), expected, name);
      const smooth = await decoded(name, 200, 'keras-bilinear');
      const wanted = golden.floats('tf_image_resize_bilinear').subarray(i * size, (i + 1) * size);
      assertClose(smooth, wanted, 0.005, name);
    }
  });
});

async function decoded(name: string, size: number, mode: 'keras' | 'keras-bilinear' = 'keras') {
  const bytes = await readFile(shared(`real/hymenoptera/${name}`));
  const format = sniff(bytes.subarray(0, 1024));
  assert.equal(format, 'jpeg');
  return decodeImage(bytes, 'jpeg', { mode, height: size, width: size, channels: 3 });
}
