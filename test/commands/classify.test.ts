import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type Classification, type ClassifyOptions, classify, ModelError, UsageError } from '../../src/index.js';
import { imagenetClasses } from '../../src/keras/index.js';
import { readGolden } from '../helpers/arrow.js';
import { permafrost } from '../helpers/cli.js';
import { fixture, needsShared, root, shared } from '../helpers/fixtures.js';

async function all(options: ClassifyOptions): Promise<Classification[]> {
  const found: Classification[] = [];
  for await (const one of classify(options)) found.push(one);
  return found;
}

test("the 1,000 classes are those of Keras's file, by the hash that Keras checks it with", async () => {
  const classes = await imagenetClasses();
  const entries = classes.map(({ wnid, label }, i) => `"${i}": ["${wnid}", "${label}"]`);
  const file = `{${entries.join(', ')}}`;
  assert.equal(createHash('md5').update(file).digest('hex'), 'c2c37ea517e94d9795004a39431a14cb');
  assert.equal(classes.length, 1000);
  assert.deepEqual(classes[0], { wnid: 'n01440764', label: 'tench' });
  assert.deepEqual(classes[999], { wnid: 'n15075141', label: 'toilet_tissue' });
});

describe('MobileNet 0.25 with its ImageNet weights', needsShared, () => {
  const golden = needsShared.skip ? null : readGolden(shared('golden/mobilenet_0.25_224.arrow'));
  const paths = golden?.texts('file').map((name) => shared(`real/hymenoptera/${name}`)) ?? [];
  const weights = shared('real/mobilenet/mobilenet_2_5_224_tf.h5');

  test("gives Keras's predictions on the golden pictures, from weights and from whole models", async () => {
    const expected = golden?.floats('predictions') ?? new Float32Array();
    const classes = await imagenetClasses();
    for (const base of [
      { base: 'mobilenet', alpha: 0.25, weights },
      { base: shared('real/mobilenet/mobilenet_0.25_224.keras'), preprocess: 'tf' as const },
    ]) {
      const results = await all({ ...base, image: 'keras', paths, top: 1000 });
      assert.deepEqual(
        results.map((result) => result.path),
        paths,
      );
      for (const [i, { top = [] }] of results.entries()) {
        const row = expected.subarray(i * 1000, (i + 1) * 1000);
        assert.equal(top.length, 1000);
        assert.equal(top[0]?.index, row.indexOf(Math.max(...row)));
        for (const { index, label, wnid, score } of top) {
          assert.ok(Math.abs(score - (row[index] ?? Number.NaN)) <= 1e-5);
          assert.deepEqual({ wnid, label }, classes[index]);
        }
        assert.ok(top.every(({ score }, j) => j === 0 || score <= (top[j - 1]?.score ?? 0)));
      }
    }
  });

  test('the command prints one object a line, the likeliest first', async () => {
    const args = ['classify', ...paths.slice(0, 2), '--base', 'mobilenet', '--alpha', '0.25', '--weights', weights];
    const { code, stdout, stderr } = await permafrost([...args, '--top', '3', '--json', '--image', 'keras'], root);
    assert.equal(code, 0, stderr);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Classification);
    assert.deepEqual(
      lines.map(({ path, top }) => [path, top?.length]),
      paths.slice(0, 2).map((file) => [file, 3]),
    );
    assert.deepEqual(Object.keys(lines[0]?.top?.[0] ?? {}), ['index', 'wnid', 'label', 'score']);
  });
});

test('another number of classes gives places only', async () => {
  const picture = fixture('keras/picture.png');
  const facts = JSON.parse(readFileSync(fixture('keras/facts.json'), 'utf8')) as { classes: string };
  const expected = new Float32Array(new Uint8Array(Buffer.from(facts.classes, 'base64')).buffer);
  const [result] = await all({ base: fixture('keras/tiny.h5'), preprocess: 'tf', image: 'keras', paths: [picture] });
  assert.equal(result?.path, picture);
  assert.deepEqual(result?.top?.map(({ index }) => index).sort(), [0, 1, 2]);
  for (const one of result?.top ?? []) {
    assert.deepEqual(Object.keys(one), ['index', 'score']);
    assert.ok(Math.abs(one.score - (expected[one.index] ?? Number.NaN)) <= 1e-5);
  }
});

test('a base without a classifier, and a top of nothing, are refused', async () => {
  const paths = [fixture('images/rgb.png')];
  await assert.rejects(all({ base: 'xception-mini', paths }), ModelError);
  await assert.rejects(all({ base: 'mobilenet', weights: 'random', paths, top: 0 }), UsageError);
});
