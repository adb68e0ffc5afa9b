import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Point, precisionRecallCurve, reliability, rocCurve, saidAt } from '../../src/metrics/curves.js';
import { rank } from '../../src/metrics/ranking.js';
import { fixture } from '../helpers/fixtures.js';

interface Expected {
  readonly scores: readonly number[];
  readonly y: readonly number[];
  readonly roc: readonly Point[];
  readonly precisionRecall: readonly Point[];
  readonly calibration: readonly Point[];
}
const expected = JSON.parse(readFileSync(fixture('report_fixtures.json'), 'utf8')) as Expected;
const scores = Float32Array.from(expected.scores);
const isPositive = (i: number): boolean => expected.y[i] === 1;

function near(found: readonly Point[], wanted: readonly Point[]): void {
  assert.equal(found.length, wanted.length);
  for (const [i, [x, y]] of wanted.entries()) {
    assert.ok(Math.abs((found[i]?.[0] ?? Number.NaN) - x) < 1e-6, `point ${i}: ${found[i]} for ${x}, ${y}`);
    assert.ok(Math.abs((found[i]?.[1] ?? Number.NaN) - y) < 1e-6, `point ${i}: ${found[i]} for ${x}, ${y}`);
  }
}

test('the ROC curve is that of scikit-learn', () => {
  near(rocCurve(rank(scores, isPositive)), expected.roc);
  assert.deepEqual(rocCurve(rank(scores, () => true)), []);
});

test('the precision-recall curve is that of scikit-learn up to the first threshold that finds all', () => {
  // scikit-learn begins with precision 1, which no threshold has, and goes on below the threshold that finds all.
  const [, ...wanted] = expected.precisionRecall;
  const whole = wanted.findIndex(([recall]) => recall === 1);
  const [first, ...found] = precisionRecallCurve(rank(scores, isPositive));
  assert.deepEqual(first, [0, found[0]?.[1]]);
  near(found, wanted.slice(0, whole + 1));
  assert.deepEqual(precisionRecallCurve(rank(scores, () => false)), []);
});

test('the bins of calibration are those of scikit-learn', () => {
  const bins = reliability(scores, isPositive);
  assert.equal(
    bins.reduce((sum, { count }) => sum + count, 0),
    scores.length,
  );
  near(
    bins.flatMap(({ mean, share }): Point[] => (mean === null || share === null ? [] : [[mean, share]])),
    expected.calibration,
  );
  for (const { share, interval } of bins) {
    if (share === null || interval === null) assert.equal(share, null);
    else assert.ok(interval[0] <= share && share <= interval[1]);
  }
});

test('what is said above a threshold is counted one by one, and what is equal to it is not said', () => {
  const thresholds = [0, 0.25, Math.fround(0.4), 0.5, ...expected.scores.slice(0, 5), 1];
  for (const { threshold, hits, wrong } of saidAt(scores, isPositive, thresholds)) {
    const said = Array.from(scores.keys()).filter((i) => (scores[i] as number) > threshold);
    assert.equal(hits, said.filter(isPositive).length);
    assert.equal(wrong, said.length - hits);
  }
});
