import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LabelError, UsageError } from '../../src/errors.js';
import { fitHead } from '../../src/heads/fit.js';
import { scoresOf } from '../../src/heads/row-trainer.js';
import { fitCoverage, measureCoverage, setOf } from '../../src/metrics/conformal.js';
import { Random } from '../../src/random.js';
import { KeySet } from '../../src/store/index.js';
import { memoryVectors } from '../../src/train/vectors.js';

test('the threshold is the ⌈(n + 1) level⌉-th smallest of one less the probability of the class', () => {
  // One less the probability of the true class: 0.1, 0.2, … 0.9, in any order.
  const order = [3, 7, 1, 9, 5, 2, 8, 6, 4];
  const scores = Float64Array.from(order.flatMap((tenth) => [1 - tenth / 10, tenth / 10]));
  const y = order.map(() => 0);
  for (const [level, tenths] of [
    [0.5, 5],
    [0.7, 7],
    [0.71, 8],
    [0.9, 9],
  ] as const) {
    const rule = fitCoverage(scores, y, 2, level);
    assert.equal(rule.images, 9);
    assert.ok(Math.abs(rule.threshold - tenths / 10) < 1e-12, `${level}: ${rule.threshold}`);
  }
  assert.equal(fitCoverage(scores, y, 2, 0.91).threshold, 1, 'nine images are too few for more than 0.9');
  assert.deepEqual(setOf([0, 0.2, 0.8], fitCoverage(scores, y, 2, 0.95)), [0, 1, 2], 'so every class is in');
});

test('sets hold classes that are likely enough, and nothing where none is', () => {
  const rule = { level: 0.9, threshold: 0.6, images: 50 };
  assert.deepEqual(setOf([0.5, 0.45, 0.05], rule), [0, 1]);
  assert.deepEqual(setOf([0.2, 0.3, 0.3, 0.2], rule), []);
  const scores = [0.5, 0.45, 0.05, 0.3, 0.35, 0.35, 0.9, 0.1, 0];
  const told = measureCoverage(scores, [1, 0, 1], 3, rule);
  assert.deepEqual(
    { ...told, interval: null },
    { level: 0.9, found: 1 / 3, interval: null, meanSize: 1, empty: 1 / 3 },
  );
});

const [n, d, classes] = [700, 6, 3];
const random = new Random('conformal');
const y = Array.from({ length: n }, (_, i) => i % classes);
const x = Float32Array.from({ length: n * d }, (_, at) => random.normal(y[Math.floor(at / d)] === at % d ? 1.2 : 0, 1));
const keys = y.map((_, i) => i.toString(16).padStart(64, '0'));
const table = { vectors: memoryVectors(x, d), rows: new KeySet(keys) };
const names = ['a', 'b', 'c'];
const example = (i: number) => ({
  path: `${i}`,
  sha256: keys[i] as string,
  label: names[y[i] as number] as string,
});

for (const folds of [null, 5]) {
  test(`over 50 splits sets of 90 % hold the class of 88 to 92 % of other images${folds ? `, ${folds} folds` : ''}`, async () => {
    const found: number[] = [];
    for (let seed = 0; seed < 50; seed++) {
      const order = [...new Random(`split ${seed}`).permutation(n)];
      const [train, val, test] = [order.slice(0, 200), order.slice(200, 400), order.slice(400)];
      const problem = {
        task: 'multiclass',
        classes: names,
        train: train.map(example),
        val: val.map(example),
        test: [],
      } as const;
      const fit = { coverage: 0.9, bootstrap: 0, ...(folds === null ? {} : { folds }) };
      const { trained, learned } = await fitHead(problem, table, { optimizer: 'lda', shrinkage: 0.1, seed }, fit);
      assert.ok(learned.coverage);
      assert.equal(learned.coverage.images, folds === null ? 200 : 400);
      const rows = Uint32Array.from(test).sort();
      const scores = await scoresOf({ task: 'multiclass', classes: names, table }, trained, rows);
      const of = Array.from(rows, (row) => y[row] as number);
      found.push(measureCoverage(scores, of, classes, learned.coverage).found);
    }
    const mean = found.reduce((sum, one) => sum + one, 0) / found.length;
    assert.ok(mean >= 0.88 && mean <= 0.92, `${mean}`);
    assert.ok(new Set(found).size > 10, 'the splits differ');
  });
}

test('sets that cannot be are refused before anything is trained', async () => {
  const problem = { task: 'multiclass', classes: names, train: [0, 1, 2, 3].map(example), val: [], test: [] } as const;
  await assert.rejects(fitHead(problem, table, {}, { coverage: 0.9 }), LabelError);
  const several = { ...problem, task: 'multilabel' as const, val: [example(4)] };
  await assert.rejects(fitHead(several, table, {}, { coverage: 0.9 }), UsageError);
  for (const coverage of [0, 1, 90]) await assert.rejects(fitHead(problem, table, {}, { coverage }), UsageError);
});
