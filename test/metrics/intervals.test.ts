import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureClasses, measureLabels, measureValues } from '../../src/metrics/metrics.js';
import { wilson } from '../../src/metrics/wilson.js';
import { Random } from '../../src/random.js';

const OPTIONS = { resamples: 20, seed: 0 };
/** A binary head that is right or wrong about each image; every other image is of the second class. */
const answers = (right: readonly boolean[]) => {
  const y = right.map((_, i) => i % 2);
  const yes = right.map((is, i) => (is === (y[i] === 1) ? 0.9 : 0.1));
  return measureClasses(Float32Array.from(yes.flatMap((p) => [1 - p, p])), y, 2, 0.5, OPTIONS);
};

test('of 1,000 validation sets of 20 images at a true accuracy of 0.9, the interval holds it in at least 94 %', () => {
  const random = new Random('coverage');
  let held = 0;
  for (let i = 0; i < 1000; i++) {
    const right = Array.from({ length: 20 }, () => random.uniform() < 0.9);
    const [low, high] = answers(right).intervals?.of.accuracy ?? [1, 0];
    if (low <= 0.9 && 0.9 <= high) held += 1;
  }
  assert.ok(held >= 940, `${held} of 1000`);
});

test('three right answers of three are not certain, and few images give no other interval', () => {
  const { intervals, accuracy } = answers([true, true, true]);
  assert.equal(accuracy, 1);
  const [low, high] = intervals?.of.accuracy ?? [0, 0];
  assert.ok(Math.abs(low - 0.4385) < 1e-4 && high === 1, `${low} ${high}`);
  for (const name of ['auc', 'loss', 'f1', 'balancedAccuracy', 'calibrationError', '0.auc']) {
    assert.equal(intervals?.of[name], null, name);
  }
  assert.equal(intervals?.resamples, 0);
  assert.notEqual(answers(Array(20).fill(true)).intervals?.of.loss, null);
  assert.equal(measureValues(Float32Array.of(1, 2), [1, 3], OPTIONS).intervals?.of.r2, null);
});

test('the calibration error has no interval, as resampling moves it', () => {
  const y = Array.from({ length: 60 }, (_, i) => i % 2);
  const p = Float32Array.from(y, (is, i) => (is === 1 ? 0.6 : 0.3) + i / 1000);
  const both = Float32Array.from([...p].flatMap((one) => [1 - one, one]));
  for (const metrics of [measureClasses(both, y, 2, 0.5, OPTIONS), measureLabels(p, y, [0.5], OPTIONS)]) {
    assert.ok((metrics.calibrationError as number) > 0);
    assert.equal(metrics.intervals?.of.calibrationError, null);
    assert.notEqual(metrics.intervals?.of.loss, null);
  }
});

test('an area needs five of either side', () => {
  const labels = (positives: number) => {
    const y = Array.from({ length: 40 }, (_, i) => (i < positives ? 1 : 0));
    const p = Float32Array.from(y, (is, i) => (is === 1 ? 0.6 : 0.3) + i / 1000);
    return measureLabels(p, y, [0.5], OPTIONS).intervals?.of;
  };
  assert.equal(labels(4)?.['0.auc'], null);
  assert.notEqual(labels(5)?.['0.auc'], null);
  assert.notEqual(labels(4)?.['0.recall'], null);
});

test('the ends of a share are 0 and 1, and nothing is known of a share of nothing', () => {
  assert.equal(wilson(0, 0), null);
  assert.equal(wilson(0, 5)?.[0], 0);
  assert.equal(wilson(5, 5)?.[1], 1);
});
