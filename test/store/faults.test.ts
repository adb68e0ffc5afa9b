import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { CacheError } from '../../src/errors.js';
import { FeatureSet, realSystem, type StoreSystem } from '../../src/store/index.js';
import {
  bits,
  Crash,
  faulty,
  folder,
  hex,
  key,
  MAKER,
  type Operation,
  spec,
  systemError,
  temporaries,
  vector,
} from '../helpers/store.js';

const ROWS = 25;

/** One run of stage one as the store sees it: three parts, an image in the quarantine. */
async function extract(cache: string, system: StoreSystem): Promise<FeatureSet> {
  const set = await FeatureSet.create(cache, 'test', spec(3), { system });
  const known = await set.keys();
  const quarantine = await set.quarantine();
  const writer = set.writer(MAKER);
  for (let i = 0; i < ROWS; i++) {
    if (known.has(key(i))) continue;
    await writer.add(key(i), vector(i, 3));
    if (i % 10 === 9) await writer.flush();
  }
  if (!quarantine.has(hex(1000))) quarantine.add({ sha256: hex(1000), path: 'a.jpg', stage: 'decode', message: 'cut' });
  await quarantine.flush();
  await writer.close();
  return set;
}

/** @returns the operations of an undisturbed run, in order */
async function rehearse(cache: string): Promise<Operation[]> {
  const operations: Operation[] = [];
  await extract(
    cache,
    faulty((operation) => {
      operations.push(operation);
      return undefined;
    }),
  );
  return operations;
}

const nth = (n: number, error: Error): ((operation: Operation) => Error | undefined) => {
  let count = 0;
  return () => (count++ === n ? error : undefined);
};

for (const code of ['ENOSPC', 'EIO', 'EACCES']) {
  test(`${code} at each operation in turn: a CacheError or nothing, no stray file, and the next run completes the set`, async (t) => {
    const reference = await folder(t);
    const operations = await rehearse(reference);
    const expected = await bits(await FeatureSet.create(reference, 'test', spec(3)));
    assert.equal(expected.size, ROWS);
    for (const [n, operation] of operations.entries()) {
      const cache = await folder(t);
      const where = `${operation}, operation ${n}`;
      try {
        await extract(cache, faulty(nth(n, systemError(code))));
      } catch (error) {
        assert.ok(error instanceof CacheError, `${where}: ${error}`);
        if (code === 'ENOSPC') assert.match(error.message, /no space is left at .*; free some/, where);
      }
      assert.deepEqual(await temporaries(cache), [], where);
      const set = await extract(cache, realSystem);
      assert.deepEqual(await bits(set), expected, where);
      assert.deepEqual(
        (await set.quarantine()).entries().map(({ path }) => path),
        ['a.jpg'],
        where,
      );
      assert.ok((await set.info()).parts <= 4, where);
    }
  });
}

test('a crash at each operation in turn: the next run cleans up, repeats at most a part, and completes the set', async (t) => {
  const reference = await folder(t);
  const operations = await rehearse(reference);
  const expected = await bits(await FeatureSet.create(reference, 'test', spec(3)));
  let stray = 0;
  for (const [n, operation] of operations.entries()) {
    const cache = await folder(t);
    const where = `${operation}, operation ${n}`;
    await assert.rejects(extract(cache, faulty(nth(n, new Crash('dead')), { pid: 4242 })), Crash, where);
    stray += (await temporaries(cache)).length;
    const before = await FeatureSet.find(cache, (await FeatureSet.create(reference, 'test', spec(3))).fingerprint);
    for (const [name, value] of before === null ? [] : await bits(before))
      assert.equal(value, expected.get(name), where);
    const set = await extract(cache, { ...realSystem, alive: (pid) => pid !== 4242 });
    assert.deepEqual(await bits(set), expected, where);
    assert.deepEqual(await temporaries(cache), [], where);
    assert.deepEqual(
      (await set.quarantine()).entries().map(({ path }) => path),
      ['a.jpg'],
      where,
    );
    assert.equal((await set.info()).rows, ROWS, where);
  }
  assert.ok(stray > 0, 'some crashes must leave a temporary file, or nothing was tested');
});

test('four writers with faults of their own, then a run without', async (t) => {
  const cache = await folder(t);
  const reference = await folder(t);
  await rehearse(reference);
  const expected = await bits(await FeatureSet.create(reference, 'test', spec(3)));
  const runs = [5, 14, 23, 31].map((n, i) => extract(cache, faulty(nth(n, systemError(i % 2 ? 'EIO' : 'ENOSPC')))));
  await Promise.allSettled(runs);
  const set = await extract(cache, realSystem);
  assert.deepEqual(await bits(set), expected);
  assert.deepEqual(await temporaries(cache), []);
});

test('a temporary file taken away under the writer, as by a machine of the same name, is written again', async (t) => {
  const cache = await folder(t);
  let renames = 0;
  const system = faulty((operation) => (operation === 'rename' && ++renames === 2 ? systemError('ENOENT') : undefined));
  assert.equal((await bits(await extract(cache, system))).size, ROWS);
  assert.deepEqual(await temporaries(cache), []);
});

test('after a failed write the writer says so at every call and writes no more', async (t) => {
  const cache = await folder(t);
  let full = false;
  const system = faulty((operation) => (full && operation === 'write' ? systemError('ENOSPC') : undefined));
  const set = await FeatureSet.create(cache, 'test', spec(3), { system });
  const writer = set.writer(MAKER);
  await writer.add(key(0), vector(0, 3));
  await writer.flush();
  full = true;
  await writer.add(key(1), vector(1, 3));
  await assert.rejects(writer.flush(), CacheError);
  full = false;
  await assert.rejects(writer.add(key(2), vector(2, 3)), CacheError);
  await assert.rejects(writer.close(), CacheError);
  assert.equal(writer.stored, 1);
  assert.equal((await readdir(set.dir)).length, 2);
});
