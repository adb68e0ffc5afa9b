import assert from 'node:assert/strict';
import { type Base, loadBase } from '../../src/base/index.js';
import { onnxEngine } from '../../src/engine/onnx/engine.js';
import { openScratch, realSystem } from '../../src/files/index.js';

/** That bases whose weights go to the engine through a file in a folder give these values of two pictures, to the bit. */
export async function assertBeside(
  bases: readonly Base[],
  dir: string,
  pixels: Uint8Array,
  expected: Float32Array | undefined,
): Promise<void> {
  let used = 0;
  for (const base of bases) {
    const scratch = () => {
      used++;
      return openScratch(realSystem, dir);
    };
    const runner = await loadBase(base, onnxEngine, { input: 'uint8', scratch });
    assert.deepEqual((await runner.run(pixels, 2))[0], expected);
    await runner.release();
  }
  assert.equal(used, bases.length);
}
