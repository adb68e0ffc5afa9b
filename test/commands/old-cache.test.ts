import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { collectGarbage, listSets, verifySets } from '../../src/commands/cache/index.js';
import { exportHead } from '../../src/commands/export.js';
import { features } from '../../src/commands/features.js';
import { predict } from '../../src/commands/predict.js';
import { train } from '../../src/commands/train.js';
import { CacheError } from '../../src/errors.js';
import { loadHead } from '../../src/heads/head.js';
import { HEAD_FORMATS } from '../../src/options/choices.js';
import { FeatureSet } from '../../src/store/index.js';
import { resolveOptions } from '../../src/train/options.js';
import { fixture } from '../helpers/fixtures.js';
import { bits } from '../helpers/store.js';

// What was made by commit 67fc9e4, and must open ever after: test/fixtures/cache-67fc9e4/README.md.
const dir = mkdtempSync(path.join(tmpdir(), 'permafrost-old-'));
after(() => rmSync(dir, { recursive: true }));
cpSync(fixture('cache-67fc9e4'), dir, { recursive: true });
const cache = path.join(dir, 'cache');
const data = path.join(dir, 'pictures');
const base = { base: path.join(dir, 'base.keras'), layer: 'global_average_pooling2d', preprocess: 'tf' } as const;
const names = readdirSync(path.join(cache, 'heads'));
assert.deepEqual(names, ['crossed', 'hidden', 'joined', 'multilabel', 'plain', 'regression', 'swept']);

test('its sets are listed and sound, and not compared with what their base gives of the pixels of today', async () => {
  const sets = await listSets(cache);
  assert.deepEqual(
    sets.map(({ dim, type, images, parts, damaged }) => ({ dim, type, images, parts, damaged })),
    ['float32', 'float16'].map((type) => ({ dim: 16, type, images: 16, parts: 1, damaged: [] })),
  );
  for (const { rows, damaged, lost } of await verifySets(cache, { data })) {
    assert.deepEqual({ rows, damaged, lost }, { rows: 16, damaged: [], lost: [] });
  }
  await assert.rejects(verifySets(cache, { data, sample: 1 }), /were made from photo pixels of revision 1, .* again/);
});

test('its heads say of every picture what they said', async () => {
  for (const head of names) {
    const before = readFileSync(path.join(dir, `predictions-${head}.tsv`), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split('\t') as [string, string, string?]);
    const now = [];
    for await (const one of predict({ cache, head, paths: [data] })) now.push(one);
    assert.equal(now.length, 16);
    for (const [i, { label, score = Number.NaN }] of now.entries()) {
      const [file, was, points] = before[i] as [string, string, string?];
      assert.equal(path.basename(file), path.basename(now[i]?.path ?? ''));
      assert.ok(Math.abs(score - Number(points ?? was)) < 2e-4, `${head}: ${file} was ${points ?? was}, is ${score}`);
      if (points !== undefined) assert.equal(label, was, `${head}: ${file}`);
    }
  }
});

test('its heads are read and exported in every format, alone and with the base', async () => {
  for (const head of names) {
    const { info } = await loadHead(path.join(cache, 'heads', head));
    assert.deepEqual(info.options, resolveOptions(info.options), head);
    for (const format of HEAD_FORMATS) {
      const out = path.join(dir, `${head}-${format}`);
      assert.equal((await exportHead({ cache, head, format, out })).out, out);
    }
  }
  const out = path.join(dir, 'whole.onnx');
  const whole = await exportHead({ cache, head: 'plain', format: 'onnx', out, withBase: true });
  assert.deepEqual(whole.input, [20, 18, 3]);
});

test('of a new picture they say nothing, but what to do', async () => {
  const file = path.join(dir, 'new.png');
  const pixels = Buffer.alloc(300, 77);
  await sharp(pixels, { raw: { width: 10, height: 10, channels: 3 } }).toFile(file);
  const all = async (): Promise<void> => {
    for await (const { path } of predict({ cache, head: 'plain', paths: [file] })) assert.fail(path);
  };
  await assert.rejects(all(), (error: Error) => {
    assert.match(
      error.message,
      /revision 1, and this version gives revision 2, .*permafrost features again, and permafrost train/,
    );
    return error instanceof CacheError && !error.message.includes('\n');
  });
});

test('features computes all anew in a set of its own, and says so; heads are trained on the old or the new', async () => {
  await assert.rejects(
    train({ ...base, data, cache, name: 'early' }),
    /revision 1, .* permafrost features .*--features/,
  );
  const [old] = (await listSets(cache)).filter(({ type }) => type === 'float32');
  const before = await bits(await FeatureSet.open(old?.dir ?? ''));
  const warnings: string[] = [];
  const found = await features({ ...base, data, cache, onWarning: (message) => warnings.push(message) });
  assert.deepEqual([found.extracted, found.reused, found.images], [16, 0, 16]);
  assert.match(
    warnings.join('\n'),
    new RegExp(`${old?.set} was made from photo pixels of revision 1, .* anew, in ${found.set}`),
  );
  assert.notEqual(found.set, old?.set);
  assert.deepEqual(await bits(await FeatureSet.open(old?.dir ?? '')), before, 'the old set is as it was');
  const again = await features({ ...base, data, cache, onWarning: () => assert.fail('it is said once') });
  assert.deepEqual([again.extracted, again.reused, again.set], [0, 16, found.set]);
  const plain = await train({ ...base, data, cache, name: 'again', epochs: 20 });
  const { info } = await loadHead(path.join(cache, 'heads/again'));
  assert.equal((info.set.image as { pixels: number }).pixels, 2);
  assert.deepEqual([plain.train, plain.val], [info.train, info.val]);
  const sets = (await listSets(cache)).filter(({ set }) => set !== found.set).map((set) => set.dir);
  assert.equal((await train({ data, cache, features: sets, name: 'both', epochs: 2 })).train, 12);
});

test('its heads keep their sets from being collected', async () => {
  const { garbage } = await collectGarbage(cache, { unreferenced: true });
  assert.deepEqual(garbage, []);
});
