import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { collectGarbage, listSets, verifySets } from '../../src/commands/cache/index.js';
import { exportHead } from '../../src/commands/export.js';
import { features } from '../../src/commands/features.js';
import { predict } from '../../src/commands/predict.js';
import { train } from '../../src/commands/train.js';
import { loadHead } from '../../src/heads/head.js';
import { HEAD_FORMATS } from '../../src/options/choices.js';
import { resolveOptions } from '../../src/train/options.js';
import { fixture } from '../helpers/fixtures.js';

// What was made by commit 67fc9e4, and must open ever after: test/fixtures/cache-67fc9e4/README.md.
const dir = mkdtempSync(path.join(tmpdir(), 'permafrost-old-'));
after(() => rmSync(dir, { recursive: true }));
cpSync(fixture('cache-67fc9e4'), dir, { recursive: true });
const cache = path.join(dir, 'cache');
const data = path.join(dir, 'pictures');
const base = { base: path.join(dir, 'base.keras'), layer: 'global_average_pooling2d', preprocess: 'tf' } as const;
const names = readdirSync(path.join(cache, 'heads'));
assert.deepEqual(names, ['crossed', 'hidden', 'joined', 'multilabel', 'plain', 'regression', 'swept']);

test('its sets are listed and sound; its vectors cannot be compared, since pixels are made otherwise now', async () => {
  const sets = await listSets(cache);
  assert.deepEqual(
    sets.map(({ dim, type, images, parts, damaged }) => ({ dim, type, images, parts, damaged })),
    ['float32', 'float16'].map((type) => ({ dim: 16, type, images: 16, parts: 1, damaged: [] })),
  );
  for (const { rows, damaged, lost } of await verifySets(cache, { data })) {
    assert.deepEqual({ rows, damaged, lost }, { rows: 16, damaged: [], lost: [] });
  }
  await assert.rejects(verifySets(cache, { data, sample: 16 }), /pixels of revision 1, and this version makes 2/);
});

test('its heads say nothing of new pictures: a sentence says what to do', async () => {
  for (const head of names) {
    const first = predict({ cache, head, paths: [data] }).next();
    await assert.rejects(first, {
      message: /^the head .* was trained on .* pixels of revision 1, .*: run features, then train, again$/,
    });
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

test('features makes a new set beside the old ones, and heads are trained on either', async () => {
  const sets = (await listSets(cache)).map((set) => set.dir);
  const found = await features({ ...base, data, cache });
  assert.deepEqual([found.extracted, found.reused, found.images], [16, 0, 16]);
  assert.ok(!sets.includes(found.dir));
  const plain = await train({ ...base, data, cache, name: 'again', epochs: 20 });
  const { info } = await loadHead(path.join(cache, 'heads/plain'));
  assert.deepEqual([plain.train, plain.val, plain.epochs], [info.train, info.val, info.history.length]);
  assert.equal((await train({ data, cache, features: sets, name: 'both', epochs: 2 })).train, 12);
});

test('its heads keep their sets from being collected', async () => {
  const { garbage } = await collectGarbage(cache, { unreferenced: true });
  assert.deepEqual(garbage, []);
});
