import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseSide, type Side, sideBy } from '../../src/commands/report-data.js';

const kept = (sides: readonly Side[]): number[] => chooseSide(sides, 'd').keep.flatMap((is, row) => (is ? [row] : []));

test('a report measures what did not train the head: test images before validation images, and new ones always', () => {
  assert.deepEqual(kept(['train', 'val', 'train', 'val']), [1, 3]);
  assert.deepEqual(kept(['train', 'val', 'test', 'new']), [2, 3]);
  assert.deepEqual(kept(['train', 'new', 'val']), [1, 2]);
  assert.deepEqual(kept(['new', 'new']), [0, 1]);
  assert.deepEqual(kept(['train', undefined, 'val']), [1, 2]);
});

test('where all trained it, or nothing is known, all are measured, and that is said', () => {
  assert.deepEqual(kept(['train', 'train']), [0, 1]);
  assert.match(chooseSide(['train', 'train'], 'd').which, /all of which trained it: expect less on new ones\.$/);
  assert.deepEqual(kept([undefined, undefined]), [0, 1]);
  assert.match(chooseSide([undefined], 'd').which, /Which of them it was trained on is not known\.$/);
  assert.equal(
    chooseSide(['train', 'val', 'test'], 'd').which,
    'Measured on 1 test image of d; 1 that trained it and 1 that validated it left out.',
  );
});

test('what the head keeps of its images goes before what a folder says', () => {
  const seen = {
    trained: new Set(['a']),
    chose: new Set(['b']),
    sides: new Map([
      ['a', 'val'],
      ['b', 'val'],
    ] as const),
  };
  const example = (sha256: string) => ({ path: '', label: 'x', sha256, split: 'test' as const });
  assert.deepEqual(
    ['a', 'b', 'c'].map((one) => sideBy(seen)(example(one))),
    ['train', 'val', 'new'],
  );
  assert.equal(sideBy(null)(example('a')), 'test');
});
