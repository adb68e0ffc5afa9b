import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { loadBase, openBase } from '../../src/base/index.js';
import { onnxEngine } from '../../src/engine/onnx/engine.js';
import { ModelError } from '../../src/errors.js';
import { assertRelativelyClose } from '../helpers/close.js';
import { fixture } from '../helpers/fixtures.js';

const bytes = (packed: string): Uint8Array => new Uint8Array(Buffer.from(packed, 'base64'));
/** test/fixtures/make_onnx_ends.py */
const { input, ends } = JSON.parse(readFileSync(fixture('onnx/ends.json'), 'utf8')) as {
  input: string;
  ends: Record<string, string>;
};

describe('classifiers that do not end in a plain Gemm: what they take is tapped, as onnxruntime gives it', () => {
  for (const [name, expected] of Object.entries(ends)) {
    test(name, async () => {
      const base = await openBase({ base: fixture(`onnx/end_${name}.onnx`), preprocess: 'none' });
      const runner = await loadBase(base, onnxEngine, { input: 'uint8' });
      const [got = new Float32Array()] = await runner.run(bytes(input), 1);
      await runner.release();
      assertRelativelyClose(got, new Float32Array(bytes(expected).buffer), 1e-5);
    });
  }

  test('where it cannot be told, --layer is asked for, and pools are named first', async () => {
    const open = openBase({ base: fixture('onnx/end_two_tensors.onnx'), preprocess: 'none' });
    await assert.rejects(open, (error: Error) => {
      return (
        error instanceof ModelError &&
        /product of two tensors \(output \(MatMul\)\).*--layer .*one of p, /.test(error.message)
      );
    });
  });

  test('every fixture of that kind is tried', () => {
    const files = readdirSync(fixture('onnx')).filter((file) => file.startsWith('end_'));
    assert.deepEqual(files.sort(), [...Object.keys(ends), 'two_tensors'].map((name) => `end_${name}.onnx`).sort());
  });
});
