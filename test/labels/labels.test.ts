import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DataError, LabelError, UsageError } from '../../src/errors.js';
import { labelsFromFolders } from '../../src/labels/folders.js';
import { labelsFromFile } from '../../src/labels/label-file.js';
import type { Task } from '../../src/labels/targets.js';
import { targetsOf } from '../../src/labels/task.js';

const sha = (name: string) => createHash('sha256').update(name).digest('hex');
const files = (...paths: string[]) => paths.map((path) => ({ path, sha256: sha(path) }));
const dir = mkdtempSync(join(tmpdir(), 'permafrost-labels-'));
after(() => rmSync(dir, { recursive: true }));

/** Writes a label file and reads it as labels of images `a.jpg` to `d.jpg`. */
const read = (text: string | Uint8Array, name = 'labels.csv', options = {}) => {
  writeFileSync(join(dir, name), text);
  return labelsFromFile(join(dir, name), '/data', files('a.jpg', 'b.jpg', 'sub/c.jpg', 'd.jpg'), options);
};
const failsWith = (run: () => unknown, pattern: RegExp) =>
  assert.throws(run, (error: Error) => {
    assert.ok(error instanceof LabelError, `${error}`);
    assert.match(error.message, pattern);
    return true;
  });
const rejectsWith = (run: Promise<unknown>, pattern: RegExp, kind = LabelError) =>
  assert.rejects(run, (error: Error) => {
    assert.ok(error instanceof kind, `${error}`);
    assert.match(error.message, pattern);
    return true;
  });

test('the first folder is the class, sorted by code point; files beside the folders are counted', () => {
  const data = labelsFromFolders(
    files('b/1.jpg', 'B/2.jpg', 'ä/3.jpg', '\u{1F41D}/4.jpg', '\uFF5E/5.jpg', 'b/x/6.jpg', '7.jpg'),
  );
  assert.deepEqual(data.classes, ['B', 'b', 'ä', '\uFF5E', '\u{1F41D}']);
  assert.equal(data.examples.length, 6);
  assert.equal(data.examples.find((one) => one.path === 'b/x/6.jpg')?.label, 'b');
  assert.equal(data.unlabelled, 1);
  assert.match(data.warnings.join(), /1 image outside of any class folder/);
});

test('first folders are splits only if all are named so and hold folders', () => {
  const split = labelsFromFolders(files('train/a/1.jpg', 'train/b/2.jpg', 'valid/a/3.jpg', 'test/b/4.jpg', '5.jpg'));
  assert.deepEqual(split.classes, ['a', 'b']);
  assert.deepEqual(
    split.examples.map(({ label, split: side }) => [label, side]),
    [
      ['a', 'train'],
      ['b', 'train'],
      ['a', 'val'],
      ['b', 'test'],
    ],
  );
  assert.equal(split.unlabelled, 1);
  assert.equal(split.understood, 'splits train 2, val 1, test 1 from folders; classes a, b');
  const classes = labelsFromFolders(files('train/1.jpg', 'test/2.jpg'));
  assert.deepEqual(classes.classes, ['test', 'train']);
  assert.equal(classes.examples[0]?.split, undefined);
});

test('folders that cannot be trained on are one sentence each', () => {
  failsWith(() => labelsFromFolders(files('ants/1.jpg', 'ants/2.jpg')), /one class only, ants/);
  failsWith(() => labelsFromFolders(files('ants/1.jpg', 'bees/2.jpg'), ['wasps']), /class wasps/);
  failsWith(() => labelsFromFolders(files('train/a/1.jpg', 'train/b/2.jpg'), ['val/c']), /class c/);
  assert.equal(labelsFromFolders(files('train/a/1.jpg', 'train/b/2.jpg'), ['val/b', 'val']).classes.length, 2);
  failsWith(() => labelsFromFolders(files('1.jpg')), /no labels/);
  failsWith(() => labelsFromFolders([]), /no images/);
});

test('contradictory contents are dropped, contents on both sides are told', () => {
  const [a1, a2, b1, b2] = files('train/a/1', 'train/a/2', 'train/b/1', 'train/b/2');
  assert.ok(a1 && a2 && b1 && b2);
  const copies = [
    { path: 'val/b/9', sha256: a1.sha256 },
    { path: 'val/b/8', sha256: b1.sha256 },
  ];
  const data = labelsFromFolders([a1, a2, b1, b2, ...copies]);
  assert.deepEqual(
    data.examples.map((one) => one.path),
    ['train/a/2', 'train/b/1', 'train/b/2', 'val/b/8'],
  );
  assert.match(
    data.warnings[0] ?? '',
    /1 content with contradictory labels dropped \(2 images, the first train\/a\/1: a, b\)/,
  );
  assert.match(data.warnings[1] ?? '', /1 content on more than one side/);
  failsWith(() => labelsFromFolders([a1, b1, { path: 'train/b/7', sha256: a1.sha256 }]), /class a:/);
});

test('a CSV file as spreadsheets write it', async () => {
  const data = await read(
    '\uFEFFpath,comment,label,split,group\r\n"a.jpg","says ""hi"",\r\nand more",yes,train,g1\r\nb.jpg,,no,validation,\r\n\r\n' +
      'sub/c.jpg,,yes,,"g,2"\r\nd.jpg,,no,,\r\n',
  );
  assert.deepEqual(data.classes, ['no', 'yes']);
  assert.deepEqual(data.examples, [
    { path: 'a.jpg', sha256: sha('a.jpg'), label: 'yes', split: 'train', group: 'g1' },
    { path: 'b.jpg', sha256: sha('b.jpg'), label: 'no', split: 'val' },
    { path: 'sub/c.jpg', sha256: sha('sub/c.jpg'), label: 'yes', group: 'g,2' },
    { path: 'd.jpg', sha256: sha('d.jpg'), label: 'no' },
  ]);
  assert.equal(data.unlabelled, 0);
});

test('a JSONL file, contents by hash, and whole numbers as names', async () => {
  const lines = [
    { sha256: sha('a.jpg').toUpperCase(), label: 0 },
    { path: 'b.jpg', label: 1, group: 4 },
    { sha256: sha('elsewhere'), label: '1', split: 'test' },
  ];
  const data = await read(lines.map((line) => JSON.stringify(line)).join('\n'), 'labels.jsonl');
  assert.deepEqual(data.classes, ['0', '1']);
  assert.deepEqual(data.examples, [
    { path: 'a.jpg', sha256: sha('a.jpg'), label: '0' },
    { path: 'b.jpg', sha256: sha('b.jpg'), label: '1', group: '4' },
    { path: '', sha256: sha('elsewhere'), label: '1', split: 'test' },
  ]);
});

test('paths are relative to the label file first', async () => {
  writeFileSync(join(dir, 'near.csv'), 'path,label\nimages/a.jpg,x\nb.jpg,y\n');
  const data = await labelsFromFile(join(dir, 'near.csv'), join(dir, 'images'), files('a.jpg', 'b.jpg'));
  assert.deepEqual(
    data.examples.map((one) => one.path),
    ['a.jpg', 'b.jpg'],
  );
});

test('images of trainval are there to be divided, beside a test split that is given', async () => {
  for (const open of [
    'trainval',
    'TrainVal',
    'train_val',
    'train-valid',
    'train+validation',
    'train and val',
    'UNASSIGNED',
  ]) {
    for (const title of ['split', 'subset']) {
      const data = await read(`path,label,${title}\na.jpg,x,${open}\nb.jpg,y,${open}\nc.jpg,y,test\n`);
      assert.deepEqual(
        data.examples.map(({ label, split }) => [label, split]),
        [
          ['x', undefined],
          ['y', undefined],
          ['y', 'test'],
        ],
        `${title} ${open}`,
      );
    }
  }
  for (const other of ['train-test', 'trainvaltest', 'holdout', '0']) {
    await rejectsWith(read(`path,label,split\na.jpg,x,${other}\n`), /line 2: split .* is none of train, training/);
  }
});

test('every fault of a label file names its line', async () => {
  await rejectsWith(read('path,label\na.jpg,x\nb.jpg\n'), /labels.csv line 3: 1 fields where the header has 2/);
  await rejectsWith(read('path,label\n"a\n.jpg,x\n'), /line 2: a quote/);
  await rejectsWith(read('path,label\n"x\ny",k\na"b,x\n'), /line 4: a quote/);
  await rejectsWith(read(`path,label\na.jpg,x\n"${'b'.repeat(2e7)}`), /line 3: a quote that is not closed/);
  await rejectsWith(read('path,label\na.jpg,"x"y\n'), /line 2: a quote that does not enclose/);
  await rejectsWith(read('who,label\nKim,x\n'), /line 1: expected a header with path or sha256.*found who, label/);
  await rejectsWith(read('path,label,label\na.jpg,x,y\n'), /two columns are called label/);
  await rejectsWith(read(''), /is empty/);
  await rejectsWith(read('path,label\na.jpg,\n'), /line 2: no label/);
  await rejectsWith(read('path,label\n,x\n'), /line 2: no path/);
  await rejectsWith(read('sha256,label\nabc,x\n'), /line 2: sha256 must be 64 hex digits/);
  await rejectsWith(read('path,label,split\na.jpg,x,later\n'), /line 2: split later is none of/);
  const as = (task: Task, text: string) => read(text, 'labels.csv', { task });
  await rejectsWith(as('multiclass', 'path,label\na.jpg,x|y\n'), /line 2: x\|y holds several labels: use --task/);
  await rejectsWith(as('regression', 'path,label\na.jpg,1\nb.jpg,1.5m\n'), /line 3: a regression needs numbers/);
  await rejectsWith(as('regression', 'path,label\na.jpg,1\nb.jpg,1e99\n'), /line 3: a regression needs numbers/);
  await rejectsWith(read('path,label\na.jpg,x|\n'), /line 2: "x\|" holds an empty label/);
  await rejectsWith(read('{"path":"a.jpg","label":["x|y"]}', 'l.jsonl'), /line 1: a label must be text without \|/);
  await rejectsWith(read('{"path":"a.jpg","label":"x"}\n{"path":', 'l.jsonl'), /l.jsonl line 2 is not JSON/);
  await rejectsWith(read('["a"]', 'l.jsonl'), /item 1 is not an object/);
  await rejectsWith(read('{"path":"a.jpg","label":{"x":1}}', 'l.jsonl'), /line 1: label must be text, not {"x":1}/);
  await rejectsWith(read('path,label\na.jpg,x\nb.jpg,x\n'), /one class only, x/);
  await rejectsWith(read('path,label\n'), /holds no labels/);
  await rejectsWith(read(Uint8Array.of(0xff, 0xfe, 0x41)), /is not UTF-8/, DataError);
  await rejectsWith(labelsFromFile(join(dir, 'none.csv'), dir, []), /does not exist/, DataError);
  await rejectsWith(labelsFromFile(dir, dir, []), /is a folder/, DataError);
});

test('labels that are several, or numbers, ask for their task', async () => {
  const several = await read('path,label\na.jpg,wet|dark|wet\nb.jpg,\nsub/c.jpg,dark\nd.jpg,wet\n');
  assert.equal(several.task, 'multilabel');
  assert.deepEqual(several.classes, ['dark', 'wet']);
  assert.deepEqual(
    several.examples.map(({ label }) => label),
    ['dark|wet', '', 'dark', 'wet'],
  );
  assert.deepEqual([...targetsOf('multilabel', ['dark|wet', '', 'wet'], several.classes)], [1, 1, 0, 0, 0, 1]);
  const lines = ['["wet"]', '[]', '["dark","wet"]'].map((label, i) => `{"path":"${'abd'[i]}.jpg","label":${label}}`);
  const json = await read(lines.join('\n'), 'labels.jsonl');
  assert.deepEqual([json.task, json.examples.map(({ label }) => label)], ['multilabel', ['wet', '', 'dark|wet']]);

  const numbers = await read('path,label\na.jpg,1\nb.jpg,2.50\nsub/c.jpg,-3e-1\n');
  assert.deepEqual([numbers.task, numbers.classes], ['regression', []]);
  assert.deepEqual(
    numbers.examples.map(({ label }) => label),
    ['1', '2.5', '-0.3'],
  );
  assert.equal((await read('path,label\na.jpg,1\nb.jpg,2\n', 'labels.csv', { task: 'regression' })).task, 'regression');
  assert.equal((await read('path,label\na.jpg,1\nb.jpg,2\n')).task, 'binary');
  await rejectsWith(read('path,label\na.jpg,1.5\nb.jpg,1.50\n'), /all labels are 1.5: a regression needs/);
  await rejectsWith(read('path,label\na.jpg,1.5\na.jpg,2.5\nb.jpg,1\n'), /all labels are 1/);
});

test('a task that the labels do not fit is wrong use', async () => {
  const three = 'path,label\na.jpg,x\nb.jpg,y\nd.jpg,z\n';
  await rejectsWith(read(three, 'labels.csv', { task: 'binary' }), /needs two classes, the labels have 3/, UsageError);
  assert.equal((await read('path,label\na.jpg,x\nb.jpg,y\n', 'labels.csv', { task: 'multiclass' })).task, 'multiclass');
  assert.throws(() => labelsFromFolders(files('x/1', 'y/2'), [], { task: 'regression' }), UsageError);
});

test('a class of one image, and numbers that look like names, are told', async () => {
  const data = labelsFromFolders(files('x/1', 'x/2', 'y/3'));
  assert.match(data.warnings.join(), /1 class has one image \(y\): it cannot both train and validate/);
  const many = Array.from({ length: 30 }, (_, i) => ({ path: `${i}.jpg`, sha256: sha(`${i}`) }));
  writeFileSync(join(dir, 'many.csv'), `path,label\n${many.map(({ path }, i) => `${path},${i}`).join('\n')}`);
  const read = await labelsFromFile(join(dir, 'many.csv'), dir, many);
  assert.match(read.warnings.join(), /30 whole numbers are taken for names of classes: use --task regression/);
});

test('rows of unknown images are an error with their count, or skipped with a warning', async () => {
  const text = 'path,label\na.jpg,x\nb.jpg,y\nz.jpg,x\nq.jpg,x\n';
  await rejectsWith(read(text), /2 of its 4 images not found, the first z.jpg on line 4/);
  const data = await read(text, 'labels.csv', { missing: 'skip' });
  assert.equal(data.examples.length, 2);
  assert.match(data.warnings.join(), /2 of its 4 images not found.*skipped/);
});
