import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Quarantine, type QuarantineEntry, realSystem } from '../../src/store/index.js';
import { Crash, faulty, folder, hex } from '../helpers/store.js';

const entry = (i: number, path = `${i}.jpg`) => ({
  sha256: hex(i),
  path,
  stage: 'decode',
  message: `cut after ${i} bytes`,
});

const OLD = '_quarantine.jsonl';

const inOrder = (entries: readonly QuarantineEntry[]): QuarantineEntry[] =>
  [...entries].sort((a, b) => (a.path < b.path ? -1 : 1));

/** @returns what a folder's quarantine says, by path */
const said = async (dir: string): Promise<QuarantineEntry[]> => inOrder((await Quarantine.open(dir)).entries());

async function put(dir: string, ...entries: readonly QuarantineEntry[]): Promise<void> {
  const quarantine = await Quarantine.open(dir);
  for (const one of entries) quarantine.add(one);
  await quarantine.flush();
}

test('what is added is on disk after a flush, in a file named by its content, a line each', async (t) => {
  const dir = await folder(t);
  const quarantine = await Quarantine.open(dir);
  quarantine.add({ sha256: null, path: 'locked.png', stage: 'read', message: 'EACCES' });
  quarantine.add(entry(1, 'new\nline "é".jpg'));
  quarantine.add(entry(1, 'new\nline "é".jpg'));
  assert.equal((await Quarantine.open(dir)).size, 0);
  await quarantine.flush();
  const [name = ''] = await readdir(dir);
  const text = await readFile(join(dir, name), 'utf8');
  assert.equal(name, `_quarantine-${createHash('sha256').update(text).digest('hex').slice(0, 32)}.jsonl`);
  assert.deepEqual(text.split('\n'), [
    `{"sha256":"${hex(1)}","path":"new\\nline \\"é\\".jpg","stage":"decode","message":"cut after 1 bytes"}`,
    '{"sha256":null,"path":"locked.png","stage":"read","message":"EACCES"}',
    '',
  ]);
  quarantine.add(entry(2));
  await quarantine.flush();
  await quarantine.flush();
  assert.equal((await readdir(dir)).length, 2);
  assert.equal(await readFile(join(dir, name), 'utf8'), text, 'a file is written once');
  const again = await Quarantine.open(dir);
  assert.deepEqual(await said(dir), inOrder(quarantine.entries()));
  assert.equal(again.size, 3);
  assert.ok(again.has(hex(1)) && again.has(hex(2)) && !again.has(hex(3)));
});

test('the same entries in any order are one file, also of two writers', async (t) => {
  const dir = await folder(t);
  const writers = await Promise.all([1, 2].map(() => Quarantine.open(dir)));
  for (const i of [1, 2, 3]) writers[0]?.add(entry(i));
  for (const i of [3, 1, 2]) writers[1]?.add(entry(i));
  await Promise.all(writers.map((writer) => writer.flush()));
  assert.equal((await readdir(dir)).length, 1);
});

test('an old file is read still, its later lines before its earlier ones and torn ones not at all', async (t) => {
  const dir = await folder(t);
  const line = JSON.stringify(entry(1));
  const later = { ...entry(3), message: 'later' };
  const lines = [line, '{"sha256":"zz","path":"x"}', 'null', '', JSON.stringify(entry(3)), JSON.stringify(later)];
  await writeFile(join(dir, OLD), `${lines.join('\n')}\n${line.slice(0, 50)}`);
  await put(dir, entry(2));
  assert.deepEqual(await said(dir), [entry(1), entry(2), later]);
  await (await Quarantine.open(dir)).merge();
  const [name = '', ...others] = await readdir(dir);
  assert.ok(name !== OLD && others.length === 0, 'merging makes one new file of it');
  assert.deepEqual(await said(dir), [entry(1), entry(2), later]);
});

test('a reason that has changed takes the place of the one before', async (t) => {
  const dir = await folder(t);
  const locked = { sha256: null, path: 'locked.png', stage: 'read', message: 'EACCES' };
  await put(dir, locked, entry(1));
  for (const message of ['EIO', 'ENOENT', 'EACCES']) {
    await put(dir, { ...locked, message });
    assert.deepEqual(await said(dir), [entry(1), { ...locked, message }]);
    assert.equal((await readdir(dir)).length, 1);
  }
});

test('a file that is cut counts for nothing, and is made again by what it said', async (t) => {
  const dir = await folder(t);
  await put(dir, entry(1));
  await put(dir, entry(2));
  const names = await readdir(dir);
  const first = createHash('sha256')
    .update(`${JSON.stringify(entry(1))}\n`)
    .digest('hex')
    .slice(0, 32);
  const cut = `_quarantine-${first}.jsonl`;
  await truncate(join(dir, cut), 40);
  const quarantine = await Quarantine.open(dir);
  assert.deepEqual([quarantine.entries(), quarantine.damaged], [[entry(2)], [cut]]);
  await put(dir, entry(1));
  assert.deepEqual(await readdir(dir), names);
  assert.deepEqual(await said(dir), [entry(1), entry(2)]);
});

test('forgetting takes out some or all, also what another process has added', async (t) => {
  const dir = await folder(t);
  const quarantine = await Quarantine.open(dir);
  for (const i of [1, 2, 3]) quarantine.add(entry(i));
  await quarantine.flush();
  await writeFile(join(dir, OLD), `${JSON.stringify(entry(4))}\n`);
  await quarantine.forget([hex(2), hex(9)]);
  assert.deepEqual(inOrder(quarantine.entries()), [entry(1), entry(3), entry(4)]);
  assert.deepEqual(await said(dir), [entry(1), entry(3), entry(4)]);
  await quarantine.forget();
  assert.equal(quarantine.size, 0);
  assert.deepEqual(await readdir(dir), []);
});

test('a crash at each operation of adding, changing, merging and forgetting loses no entry that stays', async (t) => {
  const work = [
    (quarantine: Quarantine) => {
      quarantine.add(entry(5));
      quarantine.add({ ...entry(1), message: 'other' });
      return quarantine.flush();
    },
    (quarantine: Quarantine) => quarantine.merge(),
    (quarantine: Quarantine) => quarantine.forget([hex(1)]),
  ];
  for (const [kind, run] of work.entries()) {
    for (let at = 0, done = false; !done; at++) {
      const dir = await folder(t);
      await put(dir, entry(1), entry(2));
      await put(dir, entry(3));
      await writeFile(join(dir, OLD), `${JSON.stringify(entry(4))}\n`);
      let left = at;
      const system = faulty(() => (left-- === 0 ? new Crash() : undefined));
      try {
        await run(await Quarantine.open(dir, { system }));
        done = true;
      } catch (error) {
        if (left >= 0) throw error;
      }
      const where = `work ${kind}, crash at ${at}`;
      const found = await said(dir);
      assert.deepEqual(
        found.filter(({ sha256 }) => sha256 !== hex(1) && sha256 !== hex(5)),
        [2, 3, 4].map((i) => entry(i)),
        where,
      );
      assert.deepEqual((await Quarantine.open(dir)).damaged, [], where);
      await run(await Quarantine.open(dir));
      if (kind === 1)
        assert.equal((await readdir(dir)).filter((name) => name.startsWith('_quarantine')).length, 1, where);
      assert.equal((await Quarantine.open(dir)).has(hex(1)), kind !== 2, where);
      assert.ok(at < 100);
    }
  }
});

test('a write that fails leaves nothing half written, and the next one writes all', async (t) => {
  const dir = await folder(t);
  let fail = true;
  const open: typeof realSystem.open = async (path, mode) => {
    const file = await realSystem.open(path, mode);
    if (mode !== 'create') return file;
    return {
      size: () => file.size(),
      read: (target, position) => file.read(target, position),
      sync: () => file.sync(),
      close: () => file.close(),
      write: async (bytes) => {
        if (!fail) return file.write(bytes);
        fail = false;
        await file.write(bytes.subarray(0, 30));
        throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      },
    };
  };
  const quarantine = await Quarantine.open(dir, { system: { ...realSystem, open } });
  quarantine.add(entry(1));
  await assert.rejects(quarantine.flush(), { name: 'CacheError', message: /no space is left/ });
  assert.deepEqual(await readdir(dir), []);
  quarantine.add(entry(2));
  await quarantine.flush();
  assert.deepEqual(await said(dir), [entry(1), entry(2)]);
});

test('writers that add, change, merge and forget at once lose nothing', async (t) => {
  const dir = await folder(t);
  const writers = Array.from({ length: 4 }, async (_, w) => {
    for (let i = 0; i < 20; i++) {
      const quarantine = await Quarantine.open(dir);
      quarantine.add(entry(100 * w + i + 1));
      if (i % 3 === 0) quarantine.add({ ...entry(1000), message: `${w} ${i}` });
      await quarantine.flush();
      if (i % 5 === w) await quarantine.merge();
      if (i % 7 === w) await quarantine.forget([hex(1000)]);
    }
  });
  await Promise.all(writers);
  const quarantine = await Quarantine.open(dir);
  for (let w = 0; w < 4; w++) for (let i = 0; i < 20; i++) assert.ok(quarantine.has(hex(100 * w + i + 1)), `${w} ${i}`);
});
