import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { mcNemar, pairedDifference } from '../../src/metrics/paired.js';
import { fixture } from '../helpers/fixtures.js';

interface Case {
  readonly a: number[];
  readonly b: number[];
  readonly only?: [number, number];
  readonly p?: number;
  readonly difference: number;
  readonly interval: [number, number];
}

const { resamples, seed, cases } = JSON.parse(readFileSync(fixture('paired_fixture.json'), 'utf8')) as {
  resamples: number;
  seed: number;
  cases: Case[];
};
const close = (a: number, b: number) => assert.ok(Math.abs(a - b) <= 1e-9, `${a}, expected ${b}`);

test('differences of pairs, their intervals and McNemar’s p are those of scikit-learn, numpy and scipy', () => {
  assert.equal(cases.length, 5);
  for (const { a, b, only, p, difference, interval } of cases) {
    const found = pairedDifference(a, b, { resamples, seed });
    close(found.difference, difference);
    for (const end of [0, 1] as const) close(found.interval?.[end] ?? Number.NaN, interval[end]);
    if (only !== undefined) close(mcNemar(...only), p ?? Number.NaN);
  }
});

test('nothing differs from itself', () => {
  const { a } = cases[0] as Case;
  assert.deepEqual(pairedDifference(a, a), { difference: 0, interval: [0, 0] });
  assert.equal(mcNemar(0, 0), 1);
  assert.equal(mcNemar(7, 7), 1);
  assert.ok(mcNemar(0, 2000) >= 0 && mcNemar(0, 2000) < 1e-300);
});
