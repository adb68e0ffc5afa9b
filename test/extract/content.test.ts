import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FeatureSet, features } from '../../src/index.js';
import { readKeys } from '../../src/store/held-keys.js';
import { permafrost } from '../helpers/cli.js';
import { fixture } from '../helpers/fixtures.js';
import { pictures } from '../helpers/pictures.js';
import { bits, folder, temporaries } from '../helpers/store.js';

const BASE = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;

/** Pictures that were written long ago, so that the index takes their word. */
const old = async (t: TestContext, count: number): Promise<string> => {
  const data = await pictures(t, count);
  for (const name of readdirSync(data, { recursive: true, encoding: 'utf8' })) {
    utimesSync(join(data, name), 1_500_000_000, 1_500_000_000);
  }
  return data;
};

const run = async (data: string, cache: string) => {
  const { images, extracted, reused, dir } = await features({ ...BASE, data, cache });
  return { counts: [images, extracted, reused], bits: await bits(await FeatureSet.open(dir)) };
};

test('images that are moved, renamed, copied or touched are not computed again', async (t) => {
  const data = await old(t, 12);
  const cache = await folder(t);
  const first = await run(data, cache);
  assert.deepEqual(first.counts, [13, 12, 0]);
  const light = join(data, 'light');
  const [one = '', two = ''] = readdirSync(light);
  const rename = () => renameSync(join(light, one), join(light, 'renamed.of.another.kind'));
  const touch = () => utimesSync(join(light, two), 1_600_000_000, 1_600_000_000);
  const move = () => renameSync(light, join(data, 'moved'));
  const copy = () => cpSync(join(data, 'moved'), join(data, 'copied'), { recursive: true });
  const swap = () => {
    renameSync(join(data, 'moved', two), join(data, 'held'));
    renameSync(join(data, 'copied', 'renamed.of.another.kind'), join(data, 'moved', two));
    renameSync(join(data, 'held'), join(data, 'copied', 'renamed.of.another.kind'));
  };
  for (const change of [rename, touch, move, copy, swap]) {
    change();
    const { counts, bits } = await run(data, cache);
    assert.deepEqual(counts.slice(1), [0, 12], change.name);
    assert.deepEqual(bits, first.bits, change.name);
  }
  const elsewhere = join(await folder(t), 'elsewhere');
  renameSync(data, elsewhere);
  assert.deepEqual((await run(elsewhere, cache)).counts.slice(1), [0, 12]);
});

test('without the index files are hashed again, and each content keeps its own vector', async (t) => {
  const data = await old(t, 12);
  const cache = await folder(t);
  const first = await run(data, cache);
  const [one = '', two = '', three = ''] = readdirSync(join(data, 'light')).map((name) => join(data, 'light', name));
  rmSync(join(cache, '_index'), { recursive: true });
  // What the lost index knew under these names is not true any more.
  renameSync(one, `${one}.held`);
  renameSync(two, one);
  renameSync(`${one}.held`, two);
  rmSync(three);
  const { counts, bits } = await run(data, cache);
  assert.deepEqual(counts, [12, 0, 11]);
  assert.deepEqual(bits, first.bits);
  const fresh = await run(data, await folder(t));
  assert.equal(fresh.bits.size, 11);
  for (const [key, value] of fresh.bits) assert.equal(bits.get(key), value);
});

test('two runs at once on one folder and one cache end in the set of one run', async (t) => {
  const data = await old(t, 40);
  const cache = await folder(t);
  const alone = await run(data, await folder(t));
  const flags = ['--base', BASE.base, '--layer', BASE.layer, '--preprocess', BASE.preprocess, '--json'];
  const both = await Promise.all(
    [1, 2].map(() => permafrost(['features', '--data', data, '--cache', cache, ...flags], cache)),
  );
  for (const { code, stdout, stderr } of both) {
    assert.equal(code, 0, stderr);
    const { extracted, reused } = JSON.parse(stdout) as { extracted: number; reused: number };
    assert.equal(extracted + reused, 40);
  }
  const after = await run(data, cache);
  assert.deepEqual(after.counts, [41, 0, 40]);
  assert.deepEqual(after.bits, alone.bits);
  assert.deepEqual(await temporaries(cache), []);
});

test('a key file of the set, and one beside newer parts, change nothing of what is reused', async (t) => {
  const data = await old(t, 12);
  const cache = await folder(t);
  const first = await run(data, cache);
  const light = join(data, 'light');
  const [one = '', two = ''] = readdirSync(light);
  cpSync(join(light, one), join(light, 'copy.png'));
  const { dir } = await features({ ...BASE, data, cache });
  const filed = async (): Promise<string[]> => {
    await readKeys(await FeatureSet.open(dir), { most: 0 });
    return readdirSync(dir).filter((name) => name.startsWith('_keys-'));
  };
  assert.equal((await filed()).length, 1);
  const again = await run(data, cache);
  assert.deepEqual(again.counts, [(first.counts[0] ?? 0) + 1, 0, 12], 'a content of two files counts once');
  assert.deepEqual(again.bits, first.bits);
  const more = join(await folder(t), 'more');
  cpSync(await old(t, 14), more, { recursive: true, preserveTimestamps: true });
  const [images = 0, extracted = 0, reused = 0] = (await run(more, cache)).counts;
  assert.deepEqual(
    [extracted + reused, (await (await FeatureSet.open(dir)).keys()).size],
    [images - 1, 12 + extracted],
  );
  assert.deepEqual((await run(more, cache)).counts, [images, 0, extracted + reused]);
  const name = (await filed())[0] ?? '';
  rmSync(join(light, two));
  writeFileSync(join(dir, name), readFileSync(join(dir, name)).subarray(0, 100));
  assert.equal((await run(data, cache)).counts[1], 0, 'a cut key file counts for nothing');
});
