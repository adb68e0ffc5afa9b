import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { labelsFromFolders } from '../../src/labels/folders.js';
import { metadataFiles } from '../../src/labels/metadata.js';
import { files, refused } from '../helpers/label-files.js';
import { folder } from '../helpers/store.js';

const four = (a: string, b: string, ...classes: string[]) =>
  files(...[a, b].flatMap((side) => classes.map((name) => `${side}/${name}/1.jpg`)));

test('a folder called like a split, in any case, is one', () => {
  for (const [train, other, side] of [
    ['Train', 'Test', 'test'],
    ['training', 'validation', 'val'],
    ['TRAIN', 'dev', 'val'],
    ['train', 'eval', 'val'],
    ['train', 'testing', 'test'],
  ] as const) {
    const data = labelsFromFolders(four(train, other, 'ants', 'bees'));
    assert.deepEqual(data.classes, ['ants', 'bees']);
    assert.deepEqual(
      data.examples.map(({ split }) => split),
      ['train', 'train', side, side],
    );
    assert.equal(data.understood, `splits train 2, ${side} 2 from folders; classes ants, bees`);
  }
});

test('folders beside splits are named, not taken for classes', async () => {
  const stray = [...four('train', 'val', 'ants', 'bees'), ...files('extra/1.jpg', 'more/x/2.jpg')];
  await refused(
    () => labelsFromFolders(stray),
    /^train, val are splits by name, beside them extra, more are none: rename or move folders, or use --splits none/,
  );
  await refused(
    () => labelsFromFolders([...four('train', 'val', 'ants', 'bees'), ...files('test/1.jpg')]),
    /beside them test is none \(test holds images of its own\)/,
  );
  assert.deepEqual(labelsFromFolders(stray, [], { splits: 'none' }).classes, ['extra', 'more', 'train', 'val']);
  const empty = labelsFromFolders(four('train', 'val', 'ants', 'bees'), ['notes', 'notes/old', 'val']);
  assert.deepEqual(empty.classes, ['ants', 'bees']);
});

test('a class that is called train stays a class', () => {
  const data = labelsFromFolders(files('train/1.jpg', 'bus/2.jpg', 'car/3.jpg'));
  assert.deepEqual(data.classes, ['bus', 'car', 'train']);
  assert.equal(data.understood, 'labels from folders; classes bus, car, train');
  assert.deepEqual(labelsFromFolders(files('train/1.jpg', 'test/2.jpg')).classes, ['test', 'train']);
  assert.deepEqual(labelsFromFolders(files('train/1.jpg', 'train/red/3.jpg', 'bus/2.jpg')).classes, ['bus', 'train']);
});

test('a class that train lacks is an error, one in another case says so', async () => {
  const data = [...four('train', 'val', 'ants', 'bees'), ...files('val/Wasps/1.jpg')];
  await refused(
    () => labelsFromFolders(data),
    /^val has the class Wasps, which train lacks: add images of it to train/,
  );
  await refused(
    () => labelsFromFolders(files('train/ants/1.jpg', 'train/bees/2.jpg', 'val/Ants/3.jpg', 'val/bees/4.jpg')),
    /val has the class Ants, which train lacks, as it is called ants there/,
  );
});

test('a folder around the data says which folder to give', async () => {
  await refused(
    () => labelsFromFolders(files('set/train/a/1.jpg', 'set/train/b/1.jpg', 'set/val/a/2.jpg')),
    /one class only, set: .* it holds folders \(train, val\), so give that folder with --data/,
  );
});

test('names that look alike: composed characters are one class, another case is told', () => {
  const data = labelsFromFolders(files('caf\u00E9/1.jpg', 'cafe\u0301/2.jpg', 'Tea/3.jpg', 'tea/4.jpg'));
  assert.deepEqual(data.classes, ['Tea', 'caf\u00E9', 'tea']);
  assert.match(data.warnings.join(), /classes that differ by case only \(Tea and tea\): write them alike/);
});

test('metadata beside the images is found in the folder, or in its splits; captions are no labels', async (t) => {
  const dir = await folder(t);
  const put = (name: string, text: string): void => {
    mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
    writeFileSync(path.join(dir, name), text);
  };
  assert.deepEqual(await metadataFiles(dir), []);
  put('train/metadata.jsonl', '{"file_name":"a.jpg","label":0}');
  put('Test/metadata.csv', 'file_name,label\nb.jpg,1\n');
  put('notes/metadata.csv', 'file_name,label\nb.jpg,1\n');
  assert.deepEqual(await metadataFiles(dir), [
    path.join(dir, 'Test/metadata.csv'),
    path.join(dir, 'train/metadata.jsonl'),
  ]);
  put('metadata.csv', 'file_name,text\na.jpg,an ant\n');
  const told: string[] = [];
  assert.deepEqual(await metadataFiles(dir, {}, (line) => told.push(line)), []);
  assert.deepEqual(told, ['metadata.csv names no label of the images: not used']);
  assert.equal((await metadataFiles(dir, { labelColumn: 'text' })).length, 1);
});
