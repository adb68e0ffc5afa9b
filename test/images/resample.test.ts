import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Raster } from '../../src/images/raster.js';
import { resample } from '../../src/images/resample.js';
import { resampleAside } from '../../src/images/resample-aside.js';
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

const sizes = [
  [500, 375, 96],
  [40, 30, 60],
  [333, 401, 224],
] as const;
const pictures = Array.from({ length: 120 }, (_, i): [Raster, number] => {
  const [width, height, to] = sizes[i % 3] as (typeof sizes)[number];
  return [{ data: noise(i, width * height * 3), width, height, channels: 3 }, to];
});
const resized = ([raster, to]: [Raster, number]) => resampleAside(raster, to, to, 'bicubic');

test('many pictures are resized on other threads, to the same bytes; nothing that is asked changes', async () => {
  const before = createHash('sha256');
  for (const [{ data }] of pictures) before.update(data);
  for (const round of [1, 2]) {
    for (const [i, raster] of (await Promise.all(pictures.map(resized))).entries()) {
      const [from, to] = pictures[i] as [Raster, number];
      assert.deepEqual(raster, resample(from, to, to, 'bicubic'), `picture ${i}, round ${round}`);
    }
  }
  const after = createHash('sha256');
  for (const [{ data }] of pictures) after.update(data);
  assert.equal(after.digest('hex'), before.digest('hex'));
});

test('where a thread fails, what it was asked is done here, and so is all that follows', async () => {
  const [[raster]] = pictures as [[Raster, number]];
  const bad = resampleAside(raster, 50, 50, 'no kernel' as 'bicubic');
  const good = Promise.all(pictures.map(resized));
  await assert.rejects(bad, TypeError);
  for (const later of [await good, await Promise.all(pictures.map(resized))]) {
    for (const [i, one] of later.entries()) {
      const [from, to] = pictures[i] as [Raster, number];
      assert.deepEqual(one, resample(from, to, to, 'bicubic'));
    }
  }
});
