import assert from 'node:assert/strict';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { compactSets, verifySets } from '../../src/commands/cache/index.js';
import { features } from '../../src/commands/features.js';
import { CacheError, UsageError } from '../../src/errors.js';
import { FeatureSet, type Maker } from '../../src/store/index.js';
import { pictures } from '../helpers/pictures.js';
import { bits, folder } from '../helpers/store.js';

const COUNT = 30;

/** A set of two parts, extracted from pictures; the second holds those of one folder. */
async function extracted(t: TestContext, store: 'float32' | 'float16' = 'float32') {
  const data = await pictures(t, COUNT);
  const cache = await folder(t);
  const options = { base: 'xception-mini', inputSize: [48, 48] as const, cache, store };
  await features({ ...options, data: join(data, 'dark') });
  const { dir } = await features({ ...options, data });
  const set = await FeatureSet.open(dir);
  const parts = (await readdir(dir)).filter((name) => name.endsWith('.arrow'));
  assert.equal(parts.length, 2);
  return { data, cache, set, part: join(dir, parts[0] ?? ''), expected: await bits(set) };
}

for (const store of ['float32', 'float16'] as const) {
  test(`a sample of a sound ${store} set gives the same bits`, async (t) => {
    const { data, cache } = await extracted(t, store);
    const [found] = await verifySets(cache, { data, sample: 12 });
    assert.deepEqual(found?.recomputed, { images: 12, identical: 12, close: 0, different: [], sameEngine: true });
    assert.deepEqual([found?.rows, found?.damaged, found?.lost], [COUNT, [], []]);
    const [all] = await verifySets(cache, { data, sample: 1000 });
    assert.equal(all?.recomputed?.identical, COUNT);
  });
}

test('a vector that is not what its image gives is found, though its part is sound', async (t) => {
  const { data, cache, set } = await extracted(t);
  const forged = await FeatureSet.create(await folder(t), 'forged', set.spec);
  const maker = (await set.info()).makers[0] as Maker;
  const writer = forged.writer(maker);
  const d = set.spec.features;
  let row = 0;
  for await (const { rows, keys, vectors } of set.batches()) {
    for (let i = 0; i < rows; i++, row++) {
      const vector = vectors.slice(i * d, (i + 1) * d);
      const largest = Math.max(...vector);
      if (row === 3) vector[0] = (vector[0] as number) + 0.01 * largest;
      if (row === 5) vector[0] = (vector[0] as number) + 2e-5 * largest;
      await writer.add(keys.subarray(i * 32, i * 32 + 32), vector);
    }
  }
  await writer.close();
  const [found] = await verifySets(cache, { sets: [forged.dir], data, sample: COUNT });
  assert.deepEqual(found?.damaged, []);
  assert.deepEqual([found?.recomputed?.identical, found?.recomputed?.close], [COUNT - 2, 1]);
  assert.equal(found?.recomputed?.different.length, 1);
  assert.match(found?.recomputed?.different[0]?.path ?? '', /^(dark|light)\/\d+\.png$/);
});

test('it says which images are lost: by hash, by path, or what can be known of a cut part', async (t) => {
  const { data, cache, part } = await extracted(t);
  const whole = await readFile(part);
  const flipped = Buffer.from(whole);
  flipped[whole.length >> 1] = (flipped[whole.length >> 1] ?? 0) ^ 1;
  await writeFile(part, flipped);
  const [byHash] = await verifySets(cache);
  assert.deepEqual([byHash?.damaged.length, byHash?.unknown, byHash?.repaired], [1, 0, false]);
  assert.equal(byHash?.lost.length, 15);
  assert.ok(byHash?.lost.every(({ path, sha256 }) => path === null && /^[0-9a-f]{64}$/.test(sha256)));
  const [byPath] = await verifySets(cache, { data });
  assert.deepEqual(byPath?.lost.map(({ sha256 }) => sha256).sort(), byHash?.lost.map(({ sha256 }) => sha256).sort());
  const [where] = (byPath?.lost[0]?.path ?? '').split('/');
  assert.ok(byPath?.lost.every(({ path }) => path?.startsWith(`${where}/`)));
  await writeFile(part, whole.subarray(0, whole.length - 100));
  const [cut] = await verifySets(cache);
  assert.deepEqual([cut?.damaged.length, cut?.unknown, cut?.lost], [1, 1, []]);
  const [found] = await verifySets(cache, { data });
  assert.equal(found?.lost.filter(({ path }) => path?.startsWith(`${where}/`)).length, found?.lost.length);
  assert.equal(found?.lost.length, 15, 'what is no image was never in the part');
});

test('repair: damaged parts go, and with the images the set is what it was', async (t) => {
  const { data, cache, set, part, expected } = await extracted(t);
  const whole = await readFile(part);
  await writeFile(part, whole.subarray(0, 300));
  const [found] = await verifySets(cache, { data, repair: true });
  assert.deepEqual([found?.repaired, found?.extracted, found?.unknown], [true, 15, 1]);
  assert.deepEqual(await bits(set), expected);
  assert.deepEqual(
    (await verifySets(cache, { data, repair: true })).map(({ damaged }) => damaged),
    [[]],
  );
  await writeFile(part, whole.subarray(0, 300));
  const [alone] = await verifySets(cache, { repair: true });
  assert.deepEqual([alone?.repaired, alone?.extracted], [true, 0]);
  assert.equal((await readdir(set.dir)).filter((name) => name.endsWith('.arrow')).length, 1);
});

test('a foreign part is found, a merged set is sound, a missing base is said', async (t) => {
  const { data, cache, set } = await extracted(t);
  await compactSets(cache);
  assert.deepEqual((await verifySets(cache))[0]?.damaged, []);
  const other = await extracted(t, 'float16');
  await cp(other.part, join(set.dir, other.part.slice(-'part-.arrow'.length - 32)));
  const [found] = await verifySets(cache);
  assert.match(found?.damaged[0]?.reason ?? '', /must be float32|belongs to the set/);
  await rm(join(cache, 'bases'), { recursive: true });
  await assert.rejects(verifySets(cache, { data, sample: 3 }), {
    name: 'CacheError',
    message: /does not keep the base/,
  });
  await assert.rejects(verifySets(cache, { sample: 3 }), UsageError);
  await assert.rejects(verifySets(cache, { sets: ['none'] }), CacheError);
});

test('a file of the quarantine that is cut is found, and repaired by trying its images again', async (t) => {
  const { data, cache, set } = await extracted(t);
  const quarantine = (await readdir(set.dir)).filter((name) => name.startsWith('_quarantine-'));
  assert.equal(quarantine.length, 1);
  const file = join(set.dir, quarantine[0] as string);
  const whole = await readFile(file);
  await writeFile(file, whole.subarray(0, whole.length - 3));
  const [found] = await verifySets(cache);
  assert.deepEqual([found?.damaged.map(({ part }) => part), found?.lost], [quarantine, []]);
  assert.match(found?.damaged[0]?.reason ?? '', /its bytes are not those that it is named after/);
  await verifySets(cache, { repair: true });
  assert.deepEqual((await verifySets(cache))[0]?.damaged, []);
  await features({ base: 'xception-mini', inputSize: [48, 48], data, cache });
  assert.equal((await set.quarantine()).size, 1);
});
