import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Random } from '../../src/random.js';
import { principalPlane } from '../../src/report/pca.js';
import { fixture } from '../helpers/fixtures.js';

const { x, points, shares } = JSON.parse(readFileSync(fixture('report_fixtures.json'), 'utf8')) as {
  x: number[][];
  points: number[][];
  shares: number[];
};

test('the plane is that of scikit-learn’s first two principal components', () => {
  const found = principalPlane(Float32Array.from(x.flat()), 12);
  assert.ok(found);
  for (const [i, value] of points.flat().entries()) {
    assert.ok(Math.abs((found.points[i] as number) - value) < 1e-5, `${i}: ${found.points[i]} for ${value}`);
  }
  for (const [i, share] of shares.entries()) assert.ok(Math.abs((found.shares[i] as number) - share) < 1e-6);
});

test('it stands after few steps of many dimensions, and is the same each time', () => {
  const random = new Random('wide');
  const [n, d] = [200, 700];
  const spread = Array.from({ length: d }, (_, j) => 1 / (1 + j));
  const wide = Float32Array.from({ length: n * d }, (_, at) => random.normal() * (spread[at % d] as number));
  const [a, b] = [principalPlane(wide, d), principalPlane(wide, d)];
  assert.ok(a && b);
  assert.deepEqual(a, b);
  // The same two directions by repeated multiplication with the products of the centred rows, which is slow and plain.
  const means = new Float64Array(d);
  for (const [at, value] of wide.entries()) means[at % d] = (means[at % d] as number) + value / n;
  const centred = Float64Array.from(wide, (value, at) => value - (means[at % d] as number));
  const total = centred.reduce((sum, value) => sum + value * value, 0);
  const dot = (x: ArrayLike<number>, y: ArrayLike<number>): number => {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += (x[i] as number) * (y[i] as number);
    return sum;
  };
  const rows = Array.from({ length: n }, (_, i) => centred.subarray(i * d, (i + 1) * d));
  const products = rows.map((row) => rows.map((other) => dot(row, other)));
  let first: number[] | null = null;
  for (const axis of [0, 1]) {
    let [unit, variance] = [Array.from({ length: n }, (_, i) => 1 + (i % 7)), 0];
    for (let turn = 0; turn < 200; turn++) {
      const before = first === null ? 0 : dot(first, unit);
      const apart = unit.map((value, i) => value - before * (first?.[i] ?? 0));
      const next = products.map((row) => dot(row, apart));
      variance = Math.sqrt(dot(next, next));
      unit = next.map((value) => value / variance);
    }
    const points = unit.map((_, i) => a.points[2 * i + axis] as number);
    const along = Math.abs(dot(points, unit)) / Math.sqrt(dot(points, points));
    assert.ok(along > 1 - 1e-9, `${axis}: ${along}`);
    assert.ok(Math.abs((a.shares[axis] as number) - variance / total) < 1e-9, `${axis}: ${a.shares[axis]}`);
    first = unit;
  }
});

test('of vectors that span no plane there is none, of a line the second share is 0', () => {
  assert.equal(principalPlane(Float32Array.of(1, 2, 3, 4), 2), null);
  assert.equal(principalPlane(new Float32Array(30).fill(2), 3), null);
  const line = principalPlane(
    Float32Array.from({ length: 20 }, (_, i) => (i % 2 ? 0 : i)),
    2,
  );
  assert.ok(line);
  assert.deepEqual(
    line.shares.map((share) => Number(share.toFixed(9))),
    [1, 0],
  );
});
