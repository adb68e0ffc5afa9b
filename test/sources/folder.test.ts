import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { DataError } from '../../src/errors.js';
import { classFolders, countFiles, walk } from '../../src/sources/index.js';

const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
after(() => rmSync(folder, { recursive: true }));

test('a walk is sorted, leaves hidden files out, follows links but not in circles', async () => {
  const root = path.join(folder, 'walk');
  for (const dir of ['b', 'a/inner', '.hidden', 'B', '__MACOSX', 'empty'])
    mkdirSync(path.join(root, dir), { recursive: true });
  for (const name of [
    'b/2.jpg',
    'b/10.jpg',
    'a/inner/x',
    'B/y',
    '.DS_Store',
    '.hidden/z',
    '__MACOSX/w',
    'a.txt',
    'é',
    '\u{1F600}',
    'Ａ',
  ]) {
    writeFileSync(path.join(root, name), name);
  }
  symlinkSync('..', path.join(root, 'a/circle'));
  symlinkSync(path.join(folder, 'nowhere'), path.join(root, 'gone.png'));
  symlinkSync(path.join(folder, 'nowhere'), path.join(root, 'gone.txt'));
  symlinkSync('../b/2.jpg', path.join(root, 'a/linked.jpg'));
  const found: string[] = [];
  for await (const file of walk(root)) found.push(file.path);
  assert.deepEqual(found, [
    'B/y',
    'a/inner/x',
    'a/linked.jpg',
    'a.txt',
    'b/10.jpg',
    'b/2.jpg',
    'gone.png',
    'é',
    'Ａ',
    '\u{1F600}',
  ]);
  assert.ok((await countFiles(root)) >= found.length);
  assert.deepEqual(await classFolders(root), ['B', 'a', 'a/inner', 'a/circle', 'b', 'empty'].sort());
  await assert.rejects(walk(path.join(folder, 'none')).next(), (error: Error) => {
    return error instanceof DataError && /there is no such folder/.test(error.message);
  });
});

test('very many files are looked at by a second thread: the same ones, in order, with the same facts', async () => {
  const root = path.join(folder, 'many');
  const names: string[] = [];
  for (let i = 0; i < 22_000; i++) {
    if (i % 1000 === 0) mkdirSync(path.join(root, String(i / 1000).padStart(2, '0')), { recursive: true });
    const name = `${String(Math.floor(i / 1000)).padStart(2, '0')}/${String(i).padStart(5, '0')}.jpg`;
    writeFileSync(path.join(root, name), i % 500 === 0 ? name : '');
    names.push(name);
  }
  symlinkSync(path.join(folder, 'nowhere'), path.join(root, '19/gone.png'));
  symlinkSync(path.join(folder, 'nowhere'), path.join(root, '19/gone.txt'));
  const odd = process.platform === 'linux' ? ['20/\\xff.jpg'] : [];
  if (odd.length > 0)
    writeFileSync(Buffer.concat([Buffer.from(`${root}/20/`), Buffer.of(0xff), Buffer.from('.jpg')]), '');
  let byThread = 0;
  const found: string[] = [];
  for await (const { path: name, absolute, size, mtimeNs, ino, pathKey } of walk(root)) {
    found.push(name);
    if (pathKey === undefined) continue;
    byThread++;
    assert.equal(Buffer.from(pathKey).toString('hex'), createHash('sha256').update(absolute).digest('hex'));
    if (byThread % 100 > 0) continue;
    const stats = statSync(absolute, { bigint: true });
    assert.deepEqual([BigInt(size), mtimeNs, ino], [stats.size, stats.mtimeNs, stats.ino]);
  }
  assert.deepEqual(found, [...names, '19/gone.png', ...odd].sort());
  assert.ok(byThread > 1000, `${byThread} by the thread`);
  const controller = new AbortController();
  let seen = 0;
  await assert.rejects(async () => {
    for await (const _ of walk(root, { signal: controller.signal })) if (++seen === 12_000) controller.abort();
  }, /abort/i);
  assert.ok(seen < 22_000, `${seen} seen`);
  for await (const file of walk(root)) if (file.path === '18/18500.jpg') break;
});
