import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { UsageError } from '../../src/errors.js';
import { classOf, type Graph } from '../../src/graph/graph.js';
import { inferShapes, inputShapes, weightSpecs } from '../../src/graph/infer.js';
import { entries } from '../../src/keras/by-order.js';
import { applications } from '../../src/keras/index.js';
import type { LayerEntry } from '../../src/keras/reader.js';
import { fixture } from '../helpers/fixtures.js';
import { long } from '../helpers/long.js';
import { needsPython, python } from '../helpers/peers.js';

interface Facts {
  layers: number;
  params: number;
  sha256: string;
  /** `name class shape parameters` of the last layer. */
  last: string;
  /** Those that Keras takes out of a file, in order: lines of `layer weight shape`. */
  weights: { count: number; sha256: string };
  /** Keras's name of the file in its cache, the URL and the hash. */
  file: [string, string, string | null];
}

const facts = JSON.parse(readFileSync(fixture('keras/applications.json'), 'utf8')) as Record<
  string,
  Record<'top' | 'notop 97x131', Facts>
>;

const sha256 = (lines: readonly string[]): string => createHash('sha256').update(lines.join('\n')).digest('hex');

/** What Keras calls weights that are called otherwise here, in files that are read by order. */
const OWN_NAMES: Partial<Record<string, string>> = {
  'DepthwiseConv2D depthwise_kernel': 'kernel',
  'LayerScale gamma': 'variable', // it gives none
};

/** The weights as a published file is matched with them. */
function weightLines(graph: Graph): string[] {
  const shapes = inferShapes(graph);
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const lines = (entry: LayerEntry, layer: string): string[] => {
    const node = nodes.get(entry.path);
    const own = node ? weightSpecs(node.op, inputShapes(node, shapes)) : [];
    return [
      ...own.map(({ name, shape }) => {
        return `${layer} ${OWN_NAMES[`${entry.className} ${name}`] ?? name} ${shape.join('x')}`;
      }),
      ...entry.layers.flatMap((inner) => lines(inner, layer)),
    ];
  };
  return entries(graph).flatMap((entry) => lines(entry, entry.name));
}

/** Names, classes, order, shapes and counts of every layer as Keras 3.15 builds it: test/fixtures/make_application_facts.py. */
describe('architectures and weight files are those of keras.applications', () => {
  test('every application is compared', () => {
    const compared = new Set(Object.keys(facts).map((title) => title.split(' ')[0]));
    assert.deepEqual([...compared].sort(), [...applications.keys()].sort());
  });

  for (const [title, { top, 'notop 97x131': notop }] of Object.entries(facts)) {
    const [name = '', alpha] = title.split(' ');
    for (const [includeTop, expected] of [
      [true, top],
      [false, notop],
    ] as const) {
      test(`${title}${includeTop ? ' top' : ''}`, () => {
        const application = applications.get(name);
        assert.ok(application);
        const [height, width] = includeTop ? [application.defaultSize, application.defaultSize] : [97, 131];
        const multiplier = alpha === undefined ? {} : { alpha: Number(alpha) };
        const options = { height, width, channels: 3, includeTop, imagenet: true, ...multiplier };
        const graph = application.build(options);
        const shapes = inferShapes(graph);
        let params = 0;
        const lines = graph.nodes.map((node) => {
          const specs = weightSpecs(node.op, inputShapes(node, shapes));
          const count = specs.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
          params += count;
          return `${node.name} ${classOf(node)} ${shapes.get(node.name)?.join('x')} ${count}`;
        });
        assert.equal(lines.length, expected.layers);
        assert.equal(lines.at(-1), expected.last);
        assert.equal(params, expected.params);
        assert.equal(sha256(lines), expected.sha256);
        const weights = weightLines(graph);
        assert.deepEqual({ count: weights.length, sha256: sha256(weights) }, expected.weights);
        const { file, url, hash } = application.imagenet(options);
        assert.deepEqual([file, url, hash], expected.file);
      });
    }
  }

  test('the facts are those of the Keras that is installed', needsPython('keras', 'tensorflow'), async () => {
    const some = ['mobilenet 0.25', 'convnext-tiny'];
    const titles = long ? Object.keys(facts) : some;
    const cases = titles.map((title) => title.replace(' ', '@'));
    const env = { ...process.env, KERAS_BACKEND: 'tensorflow' };
    const run = promisify(execFile)(python, [fixture('make_application_facts.py'), ...cases], { env });
    const lines = (await run).stdout.split('\n').filter((line) => line.startsWith('{'));
    assert.equal(lines.length, titles.length);
    for (const line of lines) {
      for (const [title, found] of Object.entries(JSON.parse(line))) assert.deepEqual(facts[title], found, title);
    }
  });

  test('sizes below the minimum and variants without weights are refused', () => {
    const get = (name: string) => {
      const found = applications.get(name);
      assert.ok(found);
      return found;
    };
    const square = (size: number) => ({ height: size, width: size, channels: 3, includeTop: false });
    for (const application of applications.values()) {
      assert.throws(() => application.build(square(application.minSize - 1)), UsageError, application.name);
    }
    assert.throws(() => get('mobilenet').build({ ...square(64), alpha: 0.01 }), UsageError);
    assert.throws(() => get('mobilenet').imagenet({ ...square(224), alpha: 0.3 }), /0\.25, 0\.5, 0\.75, 1/);
    assert.throws(() => get('mobilenet').imagenet({ ...square(200), includeTop: true }), UsageError);
    assert.throws(() => get('mobilenet-v2').imagenet({ ...square(224), alpha: 0.3 }), /0\.35, 0\.5/);
    assert.throws(() => get('mobilenet-v3-small').imagenet({ ...square(224), alpha: 0.5 }), /0\.75, 1/);
  });

  test('mobilenets fetch the file of their size where there is one', () => {
    const file = (name: string, size: number, alpha: number, includeTop: boolean) =>
      applications.get(name)?.imagenet({ height: size, width: size, channels: 3, includeTop, alpha }).file;
    assert.equal(file('mobilenet', 160, 1, true), 'mobilenet_1_0_160_tf.h5');
    assert.equal(file('mobilenet', 200, 0.5, false), 'mobilenet_5_0_224_tf_no_top.h5');
    assert.equal(
      file('mobilenet-v2', 96, 0.35, false),
      'mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5',
    );
  });
});
