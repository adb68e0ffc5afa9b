import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { floatProgram, hasWholeSums, openBase } from '../../src/base/index.js';
import { ModelError } from '../../src/errors.js';
import { corrected } from '../../src/quantize/correct.js';
import { cosines, vectorsOf } from '../../src/quantize/fidelity.js';
import { quantized, type Recipe, scaleOf } from '../../src/quantize/graph.js';
import { type Batch, observe } from '../../src/quantize/observe.js';
import { type Steps, stepsOf } from '../../src/quantize/steps.js';
import { Random } from '../../src/random.js';
import { fixture } from '../helpers/fixtures.js';

/** Pictures of slopes with some noise, 0 to 255. */
function pictures(size: readonly [number, number], n: number, seed: string): Batch {
  const random = new Random(seed);
  const [height, width] = size;
  const tints = Array.from({ length: n * 3 }, () => random.below(200));
  const data = Uint8Array.from({ length: n * height * width * 3 }, (_, i) => {
    const [image, at] = [Math.floor(i / (height * width * 3)), i % (height * width * 3)];
    return Math.min(
      255,
      (tints[image * 3 + (i % 3)] ?? 0) + Math.round((at / (height * width * 3)) * 40) + random.below(30),
    );
  });
  return { data, n };
}

async function plainRecipe(
  steps: Steps,
  images: readonly Batch[],
): Promise<{ recipe: Recipe; means: readonly Float64Array[] }> {
  const { ranges, means } = await observe(steps, images);
  const scales = ranges.map(({ min, max }) => scaleOf(min, max));
  // What the processor can add up: what it makes of 8 bits where it cannot is the proof's to find (test/commands/int8.test.ts).
  const weightBits = hasWholeSums() ? 8 : 7;
  return { recipe: { weightBits, scales, biases: steps.layers.map(() => null), float: [] }, means };
}

test('a range in 8 bits has a level for zero, and reaches both ends', () => {
  for (const [min, max] of [
    [0, 6],
    [-1, 3],
    [-5, -1],
    [2, 4],
    [0, 0],
    [-1e-30, 1e-30],
  ] as const) {
    const { scale, zero } = scaleOf(min, max);
    assert.ok(scale > 0 && Number.isInteger(zero) && zero >= 0 && zero <= 255);
    assert.ok((0 - zero) * scale <= Math.min(min, 0) + scale && (255 - zero) * scale >= Math.max(max, 0) - scale);
  }
});

test('ONNX models become int8 as they are: every node between 8 bits, batch normalization folded, near float', async (t) => {
  const names = readdirSync(fixture('onnx')).filter((name) =>
    /^(torch_(13|17|20|training)|torch_any|keras_nhwc)/.test(name),
  );
  assert.ok(names.length >= 5);
  for (const name of names) {
    await t.test(name, async () => {
      const inputSize = /fixed/.test(name) ? {} : { inputSize: [32, 32] as const };
      const base = await openBase({ base: fixture(`onnx/${name}`), preprocess: 'torch', ...inputSize });
      const { height, width } = base.spec.input;
      const program = floatProgram(base, 'uint8');
      const size = program.batched ? 8 : 1;
      const images = Array.from({ length: program.batched ? 2 : 12 }, (_, i) =>
        pictures([height, width], size, `${i}`),
      );
      const steps = stepsOf(program);
      assert.ok(steps.layers.length > 0);
      assert.ok(!steps.program.graph.nodes.some(({ op }) => op === 'BatchNormalization'), 'folded');
      const truth = await vectorsOf(program, images);
      const same = cosines(truth, await vectorsOf(steps.program, images));
      assert.ok(Math.min(...same) > 1 - 1e-6, 'folding changes nothing');
      const { recipe } = await plainRecipe(steps, images);
      const { program: int8, layers } = quantized(steps, recipe);
      assert.ok(layers.every((layer) => layer !== null));
      const got = await vectorsOf(int8, images);
      assert.ok(Math.min(...cosines(truth, got)) > 0.99, `${Math.min(...cosines(truth, got))}`);
      const plain = await vectorsOf(int8, images, { optimize: false });
      assert.ok(Math.min(...cosines(plain, got)) > 0.999, 'the integer kernels compute what the graph says');
    });
  }
});

test('a model of an older opset than int8 needs says which', async () => {
  const program = floatProgram(
    await openBase({ base: fixture('onnx/torch_13_open.onnx'), preprocess: 'tf', inputSize: [32, 32] }),
    'uint8',
  );
  const older = { ...program, imports: { ...program.imports, opsets: { '': 11 } } };
  assert.throws(
    () => stepsOf(older),
    (error) => error instanceof ModelError && /opset 11 .* needs 13/.test(error.message),
  );
});

test('corrected biases bring the mean of the vectors nearer to float, and layers left in float stay it', async () => {
  const base = await openBase({ base: 'xception-mini', inputSize: [32, 32] });
  const program = floatProgram(base, 'uint8');
  const images = Array.from({ length: 4 }, (_, i) => pictures([32, 32], 8, `${i}`));
  const steps = stepsOf(program);
  const { recipe, means } = await plainRecipe(steps, images);
  const truth = await vectorsOf(program, images);
  const distance = async (one: Recipe): Promise<number> => {
    const got = await vectorsOf(quantized(steps, one).program, images);
    const mean = (rows: readonly Float32Array[], k: number) =>
      rows.reduce((sum, row) => sum + (row[k] ?? 0), 0) / rows.length;
    return (truth[0] as Float32Array).reduce((sum, _, k) => sum + (mean(truth, k) - mean(got, k)) ** 2, 0);
  };
  const before = await distance(recipe);
  const after = await distance(await corrected(steps, recipe, { means }, images));
  assert.ok(after < before / 4, `the squared distance of the means goes from ${before} to ${after}`);
  const float = steps.layers.map((_, i) => i);
  const left = quantized(steps, { ...recipe, float });
  assert.ok(left.layers.every((layer) => layer === null));
  assert.deepEqual(await vectorsOf(left.program, images), truth);
});
