import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Raster } from '../../src/images/raster.js';
import { resample } from '../../src/images/resample.js';
import { fixture } from '../helpers/fixtures.js';

interface Line {
  readonly seed: number;
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  readonly bands: 1 | 3 | 4;
  readonly kernel: 'bilinear' | 'bicubic' | 'lanczos';
  readonly sha256: string;
}

/** The noise of test/fixtures/resample.py. */
function noise(seed: number, length: number): Uint8Array {
  const result = new Uint8Array(length);
  let x = BigInt(seed);
  for (let i = 0; i < length; i++) {
    x = (x * 1103515245n + 12345n) & 0x7fffffffn;
    const value = Number(x);
    result[i] = (value >> 30) & 1 ? ((value >> 29) & 1 ? 0 : 255) : (value >> 16) & 255;
  }
  return result;
}

const lines = readFileSync(fixture('resample.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Line);

for (const kernel of ['bilinear', 'bicubic', 'lanczos'] as const) {
  test(`resampling is PIL.Image.resize, byte for byte: ${kernel}`, () => {
    const mine = lines.filter((line) => line.kernel === kernel);
    assert.ok(mine.length >= 39);
    for (const { seed, from, to, bands, sha256 } of mine) {
      const [width, height] = from;
      const raster: Raster = { data: noise(seed, width * height * bands), width, height, channels: bands };
      const { data } = resample(raster, ...to, kernel);
      assert.equal(createHash('sha256').update(data).digest('hex'), sha256, `${from} to ${to}, ${bands} bands`);
    }
  });
}

test('what was resized stays as it is when the next is, and a large one has a memory of its own', () => {
  const grey = (value: number, size: number): Raster => ({
    data: new Uint8Array(size * size).fill(value),
    width: size,
    height: size,
    channels: 1,
  });
  const first = resample(grey(10, 40), 30, 30, 'bicubic').data;
  const large = resample(grey(20, 4500), 50, 50, 'bicubic').data;
  resample(grey(30, 40), 30, 30, 'bicubic');
  assert.ok(first.every((value) => value === 10) && large.every((value) => value === 20));
});
