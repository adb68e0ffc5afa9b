import assert from 'node:assert/strict';
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { compactSets } from '../../src/commands/cache/index.js';
import { CacheError } from '../../src/errors.js';
import { type CompactOptions, compactSet } from '../../src/store/compact.js';
import { FeatureSet, realSystem, type StoreSystem } from '../../src/store/index.js';
import { bits, Crash, faulty, folder, key, MAKER, spec, systemError, temporaries, vector } from '../helpers/store.js';

const D = 3;
const OTHER = { ...MAKER, engineVersion: '2.0.0' };

/** A set of small parts by two makers, in which some keys stand in several parts with different vectors. */
async function scattered(cache: string, system: StoreSystem = realSystem): Promise<FeatureSet> {
  const set = await FeatureSet.create(cache, 'test', spec(D), { system });
  for (const [maker, from, to, shift] of [
    [MAKER, 0, 10, 0],
    [MAKER, 10, 25, 0],
    [OTHER, 5, 30, 100],
    [MAKER, 20, 40, 200],
    [OTHER, 40, 45, 0],
    [OTHER, 0, 3, 300],
  ] as const) {
    const writer = set.writer(maker);
    for (let i = from; i < to; i++) await writer.add(key(i), vector(i + shift, D));
    await writer.close();
  }
  return set;
}

async function copyOf(set: FeatureSet, cache: string, system: StoreSystem = realSystem): Promise<FeatureSet> {
  const { dir } = await FeatureSet.create(cache, 'test', set.spec);
  for (const name of await readdir(set.dir)) await copyFile(join(set.dir, name), join(dir, name));
  return FeatureSet.open(dir, { system });
}

test('small parts become full ones, makers stay apart, every vector keeps its bits', async (t) => {
  const cache = await folder(t);
  const set = await scattered(cache);
  const before = await bits(set);
  const [done] = await compactSets(cache);
  assert.deepEqual(done?.parts, { before: 6, after: 2 });
  assert.equal(done?.duplicates, 78 - 45);
  assert.deepEqual(await bits(set), before);
  const info = await set.info();
  assert.equal(info.rows, 45);
  assert.equal(info.bytes, done?.bytes.after);
  assert.deepEqual(info.makers.map(({ engineVersion }) => engineVersion).sort(), ['1.2.3', '2.0.0']);
  const names = await readdir(set.dir);
  const [again] = await compactSets(cache);
  assert.deepEqual(again?.parts, { before: 2, after: 2 });
  assert.deepEqual(await readdir(set.dir), names);
});

test('full parts are not written again, and merged ones are cut at 1,024 rows', async (t) => {
  const set = await FeatureSet.create(await folder(t), 'test', spec(D));
  const fill = async (from: number, to: number, every: number): Promise<void> => {
    const writer = set.writer(MAKER);
    for (let i = from; i < to; i++) {
      await writer.add(key(i), vector(i, D));
      if ((i + 1) % every === 0) await writer.flush();
    }
    await writer.close();
  };
  await fill(0, 1024, 1024);
  const [full = ''] = (await readdir(set.dir)).filter((name) => name.endsWith('.arrow'));
  await fill(1024, 1024 + 2000, 100);
  const before = await bits(set);
  assert.deepEqual((await compactSet(set)).parts, { before: 22, after: 3 });
  assert.ok((await readdir(set.dir)).includes(full));
  assert.deepEqual(await bits(set), before);
  await fill(4000, 5000, 1000);
  assert.deepEqual((await compactSet(set)).parts, { before: 4, after: 4 }, '976 + 1,000 rows make two parts again');
});

test('keep drops rows, also in full parts; a dry run only says so', async (t) => {
  const set = await scattered(await folder(t));
  const before = await bits(set);
  const gone = new Set([0, 7, 44].map((i) => Buffer.from(key(i)).toString('hex')));
  const options: CompactOptions = { keep: (one) => !gone.has(Buffer.from(one).toString('hex')) };
  const names = await readdir(set.dir);
  const planned = await compactSet(set, { ...options, dryRun: true });
  assert.deepEqual(await readdir(set.dir), names);
  const done = await compactSet(set, options);
  assert.equal(done.dropped, 3);
  assert.deepEqual({ ...planned, bytes: null }, { ...done, bytes: null });
  for (const name of gone) before.delete(name);
  assert.deepEqual(await bits(set), before);
  await compactSet(set, { keep: () => false });
  assert.equal((await set.info()).parts, 0);
});

test('a crash or a failing disk at each operation leaves every key its vector, and the next run ends it', async (t) => {
  const original = await scattered(await folder(t));
  const expected = await bits(original);
  let operations = 0;
  const counted = await copyOf(
    original,
    await folder(t),
    faulty(() => {
      operations++;
      return undefined;
    }),
  );
  operations = 0;
  await compactSet(counted);
  assert.ok(operations > 40);
  let stray = 0;
  for (let n = 0; n < operations; n++) {
    for (const error of [new Crash('dead'), systemError('ENOSPC'), systemError('EIO')]) {
      const cache = await folder(t);
      let count = 0;
      const system = faulty(() => (count++ === n ? error : undefined), { pid: 4242 });
      const broken = await copyOf(original, cache, { ...realSystem });
      const set = await FeatureSet.open(broken.dir, { system: { ...realSystem } });
      const hurt = await FeatureSet.open(broken.dir, { system }).catch((failure: unknown) => failure);
      if (hurt instanceof FeatureSet) {
        await compactSet(hurt).catch((failure: unknown) => {
          assert.ok(failure instanceof Crash || failure instanceof CacheError, `operation ${n}: ${failure}`);
        });
      }
      stray += (await temporaries(cache)).length;
      assert.deepEqual(await bits(set), expected, `operation ${n}, ${error.message}`);
      await compactSets(cache, { system: { ...realSystem, alive: (pid) => pid !== 4242 } });
      assert.deepEqual(await bits(set), expected, `operation ${n}, ${error.message}`);
      assert.equal((await set.info()).rows, 45);
      assert.deepEqual(await temporaries(cache), []);
    }
  }
  assert.ok(stray > 0, 'some crashes must leave a temporary file, or nothing was tested');
});

test('readers, writers and several mergers at once: nothing is lost', async (t) => {
  const cache = await folder(t);
  const set = await FeatureSet.create(cache, 'test', spec(D));
  const rows = 120;
  const write = async (from: number): Promise<void> => {
    const writer = set.writer(MAKER);
    for (let i = from; i < from + rows / 2; i++) {
      await writer.add(key(i), vector(i, D));
      if (i % 3 === 0) await writer.flush();
    }
    await writer.close();
  };
  await write(0);
  const first = await bits(set);
  let writing = true;
  const merge = async (): Promise<void> => {
    while (writing) await compactSet(set);
  };
  const read = async (): Promise<void> => {
    while (writing) {
      const found = await bits(set);
      for (const [name, value] of first) assert.equal(found.get(name), value);
    }
  };
  const others = [merge(), merge(), merge(), read(), read()];
  await write(rows / 2).finally(() => {
    writing = false;
  });
  await Promise.all(others);
  await compactSet(set);
  const all = await bits(set);
  assert.equal(all.size, rows);
  for (let i = 0; i < rows; i++) {
    assert.equal(all.get(Buffer.from(key(i)).toString('hex')), Buffer.from(vector(i, D).buffer).toString('hex'));
  }
  assert.equal((await set.info()).parts, 1);
});

test('a damaged part is left alone, or thrown', async (t) => {
  const cache = await folder(t);
  const set = await scattered(cache);
  const [name = ''] = (await readdir(set.dir)).filter((file) => file.endsWith('.arrow'));
  const bytes = await readFile(join(set.dir, name));
  await writeFile(join(set.dir, name), bytes.subarray(0, bytes.length - 20));
  await assert.rejects(compactSets(cache), CacheError);
  const told: string[] = [];
  const [done] = await compactSets(cache, { onDamaged: ({ message }) => told.push(message) });
  assert.equal(done?.parts.before, 5);
  assert.match(told.join(), new RegExp(name));
  assert.ok((await readdir(set.dir)).includes(name));
});
