import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { ModelError } from '../../src/errors.js';
import { archiveFile, h5File, readModel, tfjsFiles, type WrittenModel, writtenModel } from '../../src/keras/index.js';
import { type ConformanceCase, conforms, engines, opCases } from '../helpers/conformance.js';
import { fixture } from '../helpers/fixtures.js';
import { long } from '../helpers/long.js';
import { needsPython, python } from '../helpers/peers.js';
import { assertRefusal } from '../helpers/refusals.js';

const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
after(() => rmSync(folder, { recursive: true }));
const about = { name: 'm', metadata: {} };
const cases = opCases();
const input = JSON.parse(readFileSync(fixture('ops.json'), 'utf8')).input as string;
const floats = (packed: string): Float32Array => new Float32Array(new Uint8Array(Buffer.from(packed, 'base64')).buffer);

/** A case as the layers of a file; null where it is refused, by the name of the layer or activation. */
function written(each: ConformanceCase, reader: 'keras' | 'tfjs', refused: Set<string>): WrittenModel | null {
  try {
    return writtenModel(each.graph(), reader);
  } catch (error) {
    assertRefusal(error);
    assert.ok(error instanceof ModelError);
    const [, layer, activation] = /\((\w+)\) cannot be written|has no activation (\w+):/.exec(error.message) ?? [];
    assert.ok(layer ?? activation, error.message);
    refused.add(layer ?? activation ?? '');
    return null;
  }
}

function near(got: Float32Array, { expected, max }: ConformanceCase): number {
  assert.equal(got.length, expected.length);
  return (
    got.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (expected[i] ?? Number.NaN))), 0) /
    Math.max(max, 1)
  );
}

/** What Keras has no layer of its own for: operations on arrays, and what only some readers name. */
const NOT_IN_KERAS = ['Clip', 'Divide', 'Elementwise', 'ExpandDims', 'MultiHeadAttention', 'Reduce', 'Slice'];
const NOT_IN_TFJS = [
  ...NOT_IN_KERAS,
  ...['CenterCrop', 'GroupNormalization', 'Resizing', 'Subtract', 'UnitNormalization'],
  // with options that it has not: dilation, output padding, alpha, slopes and thresholds, other axes, bilinear
  ...['Conv2DTranspose', 'DepthwiseConv2D', 'ELU', 'ReLU', 'Softmax', 'UpSampling2D'],
  ...['exponential', 'hard_shrink', 'hard_tanh', 'log_sigmoid', 'log_softmax', 'mish', 'soft_shrink', 'sparse_plus'],
  ...['sparse_sigmoid', 'squareplus', 'tanh_shrink'],
];

describe('every layer and option, written and opened again by those whose formats they are', () => {
  test('Keras, from .keras and .h5: its own numbers', needsPython('keras', 'tensorflow'), async () => {
    const refused = new Set<string>();
    const kinds = new Set<string>();
    const files: string[] = [];
    for (const [i, each] of cases.entries()) {
      const model = written(each, 'keras', refused);
      if (!model) continue;
      const isNew = model.filter(({ className }) => kinds.size < kinds.add(className).size).length > 0;
      if (!long && !isNew) continue; // one of each layer
      await writeFile(path.join(folder, `${i}.keras`), await archiveFile(model, about));
      writeFileSync(path.join(folder, `${i}.h5`), await h5File(model, about));
      files.push(`${i}.keras`, `${i}.h5`);
    }
    assert.deepEqual([...refused].sort(), NOT_IN_KERAS);
    const env = { ...process.env, KERAS_BACKEND: 'tensorflow' };
    const list = path.join(folder, 'list.json');
    writeFileSync(list, JSON.stringify({ input, files }));
    const options = { env, cwd: folder, maxBuffer: 2 ** 26 };
    const run = promisify(execFile)(python, [fixture('open_files.py'), list], options);
    const lines = (await run).stdout.split('\n').filter((line) => line.startsWith('{'));
    const faults: string[] = [];
    for (const line of lines) {
      const { file, output, error } = JSON.parse(line) as { file: string; output: string; error?: string };
      const each = cases[Number.parseInt(file, 10)] as ConformanceCase;
      const worst = error === undefined ? near(floats(output), each) : Number.NaN;
      if (!(worst <= 1e-5)) faults.push(`${each.name} (${path.extname(file)}): ${error ?? worst}`);
    }
    assert.deepEqual(faults, []);
    assert.equal(lines.length, files.length);
  });

  test('TensorFlow.js', async () => {
    await import('@tensorflow/tfjs-backend-cpu');
    const { loadLayersModel } = await import('@tensorflow/tfjs-layers');
    await tf.setBackend('cpu');
    const refused = new Set<string>();
    const faults: string[] = [];
    let compared = 0;
    for (const each of cases) {
      const model = written(each, 'tfjs', refused);
      if (!model) continue;
      const files = new Map(tfjsFiles(model, about));
      const json = JSON.parse(Buffer.concat([...(files.get('model.json') ?? [])]).toString());
      const weightData = new Uint8Array(
        Buffer.concat(json.weightsManifest[0].paths.flatMap((name: string) => [...(files.get(name) ?? [])])),
      ).buffer;
      const { modelTopology, weightsManifest } = json;
      try {
        const loaded = await loadLayersModel(
          tf.io.fromMemory({ modelTopology, weightSpecs: weightsManifest[0].weights, weightData }),
        );
        const shape = loaded.inputs[0]?.shape.slice(1) as [number, number, number];
        const result = loaded.predict(tf.tensor(each.images(), [each.n, ...shape])) as tf.Tensor;
        const worst = near((await result.data()) as Float32Array, each);
        if (!(worst <= 1e-5)) faults.push(`${each.name}: ${worst}`);
      } catch (error) {
        faults.push(`${each.name}: ${(error as Error).message.slice(0, 200)}`);
      }
      compared++;
    }
    assert.deepEqual(faults, []);
    assert.deepEqual([...refused].sort(), [...NOT_IN_TFJS].sort());
    assert.ok(compared > 80, `${compared}`);
  });

  test('this project', async () => {
    const [engine] = await engines();
    assert.ok(engine);
    for (const [i, each] of cases.entries()) {
      const model = written(each, 'keras', new Set());
      const file = path.join(folder, `own${i}`);
      if (model) {
        await writeFile(`${file}.keras`, await archiveFile(model, about));
        writeFileSync(`${file}.h5`, await h5File(model, about));
      }
      for (const ending of model ? ['keras', 'h5'] : []) {
        const graph = await readModel(`${file}.${ending}`);
        await conforms(engine, { ...each, graph: () => graph, name: `${each.name}.${ending}` });
      }
    }
  });
});
