import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { HeadOptions } from '../../src/train/options.js';
import type { EpochRecord } from '../../src/train/run.js';
import { fitTargetScale } from '../../src/train/target-scale.js';
import { outputsOf, type TrainedHead, trainHead } from '../../src/train/train.js';
import { memoryVectors } from '../../src/train/vectors.js';
import { fixture } from '../helpers/fixtures.js';

const made = JSON.parse(readFileSync(fixture('ages_fixture.json'), 'utf8')) as {
  n: number;
  d: number;
  folds: number;
  x: number[];
  y: number[];
  units: { times: number; plus: number; r2: number }[];
};
const vectors = memoryVectors(Float32Array.from(made.x), made.d);
const all = Array.from({ length: made.n }, (_, i) => i);
const rowsOf = (is: (i: number) => boolean): Uint32Array => Uint32Array.from(all.filter(is));

/** A head on all but one part, which chooses the epoch; and what it says of that part. */
async function part(
  k: number,
  y: Float32Array,
  options: HeadOptions = {},
  onEpoch?: (record: EpochRecord) => void,
): Promise<{ head: TrainedHead; rows: Uint32Array; said: Float32Array }> {
  const rows = rowsOf((i) => i % made.folds === k);
  const data = { task: 'regression' as const, classes: [], vectors, y, rows: rowsOf((i) => i % made.folds !== k) };
  const head = await trainHead(data, { vectors, y, rows }, options, {
    ...(onEpoch ? { onEpoch: (_, record) => onEpoch(record) } : {}),
  });
  return { head, rows, said: await outputsOf(head, vectors, rows) };
}

for (const { times, plus, r2 } of made.units) {
  test(`ages times ${times} plus ${plus}: the default head comes to the R² of scikit-learn's RidgeCV within 0.03`, async () => {
    const y = Float32Array.from(made.y, (value) => value * times + plus);
    const mean = y.reduce((sum, value) => sum + value, 0) / y.length;
    let [missed, spread] = [0, 0];
    for (let k = 0; k < made.folds; k++) {
      const { rows, said } = await part(k, y);
      for (const [i, row] of rows.entries()) {
        missed += ((said[i] as number) - (y[row] as number)) ** 2;
        spread += ((y[row] as number) - mean) ** 2;
      }
    }
    const found = 1 - missed / spread;
    assert.ok(Math.abs(found - r2) < 0.03, `R² ${found}, scikit-learn ${r2}`);
  });
}

for (const options of [
  {},
  { hidden: [8] },
  { optimizer: 'lbfgs', l2: 0.1 },
  { scale: 'standard', optimizer: 'sgd' },
] as const) {
  test(`${JSON.stringify(options)}: another unit is the same head in that unit, losses too`, async () => {
    const told: EpochRecord[] = [];
    const plain = await part(0, Float32Array.from(made.y), { ...options, epochs: 30 });
    const prices = await part(
      0,
      Float32Array.from(made.y, (value) => value * 1024 - 64),
      { ...options, epochs: 30 },
      (one) => told.push(one),
    );
    for (const [i, value] of plain.said.entries()) {
      const other = ((prices.said[i] as number) + 64) / 1024;
      assert.ok(Math.abs(other - value) < 1e-3, `${other}, ${value}`);
    }
    assert.equal(prices.head.bestEpoch, plain.head.bestEpoch);
    for (const [i, { valLoss }] of plain.head.history.entries()) {
      const other = prices.head.history[i]?.valLoss ?? Number.NaN;
      assert.ok(Math.abs(other / 1024 ** 2 / (valLoss ?? 0) - 1) < 1e-3, `${other}, ${valLoss}`);
    }
    assert.deepEqual(told, prices.head.history);
    const errors = Array.from(plain.rows, (row, i) => ((plain.said[i] as number) - (made.y[row] as number)) ** 2);
    const loss = errors.reduce((sum, error) => sum + error, 0) / errors.length;
    const best =
      plain.head.history.at(-1)?.epoch === plain.head.bestEpoch
        ? plain.head.history.at(-1)
        : plain.head.history[plain.head.bestEpoch - 1];
    assert.ok(Math.abs((best?.valLoss ?? 0) / loss - 1) < 1e-4, `${best?.valLoss}, ${loss}`);
  });
}

test('targets that are all the same are said as they are; a large mean does not swallow a small deviation', async () => {
  const { said } = await part(0, new Float32Array(made.n).fill(7), { epochs: 400, learningRate: 0.01 });
  assert.ok(said.every((value) => Math.abs(value - 7) < 0.5));
  const scale = fitTargetScale(Float32Array.of(1e6 - 1, 1e6 + 1, 5), Uint32Array.of(0, 1));
  assert.deepEqual(scale, { mean: 1e6, scale: 1 });
});
