import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { drawSample } from '../../src/commands/sample.js';
import { DataError, UsageError } from '../../src/errors.js';
import { CLASSES, drawPicture } from '../../src/sample/picture.js';

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

const PINNED = [
  '610e0ba6e4797e0f 48b69f8d4c8c3eb3',
  '98838b49c6e7d3a6 caac358830e95578',
  'cac19c9b0542e6c7 75dee90a2208afb1',
  'eeb93e6e353bc0dd 3b5efc12ccad0d0b',
  '8245732ba3e8478c 492238b921716c3d',
];

let home = '';
before(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'permafrost-sample-'));
});
after(() => rm(home, { recursive: true }));

/** @returns relative path → digest of its bytes, for all files */
async function contents(dir: string): Promise<Record<string, string>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const pairs = files.sort().map(async (file) => [path.relative(dir, file), digest(await readFile(file))] as const);
  return Object.fromEntries(await Promise.all(pairs));
}

test('the pixels of a seed are the same on every machine, in any order', () => {
  const drawn = [4, 3, 2, 1, 0].map((i) => `${digest(drawPicture(0, 'defect', i))} ${digest(drawPicture(0, 'ok', i))}`);
  assert.deepEqual(drawn, PINNED);
  assert.notEqual(digest(drawPicture(1, 'ok', 0)), digest(drawPicture(0, 'ok', 0)));
});

test('no picture is blank, clipped or without one of its colours', () => {
  for (const label of CLASSES) {
    for (let index = 0; index < 30; index++) {
      const pixels = drawPicture(3, label, index);
      for (let channel = 0; channel < 3; channel++) {
        let [sum, square, white] = [0, 0, 0];
        for (let i = channel; i < pixels.length; i += 3) {
          const value = pixels[i] ?? 0;
          sum += value;
          square += value * value;
          if (value === 255) white++;
        }
        const n = pixels.length / 3;
        const where = `${label} ${index}, channel ${channel}`;
        assert.ok(sum / n > 12 && sum / n < 225, `${where}: mean ${sum / n}`);
        assert.ok(Math.sqrt(square / n - (sum / n) ** 2) > 2, `${where}: deviation`);
        assert.ok(white / n < 0.1, `${where}: ${white} white pixels`);
      }
    }
  }
});

test('draws splits and classes as folders of 200×200 JPEGs; the second call leaves every file as it is', async () => {
  const dir = path.join(home, 'layout');
  const steps: number[] = [];
  const sample = await drawSample(dir, { perClass: 8, onProgress: (done, total) => steps.push(done / total) });
  assert.deepEqual(sample, { dir, images: 16, train: 12, val: 4, classes: ['defect', 'ok'] });
  assert.deepEqual(
    steps,
    Array.from({ length: 17 }, (_, i) => i / 16),
  );
  const names = ['000', '001', '002', '003', '004', '005', '006', '007'].map((name) => `${name}.jpg`);
  for (const label of CLASSES) {
    assert.deepEqual((await readdir(path.join(dir, 'train', label))).sort(), names.slice(0, 6));
    assert.deepEqual((await readdir(path.join(dir, 'val', label))).sort(), names.slice(6));
  }
  const file = path.join(dir, 'train', 'ok', '000.jpg');
  const meta = await sharp(file).metadata();
  assert.deepEqual([meta.format, meta.width, meta.height, meta.channels], ['jpeg', 200, 200, 3]);
  assert.equal(meta.exif ?? meta.icc ?? meta.xmp, undefined);
  const decoded = await sharp(file).raw().toBuffer();
  const pixels = drawPicture(0, 'ok', 0);
  const error = decoded.reduce((sum, value, i) => sum + Math.abs(value - (pixels[i] ?? 0)), 0) / pixels.length;
  assert.ok(error < 4, `mean difference from what was drawn: ${error}`);

  const first = await contents(dir);
  const { mtimeMs } = await stat(file);
  const started = performance.now();
  assert.deepEqual(await drawSample(dir, { perClass: 8 }), sample);
  assert.ok(performance.now() - started < 500);
  assert.equal((await stat(file)).mtimeMs, mtimeMs);
  assert.deepEqual(await contents(dir), first);
});

test('takes up a run that was cut short, and ends as an undisturbed one', async () => {
  const [whole, cut] = [path.join(home, 'whole'), path.join(home, 'cut')];
  await drawSample(whole, { perClass: 8, seed: 5 });
  const control = new AbortController();
  const stopped = drawSample(cut, {
    perClass: 8,
    seed: 5,
    signal: control.signal,
    onProgress: (done) => done === 5 && control.abort(),
  });
  await assert.rejects(stopped, { name: 'AbortError' });
  const files = Object.keys(await contents(cut)).filter((name) => name.endsWith('.jpg'));
  assert.ok(files.length >= 5 && files.length < 16 && !files.some((name) => name.includes('.tmp-')), files.join());
  // As a killed process leaves it; no process has this number.
  await writeFile(path.join(cut, 'train', 'ok', `.tmp-${hostname()}-99999999-003.jpg`), 'half');
  await drawSample(cut, { perClass: 8, seed: 5 });
  assert.deepEqual(await contents(cut), await contents(whole));
  await rm(path.join(cut, 'val', 'ok'), { recursive: true });
  await drawSample(cut, { perClass: 8, seed: 5 });
  assert.deepEqual(await contents(cut), await contents(whole));
});

test('other settings replace what an earlier call drew', async () => {
  const [dir, fresh] = [path.join(home, 'replaced'), path.join(home, 'fresh')];
  await drawSample(dir, { perClass: 8 });
  await drawSample(dir, { perClass: 4, seed: 9 });
  await drawSample(fresh, { perClass: 4, seed: 9 });
  assert.deepEqual(await contents(dir), await contents(fresh));
});

test('refuses a folder with files that it did not draw, and leaves them', async () => {
  const dir = path.join(home, 'mine');
  await mkdir(path.join(dir, 'train', 'ok'), { recursive: true });
  await writeFile(path.join(dir, 'train', 'ok', '000.jpg'), 'mine');
  const refusal = (error: Error) => error instanceof DataError && /000\.jpg.*choose another --out/.test(error.message);
  await assert.rejects(drawSample(dir, { perClass: 4 }), refusal);
  assert.equal(await readFile(path.join(dir, 'train', 'ok', '000.jpg'), 'utf8'), 'mine');
  const sample = path.join(home, 'added');
  await drawSample(sample, { perClass: 4 });
  await writeFile(path.join(sample, 'notes.txt'), 'mine');
  await assert.rejects(drawSample(sample, { perClass: 4, seed: 1 }), /notes\.txt.*choose another --out/);
  assert.ok((await stat(path.join(sample, 'train', 'ok', '000.jpg'))).size > 1000);
  await rm(path.join(sample, 'notes.txt'));
  await writeFile(path.join(sample, '.sample.json'), '{"seed":');
  await assert.rejects(drawSample(sample, { perClass: 4 }), (error: Error) => error instanceof DataError);
  await writeFile(path.join(home, 'file'), '');
  await assert.rejects(drawSample(path.join(home, 'file')), /found a file/);
  await assert.rejects(drawSample(path.join(home, 'file', 'below')), /found a file/);
});

test('values out of range are wrong use', async () => {
  for (const options of [
    { seed: -1 },
    { seed: 0.5 },
    { perClass: 3 },
    { perClass: 10_001 },
    { perClass: Number.NaN },
  ]) {
    await assert.rejects(drawSample(path.join(home, 'never'), options), UsageError);
  }
  await assert.rejects(stat(path.join(home, 'never')), { code: 'ENOENT' });
});

/** @returns the mean colour of each of 8 × 8 blocks, in [-2, 2], and 1 for the bias */
function averages(pixels: Uint8Array): number[] {
  const sums = new Float64Array(192);
  pixels.forEach((value, i) => {
    const pixel = Math.floor(i / 3);
    const block = Math.floor(pixel / 5000) * 8 + Math.floor((pixel % 200) / 25);
    const at = 3 * block + (i % 3);
    sums[at] = (sums[at] ?? 0) + value;
  });
  return [...sums].map((sum) => sum / 625 / 64 - 2).concat(1);
}

interface Example {
  readonly x: readonly number[];
  readonly defect: boolean;
}

/** @returns validation accuracy of a logistic regression, by gradient descent with a little weight decay */
function accuracy(train: readonly Example[], val: readonly Example[]): number {
  let weights = Array.from({ length: 193 }, () => 0);
  const score = (x: readonly number[]): number => x.reduce((sum, value, k) => sum + value * (weights[k] ?? 0), 0);
  for (let step = 0; step < 300; step++) {
    const errors = train.map(({ x, defect }) => (1 / (1 + Math.exp(-score(x))) - (defect ? 1 : 0)) / train.length);
    weights = weights.map((weight, k) => {
      const gradient = train.reduce((sum, { x }, i) => sum + (errors[i] ?? 0) * (x[k] ?? 0), 0.01 * weight);
      return weight - 0.05 * gradient;
    });
  }
  return val.filter(({ x, defect }) => score(x) > 0 === defect).length / val.length;
}

test('averages of raw pixels do not tell the classes apart', () => {
  const examples = (from: number, to: number): Example[] =>
    CLASSES.flatMap((label) =>
      Array.from({ length: to - from }, (_, i) => ({
        x: averages(drawPicture(0, label, from + i)),
        defect: label === 'defect',
      })),
    );
  const [train, val] = [examples(0, 70), examples(70, 120)];
  const honest = accuracy(train, val);
  assert.ok(honest <= 0.65, `a logistic regression on 8×8 averages reaches ${honest}`);
  // The same classifier finds defects that would make the picture a third brighter: the bound above can fail.
  const brighter = (set: readonly Example[]): Example[] =>
    set.map(({ x, defect }) => ({ x: x.map((value, k) => (defect && k < 192 ? value + 1.2 : value)), defect }));
  assert.ok(accuracy(brighter(train), brighter(val)) > 0.75);
});
