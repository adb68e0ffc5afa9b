import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CacheError } from '../../src/errors.js';
import { IncrementalLda } from '../../src/index.js';
import { Random } from '../../src/random.js';
import { outputsOf, trainHead } from '../../src/train/train.js';
import { memoryVectors } from '../../src/train/vectors.js';

/** Vectors `[n, d]` of classes that take turns. */
function drawn(seed: string, n: number, d: number, classes: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: n * d }, (_, at) =>
    random.normal((Math.floor(at / d) % classes) + 2 === at % d ? 2 : 1, 1),
  );
}

const furthest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, one, i) => Math.max(most, Math.abs(one - (b[i] as number))), 0);

for (const [n, d, classes] of [
  [150, 20, 3],
  [60, 90, 2],
] as const) {
  test(`1,000 labels given, changed and taken away, ${n} x ${d}, end where a fresh fit is`, async () => {
    const x = drawn(`${d}`, n, d, classes);
    const labels = Array.from({ length: n }, (_, i) => (i % 3 === 0 ? i % classes : -1));
    const lda = await IncrementalLda.create(x, d, { classes, labels });
    const { fixed } = lda;
    const random = new Random('steps');
    const done = new Set<string>();
    for (let step = 0; step < 1000; step++) {
      const row = random.below(n);
      const was = labels[row] as number;
      // Now and then all labels of one class go, the last one too.
      const next = step % 400 > 380 ? -1 : random.below(classes + 1) - 1;
      lda.setLabel(row, next < 0 ? null : next);
      labels[row] = next;
      done.add(was === next ? 'same' : was < 0 ? 'given' : next < 0 ? 'taken' : 'changed');
      assert.equal(lda.labelOf(row), next < 0 ? null : next);
    }
    assert.deepEqual([...done].sort(), ['changed', 'given', 'same', 'taken']);
    assert.deepEqual(lda.fixed, fixed, 'steps leave the shrinkage as it is');
    const fresh = await IncrementalLda.create(x, d, { classes, labels, fixed });
    assert.ok(furthest(await lda.probabilities(), await fresh.probabilities()) < 1e-5);
    await lda.refresh();
    const head = await trainHead(
      {
        task: classes === 2 ? 'binary' : 'multiclass',
        classes: ['a', 'b', 'c'].slice(0, classes),
        vectors: memoryVectors(x, d),
        y: Int32Array.from(labels, (k) => Math.max(k, 0)),
        rows: Uint32Array.from([...labels.keys()].filter((row) => (labels[row] as number) >= 0)),
      },
      null,
      { optimizer: 'lda' },
    );
    const said = await outputsOf(head, memoryVectors(x, d));
    assert.ok(furthest(await lda.probabilities(), said) < 1e-5, 'refreshed, it is what train makes of these labels');
    await Promise.all([lda.release(), fresh.release()]);
  });
}

test('labels from none on: one, another of its class, another class', async () => {
  const [n, d] = [40, 6];
  const x = drawn('first', n, d, 2);
  const lda = await IncrementalLda.create(x, d, { classes: 2 });
  assert.deepEqual([...new Set(await lda.probabilities())], [0.5], 'no label says nothing');
  lda.setLabel(0, 0);
  assert.deepEqual([...(await lda.probabilities())].slice(0, 4), [1, 0, 1, 0], 'one class is all there is');
  for (let row = 1; row < 12; row++) lda.setLabel(row, row % 2);
  await lda.refresh();
  const said = await lda.probabilities();
  const right = Array.from({ length: n }, (_, i) => (said[2 * i + (i % 2)] as number) > 0.5).filter(Boolean).length;
  assert.ok(right >= 30, `${right} of ${n}`);
  // The last image of a class goes, and comes back.
  for (let row = 1; row < 12; row += 2) lda.setLabel(row, null);
  assert.deepEqual([...(await lda.probabilities())].slice(0, 2), [1, 0]);
  for (let row = 1; row < 12; row += 2) lda.setLabel(row, 1);
  assert.ok(furthest(await lda.probabilities(), said) < 1e-6);
  await lda.release();
});

test('vectors that are all the same, and what does not fit', async () => {
  const same = await IncrementalLda.create(new Float32Array(12).fill(2), 3, { classes: 2, labels: [0, 0, 1, 1] });
  assert.ok((await same.probabilities()).every((p) => p === 0.5));
  await same.release();
  await assert.rejects(IncrementalLda.create(Float32Array.of(1, Number.NaN), 1, { classes: 2 }), CacheError);
  await assert.rejects(IncrementalLda.create(Float32Array.of(1, 2), 1, { classes: 1 }), TypeError);
  await assert.rejects(IncrementalLda.create(Float32Array.of(1, 2), 1, { classes: 2, labels: [0] }), TypeError);
  await assert.rejects(IncrementalLda.create(Float32Array.of(1, 2), 1, { classes: 2, labels: [0, 2] }), TypeError);
  const two = await IncrementalLda.create(Float32Array.of(1, 2), 1, { classes: 2 });
  assert.throws(() => two.setLabel(2, 0), TypeError);
  assert.throws(() => two.setLabel(0, 2), TypeError);
  assert.equal(two.labelOf(0), null);
  await two.release();
});
