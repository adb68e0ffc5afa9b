import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rank } from '../../src/metrics/ranking.js';
import { type Areas, type ClassSums, Samples } from '../../src/metrics/samples.js';
import { Random } from '../../src/random.js';

/** By their definitions: every pair of a positive and a negative, and every distinct score. */
function areasOf(scores: Float32Array, positive: readonly number[], counts: Uint32Array): Areas {
  let [pairs, won, positives] = [0, 0, 0];
  for (const [i, a] of scores.entries()) {
    if (positive[i] !== 1) continue;
    positives += counts[i] as number;
    for (const [j, b] of scores.entries()) {
      if (positive[j] === 1) continue;
      const both = (counts[i] as number) * (counts[j] as number);
      pairs += both;
      won += both * (a > b ? 1 : a === b ? 0.5 : 0);
    }
  }
  let sum = 0;
  for (const score of new Set(scores)) {
    const of = (is: (i: number) => boolean): number =>
      scores.reduce((all, _, i) => all + (is(i) ? (counts[i] as number) : 0), 0);
    const said = of((i) => (scores[i] as number) >= score);
    if (said === 0) continue;
    const hits = of((i) => (scores[i] as number) >= score && positive[i] === 1);
    sum += (of((i) => scores[i] === score && positive[i] === 1) * hits) / said;
  }
  return {
    auc: pairs > 0 ? won / pairs : Number.NaN,
    averagePrecision: positives > 0 ? sum / positives : Number.NaN,
  };
}

const close = (a: number, b: number, what: string): void =>
  assert.ok(Object.is(a, b) || Math.abs(a - b) < 1e-12, `${what}: ${a} and ${b}`);

test('two samples at once measure as each does by the definition', () => {
  const random = new Random('two samples');
  for (const n of [1, 2, 7, 60]) {
    const scores = Float32Array.from({ length: n }, () => random.below(n) / 8 - 1); // many are equal
    const positive = Array.from({ length: n }, () => random.below(2));
    const facts = {
      cell: Array.from({ length: n }, () => random.below(4)),
      cells: 4,
      bin: Array.from({ length: n }, () => random.below(15)),
      loss: Array.from({ length: n }, () => random.uniform()),
      gap: Array.from({ length: n }, () => random.uniform(-1, 1)),
    };
    const samples = new Samples(n, [rank(scores, (i) => positive[i] === 1)], facts);
    for (let round = 0; round < 20; round++) {
      for (const counts of samples.counts) random.tally(counts.fill(0), n);
      for (const [lane, found] of samples.areas(0).entries()) {
        const expected = areasOf(scores, positive, samples.counts[lane] as Uint32Array);
        close(found.auc, expected.auc, `auc of ${n}`);
        close(found.averagePrecision, expected.averagePrecision, `average precision of ${n}`);
      }
      for (const [lane, found] of samples.sums().entries()) {
        const counts = samples.counts[lane] as Uint32Array;
        const sum = (of: (i: number) => number): number => counts.reduce((all, drawn, i) => all + drawn * of(i), 0);
        const expected: ClassSums = {
          total: n,
          loss: sum((i) => facts.loss[i] as number),
          confusion: Float64Array.from({ length: 4 }, (_, cell) => sum((i) => (facts.cell[i] === cell ? 1 : 0))),
          gaps: Float64Array.from({ length: 15 }, (_, bin) =>
            sum((i) => (facts.bin[i] === bin ? (facts.gap[i] as number) : 0)),
          ),
        };
        assert.deepEqual(
          { total: found.total, confusion: found.confusion },
          { total: n, confusion: expected.confusion },
        );
        close(found.loss, expected.loss, 'loss');
        for (const [bin, gap] of found.gaps.entries()) close(gap, expected.gaps[bin] as number, `gap ${bin}`);
      }
    }
  }
});

test('nothing is measured of no examples', () => {
  assert.deepEqual(new Samples(0, [rank(new Float32Array(0), () => true)]).areas(0)[0], {
    auc: Number.NaN,
    averagePrecision: Number.NaN,
  });
  assert.throws(() => new Samples(1, []).sums(), TypeError);
});
