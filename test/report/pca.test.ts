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
  // Each direction explains what its points spread, and both are uncorrelated: so it is for eigenvectors alone.
  let [first, both] = [0, 0];
  for (let i = 0; i < n; i++) {
    first += (a.points[2 * i] as number) ** 2;
    both += (a.points[2 * i] as number) * (a.points[2 * i + 1] as number);
  }
  assert.ok(Math.abs(both) < 1e-9 * first);
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
