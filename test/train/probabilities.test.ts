import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/random.js';
import { sharpness, smoothed } from '../../src/train/closed/probabilities.js';

test('the factor of scores has the lowest log loss, of any size and however sure they are', () => {
  const random = new Random('sharpness');
  const lossOf = (scores: Float64Array, targets: Float64Array, classes: number, factor: number): number => {
    let loss = 0;
    for (let i = 0; i < targets.length / classes; i++) {
      const row = Array.from({ length: classes }, (_, k) =>
        scores.length === targets.length ? (scores[i * classes + k] as number) : k * (scores[i] as number),
      ).map((score) => factor * score);
      const most = Math.max(...row);
      const total = Math.log(row.reduce((sum, one) => sum + Math.exp(one - most), 0)) + most;
      for (const [k, one] of row.entries()) loss += (targets[i * classes + k] as number) * (total - one);
    }
    return loss / (targets.length / classes);
  };
  for (let round = 0; round < 200; round++) {
    const [n, classes, size, skill] = [
      20 + random.below(50),
      2 + random.below(5),
      10 ** random.normal(0, 4),
      0.5 + Math.abs(random.normal(0, 2)),
    ];
    const y = Array.from({ length: n }, () => random.below(classes));
    const isOne = classes === 2;
    const scores = Float64Array.from({ length: isOne ? n : n * classes }, (_, at) => {
      const isOwn = isOne ? y[at] === 1 : y[Math.floor(at / classes)] === at % classes;
      return size * random.normal(isOwn ? skill : isOne ? -skill : 0, 1);
    });
    const leftOut = { places: y.map((_, i) => i), scores };
    const targets = smoothed({ y, classes }, leftOut);
    const { factor, loss } = sharpness(leftOut, targets);
    assert.ok(Math.abs(loss - lossOf(scores, targets, classes, factor)) < 1e-9 * Math.max(1, loss), `${round}`);
    for (const other of [0.9, 0.999, 1.001, 1.1]) {
      assert.ok(loss <= lossOf(scores, targets, classes, factor * other) + 1e-7, `round ${round}: ${factor}, ${other}`);
    }
  }
});
