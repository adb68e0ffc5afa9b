import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Task } from '../../src/labels/targets.js';
import { initialVariables } from '../../src/train/net.js';
import { onnxTrainers } from '../../src/train/onnx/trainer.js';
import { type HeadOptions, resolveOptions } from '../../src/train/options.js';
import { makePacks, netOf } from '../../src/train/packs.js';
import { outputsOf } from '../../src/train/train.js';
import { allRows, memoryVectors } from '../../src/train/vectors.js';
import { assertClose } from '../helpers/close.js';
import { fixture } from '../helpers/fixtures.js';

interface Fixture {
  n: number;
  d: number;
  batch: number;
  x: number[];
  orders: number[][];
  targets: Record<Task, number[]>;
  cases: { task: Task; options: HeadOptions; kernels: number[][]; outputs: number[] }[];
}
const { n, d, batch, x, orders, targets, cases } = JSON.parse(
  readFileSync(fixture('training_fixtures.json'), 'utf8'),
) as Fixture;
const CLASSES = { binary: ['a', 'b'], multiclass: ['a', 'b', 'c'], multilabel: ['a', 'b', 'c'], regression: [] };

for (const { task, options, kernels, outputs } of cases) {
  test(`ten epochs predict as Keras's do, to 1e-4: ${task} ${JSON.stringify(options)}`, async () => {
    const vectors = memoryVectors(Float32Array.from(x), d);
    const y = Float32Array.from(targets[task]);
    const data = { task, classes: CLASSES[task], vectors, y };
    const resolved = resolveOptions({ ...options, batchSize: batch });
    const rows = allRows(n);
    const run = { data: { ...data, rows }, val: null, standardization: null, hooks: {} };
    const [pack] = await makePacks(
      [{ run, heads: [{ place: 0, options: resolved }] }],
      onnxTrainers,
      1,
      (spec, seed) => {
        const start = initialVariables(spec, seed);
        kernels.forEach((kernel, i) => {
          start.set(`kernel${i}`, Float32Array.from(kernel));
        });
        return start;
      },
    );
    assert.ok(pack);
    for (const order of orders) {
      const at = Uint32Array.from(order);
      await pack.trainer.run({ x: Float32Array.from(x), at, rows: at }, [y], batch);
    }
    const given = await outputsOf({ task, net: await netOf(pack, 0) }, vectors);
    await pack.trainer.release();
    const expected = task === 'binary' ? outputs.flatMap((p) => [1 - p, p]) : outputs;
    assertClose(given, expected, 1e-4 * Math.max(1, ...expected.map(Math.abs)));
  });
}
