import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { compactSet } from '../../src/store/compact.js';
import { readKeys } from '../../src/store/held-keys.js';
import { FeatureSet, realSystem } from '../../src/store/index.js';
import { isKeyFileName, KeyFile } from '../../src/store/key-file.js';
import { KeySorter } from '../../src/store/key-sorter.js';
import { folder, MAKER, spec, systemError, vector } from '../helpers/store.js';

const key = (i: number): Buffer => createHash('sha256').update(`key ${i}`).digest();
const keys = (from: number, to: number): Buffer[] => Array.from({ length: to - from }, (_, i) => key(from + i));

async function fill(set: FeatureSet, from: number, to: number, part = 100): Promise<void> {
  const writer = set.writer(MAKER);
  for (let i = from; i < to; i++) {
    await writer.add(key(i), vector(i, set.spec.features));
    if ((i + 1) % part === 0) await writer.flush();
  }
  await writer.close();
}

const keyFiles = async (set: FeatureSet): Promise<string[]> => (await readdir(set.dir)).filter(isKeyFileName);

test('keys are sorted, each once, whether memory takes them or not, and repeats are told by their rows', async (t) => {
  const dir = await folder(t);
  const all = [...keys(0, 3000), ...keys(500, 700), ...keys(0, 1)];
  const sorted = keys(0, 3000).sort(Buffer.compare);
  for (const most of [4096, 0]) {
    const sorter = new KeySorter(realSystem, dir, most);
    for (let from = 0; from < all.length; from += 77) sorter.add(Buffer.concat(all.slice(from, from + 77)));
    const found: Uint8Array[] = [];
    for await (const flat of sorter.sorted()) found.push(Uint8Array.from(flat));
    assert.ok(Buffer.concat(found).equals(Buffer.concat(sorted)));
    assert.deepEqual(
      [...(await sorter.repeats())],
      Array.from({ length: 201 }, (_, i) => 3000 + i),
    );
    sorter.close();
    assert.deepEqual(await readdir(dir), [], 'nothing is left on disk');
  }
});

test('many keys of one beginning are sorted and found, on disk and where the disk takes nothing', async (t) => {
  const dir = await folder(t);
  const alike = keys(0, 5000).map((one) => Buffer.concat([Buffer.from('00000000', 'hex'), one.subarray(4)]));
  const others = keys(5000, 5100);
  for (const folderOf of [dir, join(dir, 'absent')]) {
    const sorter = new KeySorter(realSystem, folderOf, 0);
    sorter.add(Buffer.concat([...alike, ...others]));
    const name = await KeyFile.write(realSystem, dir, [`part-${'a'.repeat(32)}.arrow`], sorter.sorted());
    sorter.close();
    const file = await KeyFile.open(realSystem, dir, name);
    assert.equal(file?.size, 5100);
    const sorted = [...alike, ...others].sort(Buffer.compare);
    for (const [i, one] of sorted.entries()) assert.equal(file.indexOf(one), i);
    for (const [i, one] of sorted.entries()) assert.ok(one.equals(file.at(i)));
    for (const one of keys(6000, 6100)) assert.equal(file.indexOf(one), -1);
    assert.equal(file.indexOf(Buffer.alloc(32, 0xff)), -1);
    assert.equal(file.indexOf(Buffer.alloc(32)), -1);
  }
});

test('a set of more keys than memory takes keeps a key file, and adds what came later', async (t) => {
  const set = await FeatureSet.create(await folder(t), 'test', spec(2));
  await fill(set, 0, 1000);
  await fill(set, 950, 1010);
  const held = await readKeys(set, { most: 200 });
  const [name = ''] = await keyFiles(set);
  assert.equal(held.size, 1010);
  await fill(set, 1000, 1050);
  for (const one of [
    await set.keys(),
    await readKeys(set, { most: 200 }),
    await readKeys(set, { isWanted: () => false }),
  ]) {
    for (let i = 0; i < 1010; i++) assert.ok(one.find(key(i)) >= 0 && one.find(key(i).toString('hex')) >= 0);
    for (let i = 2000; i < 2100; i++) assert.equal(one.find(key(i)), -1);
  }
  const later = await set.keys();
  assert.equal(later.size, 1050);
  assert.deepEqual(await keyFiles(set), [name], 'few keys beside those of the file stay in memory');
  const places = new Set(keys(0, 1050).map((one) => later.find(one)));
  assert.equal(places.size, 1050);
  for (const one of keys(0, 1050)) assert.ok(one.equals(later.at(later.find(one))));
  assert.throws(() => later.find('abc'), TypeError);
  await fill(set, 1050, 1400);
  assert.equal((await readKeys(set, { most: 200 })).size, 1400);
  assert.equal((await keyFiles(set)).length, 1, 'a longer key file takes the place of the old one');
  assert.notDeepEqual(await keyFiles(set), [name]);
  await rm(join(set.dir, (await keyFiles(set))[0] ?? ''));
  assert.equal((await set.keys()).size, 1400, 'it may be deleted at any time');
});

test('a key file of parts that are gone counts for nothing, and goes when parts are merged', async (t) => {
  const set = await FeatureSet.create(await folder(t), 'test', spec(2));
  await fill(set, 0, 1000);
  await readKeys(set, { most: 200 });
  const [part = ''] = await set.partNames();
  await rm(join(set.dir, part));
  assert.equal((await set.keys()).size, 900);
  await readKeys(set, { most: 200 });
  assert.equal((await keyFiles(set)).length, 1);
  const { parts } = await compactSet(set);
  assert.deepEqual(parts, { before: 9, after: 1 });
  assert.deepEqual(await keyFiles(set), []);
  assert.equal((await set.keys()).size, 900);
});

test('whatever byte of a key file is damaged, no answer is wrong; cut, it counts for nothing', async (t) => {
  const set = await FeatureSet.create(await folder(t), 'test', spec(2));
  await fill(set, 0, 400, 50);
  await readKeys(set, { most: 100 });
  const [name = ''] = await keyFiles(set);
  const path = join(set.dir, name);
  const bytes = await readFile(path);
  const blocks = Math.ceil(400 / 127) * 4096;
  let refused = 0;
  let unused = 0;
  for (let at = 0; at < bytes.length; at += at < blocks ? 97 : 1) {
    const damaged = Buffer.from(bytes);
    damaged[at] = (damaged[at] as number) ^ 0x10;
    await writeFile(path, damaged);
    try {
      const held = await set.keys();
      unused += at >= blocks ? 1 : 0;
      for (let i = 0; i < 450; i++) assert.equal(held.has(key(i)), i < 400, `byte ${at}, key ${i}`);
    } catch (error) {
      refused++;
      assert.match((error as Error).message, /is damaged: delete it, and it is made anew/);
    }
  }
  assert.ok(refused > 100 && unused > 140, `${refused} refused, ${unused} passed over`);
  for (const end of [0, 10, 4096, bytes.length - 1]) {
    await writeFile(path, bytes.subarray(0, end));
    assert.equal((await set.keys()).size, 400);
  }
});

test('where the disk takes no key file the keys are held in memory; a damaged part is told of as before', async (t) => {
  const cache = await folder(t);
  const made = await FeatureSet.create(cache, 'test', spec(2));
  await fill(made, 0, 1000);
  const system = {
    ...realSystem,
    open: async (path: string, mode: 'read' | 'create') => {
      if (mode === 'create') throw systemError('ENOSPC');
      return realSystem.open(path, mode);
    },
  };
  const set = await FeatureSet.open(made.dir, { system });
  assert.equal((await readKeys(set, { most: 200 })).size, 1000);
  assert.deepEqual(await keyFiles(set), []);
  const [part = ''] = await made.partNames();
  await writeFile(join(made.dir, part), 'no part');
  const told: string[] = [];
  const held = await readKeys(made, { most: 200, onDamaged: ({ message }) => told.push(message) });
  assert.equal(held.size, 900);
  assert.ok(told.length > 0 && told.every((message) => message.includes(part)));
  const again: string[] = [];
  await made.keys(({ message }) => again.push(message));
  assert.equal(again.length, 1, 'beside a key file too');
  await assert.rejects(made.keys(), /is damaged/);
});

test('keys of one bucket take no longer for beginning alike', { timeout: 60_000 }, async (t) => {
  const sorter = new KeySorter(realSystem, await folder(t));
  const alike = keys(0, 150_000).map((one) => one.fill(0, 0, 4));
  sorter.add(Buffer.concat(alike));
  let count = 0;
  for await (const flat of sorter.sorted()) count += flat.length / 32;
  assert.equal(count, 150_000);
});
