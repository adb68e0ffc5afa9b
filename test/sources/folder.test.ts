import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
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
