import assert from 'node:assert/strict';
import { cpSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { predict } from '../../src/commands/predict.js';
import type { Prediction } from '../../src/commands/prediction.js';
import { train } from '../../src/commands/train.js';
import { FeatureSet, features } from '../../src/index.js';
import { fixture } from '../helpers/fixtures.js';
import { pictures } from '../helpers/pictures.js';
import { folder } from '../helpers/store.js';

const BASE = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;
let made: { data: string; more: string; work: string };

before(async (t) => {
  const context = t as unknown as TestContext;
  const [data, more, work] = [await pictures(context, 12), await pictures(context, 20), await folder(context)];
  const cache = path.join(work, 'cache');
  await features({ ...BASE, data, cache, threads: 1 });
  await train({ ...BASE, data, cache, name: 'h', epochs: 3, bootstrap: 0 });
  made = { data, more, work };
});

/** A cache of its own with the twelve vectors, the base and the head. */
async function copy(t: TestContext): Promise<string> {
  const cache = path.join(await folder(t), 'cache');
  cpSync(path.join(made.work, 'cache'), cache, { recursive: true, preserveTimestamps: true });
  return cache;
}

async function said(options: Parameters<typeof predict>[0]): Promise<Prediction[]> {
  const all: Prediction[] = [];
  for await (const one of predict({ onWarning: () => {}, threads: 1, ...options })) all.push(one);
  return all;
}

const rows = async (cache: string): Promise<number> => {
  const name = readdirSync(cache).find((one) => /-[0-9a-f]{12}$/.test(one)) ?? '';
  return (await (await FeatureSet.open(path.join(cache, name))).keys()).size;
};

test('stored vectors are read: the base is not needed, and the answers are those that it gives', async (t) => {
  const cache = await copy(t);
  const options = { cache, head: 'h', paths: [made.data] };
  const bases = path.join(cache, 'bases');
  const sets = readdirSync(cache).filter((one) => /-[0-9a-f]{12}$/.test(one));
  const [away] = sets.map((one) => [path.join(cache, one), path.join(cache, 'away')] as const);
  renameSync(...(away as readonly [string, string]));
  const computed = await said({ ...options, noStore: true });
  renameSync(...([...(away as readonly [string, string])].reverse() as [string, string]));
  rmSync(bases, { recursive: true });
  const stored = await said(options);
  assert.equal(stored.length, 13);
  const broken = path.join(made.data, 'dark', 'broken.png');
  assert.deepEqual(
    stored.find((one) => one.path === broken),
    {
      path: broken,
      error: 'it is named like an image but is none',
    },
  );
  assert.deepEqual(stored, computed);
  await assert.rejects(said({ ...options, paths: [made.more] }), {
    name: 'HeadError',
    message: /^the base of this head \([0-9a-f]+\) is not in .*bases: give the --cache it was made with, or --base$/,
  });
});

test('new vectors go into the set where there is one, unless it is to be left alone', async (t) => {
  const cache = await copy(t);
  const options = { cache, head: 'h', paths: [made.more] };
  const state = (): string[] =>
    readdirSync(cache, { recursive: true, encoding: 'utf8' })
      .map((name) => `${name} ${statSync(path.join(cache, name)).mtimeMs}`)
      .sort();
  const was = state();
  const left = await said({ ...options, noStore: true });
  assert.deepEqual(state(), was, 'nothing was touched');
  assert.equal(await rows(cache), 12);
  const first = await said(options);
  assert.deepEqual(first, left);
  assert.equal(await rows(cache), 20, 'the first twelve are the same pictures');
  rmSync(path.join(cache, 'bases'), { recursive: true });
  assert.deepEqual(await said(options), first);
});

test('a head that is given as a path brings the cache that it lies in', async (t) => {
  const cache = await copy(t);
  const head = path.join(cache, 'heads', 'h');
  const elsewhere = path.join(await folder(t), 'none');
  const options = { cache: elsewhere, head, paths: [made.more] };
  assert.deepEqual(await said(options), await said({ cache, head: 'h', paths: [made.more] }));
  assert.throws(() => statSync(elsewhere), 'and makes no other');
});
