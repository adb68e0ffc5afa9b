import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, rename } from 'node:fs/promises';
import path, { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { CacheError } from '../../src/errors.js';
import { realSystem } from '../../src/files/index.js';
import { JoinedSets } from '../../src/heads/joined-sets.js';
import { openVectors } from '../../src/heads/stored-vectors.js';
import { Random } from '../../src/random.js';
import { compactSet } from '../../src/store/compact.js';
import { FeatureSet } from '../../src/store/index.js';
import type { VectorBlock } from '../../src/train/vectors.js';
import { root } from '../helpers/fixtures.js';
import { folder, hex, key, MAKER, spec, vector } from '../helpers/store.js';

const D = 6;

/** A set of n images in parts of a few rows. */
async function setOf(dir: string, n: number): Promise<FeatureSet> {
  const set = await FeatureSet.create(dir, 'streamed', spec(D));
  for (let from = 0; from < n; from += 7) {
    const writer = set.writer(MAKER);
    for (let i = from; i < Math.min(n, from + 7); i++) await writer.add(key(i), vector(i, D));
    await writer.close();
  }
  return set;
}

async function collect(blocks: AsyncIterable<VectorBlock>) {
  const seen: { row: number; x: number[] }[] = [];
  const sizes: number[] = [];
  for await (const { x, at, rows } of blocks) {
    assert.equal(at.length, rows.length);
    sizes.push(rows.length);
    for (const [i, row] of rows.entries()) {
      const from = at[i] as number;
      seen.push({ row, x: Array.from(x.subarray(from * D, (from + 1) * D)) });
    }
  }
  return { seen, sizes };
}

test('in memory or streamed, every asked row comes once with its vector', async (t) => {
  const set = await setOf(await folder(t), 50);
  // 60 is not in the set, 3 is asked twice.
  const images = [...Array.from({ length: 50 }, (_, i) => 49 - i), 60, 3];
  const keys = images.map(hex);
  const small = 2 * 4 * D * 10;
  for (const memory of [2 ** 20, small]) {
    const { source, found, missing } = await openVectors([set], keys, { memory });
    assert.equal(source.n, 51);
    assert.deepEqual([...missing], [50]);
    assert.equal(found[50], 51);
    const rows = Uint32Array.from({ length: 51 }, (_, i) => i).filter((row) => row % 3 > 0);
    for (const shuffle of [undefined, new Random(1)]) {
      const { seen, sizes } = await collect(source.blocks(rows, shuffle, 4));
      assert.deepEqual(
        seen.map(({ row }) => row).sort((a, b) => a - b),
        [...rows],
      );
      for (const { row, x } of seen) {
        assert.deepEqual(x, Array.from(vector(images[found[row] as number] as number, D)), `row ${row}`);
      }
      if (memory !== small) continue;
      assert.ok(sizes.every((size) => size <= 10) && sizes.slice(0, -1).every((size) => size % 4 === 0), `${sizes}`);
    }
  }
});

test('a streamed source is shuffled anew each time, the same for the same seed', async (t) => {
  const set = await setOf(await folder(t), 50);
  const { source } = await openVectors(
    [set],
    Array.from({ length: 50 }, (_, i) => hex(i)),
    { memory: 2 * 4 * D * 10 },
  );
  const rows = Uint32Array.from({ length: 50 }, (_, i) => i);
  const order = async (random?: Random) => (await collect(source.blocks(rows, random))).seen.map(({ row }) => row);
  const random = new Random(3);
  const [first, second, again] = [await order(random), await order(random), await order(new Random(3))];
  assert.notDeepEqual(first, second);
  assert.deepEqual(first, again);
});

test('parts merged while a source streams: it finds the rows again; removed ones are an error', async (t) => {
  const set = await setOf(await folder(t), 50);
  const { source } = await openVectors(
    [set],
    Array.from({ length: 50 }, (_, i) => hex(i)),
    { memory: 2 * 4 * D * 10 },
  );
  const writer = set.writer(MAKER);
  const old = (await readdir(set.dir)).filter((name) => name.startsWith('part-'));
  for (let i = 0; i < 50; i++) await writer.add(key(i), vector(i, D));
  await writer.close();
  const rows = Uint32Array.from({ length: 50 }, (_, i) => i);
  const seen: number[] = [];
  for await (const block of source.blocks(rows)) {
    seen.push(...block.rows);
    if (seen.length > 10) continue;
    for (const name of old) await rename(join(set.dir, name), join(set.dir, `_gone-${name}`));
  }
  assert.deepEqual(
    seen.sort((a, b) => a - b),
    [...rows],
  );
  for (const name of await readdir(set.dir)) {
    if (name.startsWith('part-')) await rename(join(set.dir, name), join(set.dir, `_gone-${name}`));
  }
  await assert.rejects(collect(source.blocks(rows)), CacheError);
});

test('training on more vectors than the memory it may take stays within it', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    path.join(root, 'dist/bench/big_set.js'),
    ...['100000', '512', String(2 ** 24), '1'],
  ]);
  const peak = Number(/^ *train +(\d+)/m.exec(stdout)?.[1]);
  // The vectors alone are 205 MB, Node with the engine about 100.
  assert.ok(peak < 280, stdout);
  assert.ok(Number(/(\S+) % of new vectors right/.exec(stdout)?.[1]) > 70, stdout);
});

test('sets of many machines, which hold some images twice, are one source, in memory or streamed', async (t) => {
  const sets: FeatureSet[] = [];
  for (const machine of [0, 1, 2]) {
    const set = await FeatureSet.create(await folder(t), 'streamed', spec(D));
    for (let from = 0; from < 60; from += 6) {
      const writer = set.writer(MAKER);
      for (let i = from; i < from + 6; i++) {
        if (i % 3 === machine || i % 5 === 0) await writer.add(key(i), vector(i, D));
      }
      await writer.close();
    }
    sets.push(set);
  }
  const images = [...Array.from({ length: 60 }, (_, i) => 59 - i), 99];
  const rows = Uint32Array.from({ length: 60 }, (_, i) => i);
  for (const memory of [2 ** 20, 2 * 4 * D * 10]) {
    const { source, missing } = await openVectors(sets, images.map(hex), { memory });
    assert.deepEqual([source.n, source.d, ...missing], [60, D, 60]);
    for (const shuffle of [undefined, new Random(2)]) {
      const { seen } = await collect(source.blocks(rows, shuffle));
      assert.deepEqual(
        seen.map(({ row }) => row).sort((a, b) => a - b),
        [...rows],
      );
      for (const { row, x } of seen) assert.deepEqual(x, Array.from(vector(images[row] as number, D)), `row ${row}`);
    }
    for (const set of sets) await compactSet(set);
    assert.equal((await collect(source.blocks(rows))).seen.length, 60, 'also after their parts were merged');
  }
});

test('a head sees the same rows of several sets as of one that holds all', async (t) => {
  const one = await setOf(await folder(t), 40);
  const parts = await Promise.all([0, 1].map(async () => FeatureSet.create(await folder(t), 'streamed', spec(D))));
  for (const [p, set] of parts.entries()) {
    const writer = set.writer(MAKER);
    for (let i = 0; i < 40; i++) if (i % 2 === p || i < 9) await writer.add(key(i), vector(i, D));
    await writer.close();
  }
  const keys = Array.from({ length: 40 }, (_, i) => hex(i));
  const everyRow = Uint32Array.from({ length: 40 }, (_, i) => i);
  const tables = await Promise.all([[one], parts].map((sets) => JoinedSets.of(sets).read(keys)));
  const found = await Promise.all(tables.map(({ vectors }) => collect(vectors.blocks(everyRow))));
  assert.deepEqual(found[1], found[0]);
  const [whole, united] = tables.map(({ rows }) => Array.from({ length: rows.size }, (_, i) => rows.at(i)));
  assert.deepEqual(united, whole);
});

test('what one machine put aside and another has a vector of is not left out', async (t) => {
  const sets = await Promise.all([0, 1].map(async () => FeatureSet.create(await folder(t), 'streamed', spec(D))));
  const quarantine = await sets[0]?.quarantine();
  for (const i of [1, 2]) quarantine?.add({ sha256: hex(i), path: `${i}.jpg`, stage: 'read', message: 'EIO' });
  await quarantine?.flush();
  const writer = sets[1]?.writer(MAKER);
  await writer?.add(key(1), vector(1, D));
  await writer?.close();
  assert.deepEqual([...(await JoinedSets.of(sets).quarantined())], [hex(2)]);
});

test('vectors of different bases are joined in memory or from disk, whatever order their parts are in', async (t) => {
  const cache = await folder(t);
  const wide = await setOf(cache, 50);
  const narrow = await FeatureSet.create(cache, 'narrow', spec(2));
  const writer = narrow.writer(MAKER);
  for (const i of [...Array(60).keys()].reverse()) if (i % 7 > 0) await writer.add(key(i), vector(100 + i, 2));
  await writer.close();
  const keys = Array.from({ length: 60 }, (_, i) => hex(i));
  const joined = (i: number, order: readonly ('wide' | 'narrow')[]) =>
    order.flatMap((name) => [...(name === 'wide' ? vector(i, D) : vector(100 + i, 2))]);
  for (const order of [['wide', 'narrow'] as const, ['narrow', 'wide'] as const]) {
    const sets = JoinedSets.of(order.map((name) => (name === 'wide' ? wide : narrow)));
    for (const memory of [2 ** 20, 2 * 4 * (D + 2) * 10]) {
      const { vectors, rows } = await sets.read(keys, { memory });
      const expected = new Map(
        Array.from({ length: 50 }, (_, i) => i)
          .filter((i) => i % 7 > 0)
          .map((i) => [hex(i), joined(i, order)]),
      );
      assert.deepEqual([vectors.n, vectors.d, rows.size], [42, D + 2, 42]);
      const content = (row: number) => Buffer.from(rows.at(row)).toString('hex');
      const chosen = Uint32Array.from({ length: 42 }, (_, i) => i).filter((row) => row % 5 !== 1);
      for (const shuffle of [undefined, new Random(4)]) {
        const seen = new Map<string, number[]>();
        for await (const { x, at, rows: places } of vectors.blocks(chosen, shuffle, 4)) {
          for (const [i, row] of places.entries()) {
            const from = (at[i] as number) * vectors.d;
            seen.set(content(row), Array.from(x.subarray(from, from + vectors.d)));
          }
        }
        assert.deepEqual([...seen.keys()].sort(), Array.from(chosen, content).sort());
        for (const [name, x] of seen) assert.deepEqual(x, expected.get(name));
      }
    }
  }
  assert.deepEqual(
    (await readdir(cache)).filter((name) => name.startsWith('_tmp')),
    [],
    'what lies on disk has no name',
  );
});

test('joined vectors for which there is no place on any disk end with one sentence', async (t) => {
  const cache = await folder(t);
  const { dir } = await setOf(cache, 9);
  const other = await FeatureSet.create(cache, 'narrow', spec(2));
  const writer = other.writer(MAKER);
  for (let i = 0; i < 9; i++) await writer.add(key(i), vector(i, 2));
  await writer.close();
  const system = { ...realSystem, host: 'no/such/folder' };
  const sets = JoinedSets.of([await FeatureSet.open(dir, { system }), other]);
  await assert.rejects(
    sets.read(
      Array.from({ length: 9 }, (_, i) => hex(i)),
      { memory: 100 },
    ),
    {
      name: 'CacheError',
      message:
        /^the joined vectors of 9 images take 0\.0 GB, more than --memory, and cannot be laid down in .*: .*\(ENOENT\)/,
    },
  );
});
