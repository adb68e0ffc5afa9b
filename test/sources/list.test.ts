import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { readLabels } from '../../src/commands/read-labels.js';
import { countFiles, type FoundFile, holdsFiles, imageAddress, readImage, walk } from '../../src/sources/index.js';
import { fixture } from '../helpers/fixtures.js';
import { folder } from '../helpers/store.js';

const listed = async (list: string): Promise<FoundFile[]> => {
  const found: FoundFile[] = [];
  for await (const file of walk(list)) found.push(file);
  return found;
};

async function written(t: TestContext, text: string | Buffer): Promise<string> {
  const list = path.join(await folder(t), 'images.txt');
  writeFileSync(list, text);
  return list;
}

test('a list gives its files in its order, as they are written, from its own folder', async (t) => {
  const list = await written(
    t,
    `\ufeffb.png\r\n# c.png\n\n  \nfolder/a b.png\n./b.png\n${fixture('images/rgb.png')}\nb.png`,
  );
  const dir = path.dirname(list);
  mkdirSync(path.join(dir, 'folder'));
  writeFileSync(path.join(dir, 'b.png'), 'b');
  writeFileSync(path.join(dir, 'folder/a b.png'), 'ab');
  const found = await listed(list);
  assert.deepEqual(
    found.map((file) => [file.path, file.absolute, file.size > 0]),
    [
      ['b.png', path.join(dir, 'b.png'), true],
      ['folder/a b.png', path.join(dir, 'folder/a b.png'), true],
      ['./b.png', path.join(dir, 'b.png'), true],
      [fixture('images/rgb.png'), fixture('images/rgb.png'), true],
      ['b.png', path.join(dir, 'b.png'), true],
    ],
  );
  for (const file of found) assert.equal(imageAddress(list, file.path), file.absolute);
  assert.equal(await countFiles(list), 5);
  assert.equal(await holdsFiles(list), true);
  assert.equal(await holdsFiles(await written(t, '# nothing\n\n')), false);
});

test('more lines than are looked at at once, and lines across the chunks of a file, each once and in order', async (t) => {
  const names = Array.from({ length: 9000 }, (_, i) => `${'long folder name/'.repeat(3)}ü${i}.png`);
  const list = await written(t, names.join('\n'));
  assert.deepEqual(
    (await listed(list)).map((file) => file.path),
    names,
  );
});

test('what a list cannot name is told with its line, and what is not there is told of, whatever its ending', async (t) => {
  const list = await written(t, 'a.png\n.');
  await assert.rejects(listed(list), /images\.txt: line 2, \., is a folder: name the files in it$/);
  await assert.rejects(listed(await written(t, Buffer.from('a.png\nb\xff.png', 'latin1'))), /line 2 is no UTF-8 text/);
  await assert.rejects(listed(await written(t, Buffer.from([0x89, 0x50, 0, 1]))), /line 1 is no UTF-8 text/);
  await assert.rejects(listed(await written(t, 'x'.repeat(400_000))), /line 1 is longer than 65536 bytes/);
  const [gone, text] = await listed(await written(t, 'gone\nimages.txt'));
  await assert.rejects(readImage(gone as FoundFile), /^ImageError: is not there$/);
  await assert.rejects(readImage(text as FoundFile), /^ImageError: is in the list but is no image$/);
});

test('folders name classes, without those that all lines share', async (t) => {
  const list = await written(t, '');
  const files = ['s3://b/x/cat/1.png', 's3://b/x/dog/1.png', 's3://b/x/cat/2.png'].map((name, i) => ({
    path: name,
    sha256: String(i).repeat(64),
  }));
  const { examples } = await readLabels({ data: list, files, labels: undefined }, {}, undefined);
  assert.deepEqual(
    examples.map(({ path: name, label }) => [name, label]),
    [
      ['s3://b/x/cat/1.png', 'cat'],
      ['s3://b/x/dog/1.png', 'dog'],
      ['s3://b/x/cat/2.png', 'cat'],
    ],
  );
});
