import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FileNames, matchedHow } from '../../src/labels/names.js';
import { files, labelReader, refused } from '../helpers/label-files.js';

/** @returns the file that each name was matched to, null for none */
const matched = (there: readonly string[], names: readonly string[]) => {
  const matches = new FileNames(files(...there), '/data', '/labels/labels.csv').match(names);
  return names.map((name) => {
    const match = matches.get(name);
    return match !== undefined && 'file' in match ? match.file.path : null;
  });
};

test('a name as it stands, else the one file that answers to it', () => {
  const there = ['ants/0013.jpg', 'ants/a.JPG', 'bees/b.jpeg', 'bees/\u00E9.jpg', 'c.v2.png'];
  const names = {
    'ants/0013.jpg': 'ants/0013.jpg',
    'ants\\0013.jpg': 'ants/0013.jpg',
    'C:\\set\\ants\\0013.jpg': 'ants/0013.jpg',
    '/home/kim/set/ants/0013.jpg': 'ants/0013.jpg',
    './ants//0013.jpg': 'ants/0013.jpg',
    'ants/0013': 'ants/0013.jpg',
    '0013': 'ants/0013.jpg',
    'a.jpg': 'ants/a.JPG',
    'ants/A.jpg': 'ants/a.JPG',
    'b.jpg': 'bees/b.jpeg',
    'e\u0301.jpg': 'bees/\u00E9.jpg',
    'c.v2': 'c.v2.png',
    'https://example.org/x/bees/b.jpeg?size=1': 'bees/b.jpeg',
    '0a1b2c3d-b.jpeg': 'bees/b.jpeg',
    'bees/0013.jpg': null,
    'd.jpg': null,
    '13': null,
  };
  for (const [name, file] of Object.entries(names)) assert.deepEqual(matched(there, [name]), [file], name);
});

test('nothing is matched where two files answer, or two names ask', () => {
  assert.deepEqual(matched(['a/1.jpg', 'b/1.jpg'], ['1.jpg', 'a/1.jpg']), [null, 'a/1.jpg']);
  assert.deepEqual(matched(['1.jpg', '1.png'], ['1']), [null]);
  assert.deepEqual(matched(['x.jpg', 'X.JPG'], ['X.jpg']), [null]);
  assert.deepEqual(matched(['1.jpg'], ['a/1.jpg', 'b/1.jpg']), [null, null]);
  assert.deepEqual(matched(['1.jpg'], ['1.jpg', 'old/1.jpg']), ['1.jpg', null]);
  assert.deepEqual(matched(['1.jpg'], ['./1.jpg', '1.jpg', '.\\1.jpg']), ['1.jpg', '1.jpg', '1.jpg']);
  assert.deepEqual(matched(['ants/1.jpg', 'bees/2.jpg'], ['all/1.jpg', 'all/2.jpg']), ['ants/1.jpg', 'bees/2.jpg']);
  assert.deepEqual(matched(['cats/1.jpg', 'dogs/2.jpg'], ['cats/1.jpg', 'cats/2.jpg']), ['cats/1.jpg', null]);
});

test('how many were matched how is told', () => {
  const names = new FileNames(files('a/1.JPG', 'a/2.jpg', 'a/3.jpg'), '/data', '/l/l.csv').match([
    '1.jpg',
    '2',
    'a/3.jpg',
  ]);
  assert.equal(
    matchedHow(names.values()),
    '1 in another case, inside folders that the name leaves out; 1 by the name without its ending, inside folders that the name leaves out',
  );
});

test('a name that no file answers to: the nearest file, and what differs', async () => {
  const read = labelReader('ants/0013.jpg', 'bees/0014.jpg', 'bees/x.jpg', 'ants/x.jpg', 'bees/y.jpg');
  const with_ = (name: string) => `path,label\nants/0013.jpg,x\nbees/0014.jpg,y\nbees/y.jpg,y\n${name},x\n`;
  await refused(
    read(with_('wasps/0013.jpg')),
    /1 of its 4 images not found, the first wasps\/0013.jpg on line 5 \(the nearest file is ants\/0013.jpg: the folder differs\)/,
  );
  await refused(read(with_('0015.jpg')), /the nearest file is ants\/0013.jpg: the name differs/);
  await refused(read(with_('x.jpg')), /2 files answer to it, as bees\/x.jpg and ants\/x.jpg/);
  const some = await read(with_('0015.jpg'), { missing: 'skip' });
  assert.match(some.warnings.join(), /1 of its 4 images not found.*: skipped/);
  await refused(
    read('path,label\nq.jpg,x\nr.jpg,y\n', { missing: 'skip' }),
    /2 of its 2 images not found.*so nothing is left/,
  );
});
