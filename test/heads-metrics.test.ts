import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { auc, majorityBaseline, measure } from '../src/heads/index.js';

interface Case {
  classes: number;
  y: number[];
  train: number[];
  probabilities: number[];
  accuracy: number;
  auc: number;
  loss: number;
  confusion: number[][];
  majority: number;
}
const fixture = JSON.parse(
  readFileSync(new URL('../../test/fixtures/head_fixtures.json', import.meta.url), 'utf8'),
) as { metrics: Case[] };

for (const one of fixture.metrics) {
  test(`metrics of ${one.classes} classes are scikit-learn's`, () => {
    const y = Int32Array.from(one.y);
    const measured = measure(Float32Array.from(one.probabilities), y, one.classes);
    assert.ok(Math.abs(measured.accuracy - one.accuracy) < 1e-12);
    assert.ok(Math.abs((measured.auc ?? 0) - one.auc) < 1e-12, `${measured.auc} ${one.auc}`);
    assert.ok(Math.abs(measured.loss - one.loss) < 1e-6 * one.loss, `${measured.loss} ${one.loss}`);
    assert.deepEqual(measured.confusion, one.confusion);
    const baseline = majorityBaseline(Int32Array.from(one.train), y, one.classes);
    assert.ok(Math.abs(baseline - one.majority) < 1e-12);
  });
}

test('AUC counts ties half and needs both sides', () => {
  assert.equal(auc(Float32Array.of(1, 2, 3, 4), Uint8Array.of(0, 0, 1, 1)), 1);
  assert.equal(auc(Float32Array.of(1, 2, 3, 4), Uint8Array.of(1, 1, 0, 0)), 0);
  assert.equal(auc(Float32Array.of(5, 5, 5), Uint8Array.of(0, 1, 1)), 0.5);
  assert.equal(auc(Float32Array.of(1, 2), Uint8Array.of(1, 1)), null);
  assert.equal(measure(Float32Array.of(0.5, 0.5), Uint8Array.of(1), 2).auc, null);
});

test('a class that validation lacks is left out of the mean AUC', () => {
  const p = Float32Array.of(0.8, 0.1, 0.1, 0.1, 0.8, 0.1, 0.6, 0.3, 0.1);
  assert.equal(measure(p, Uint8Array.of(0, 1, 0), 3).auc, 1);
});
