import assert from 'node:assert/strict';
import { test } from 'node:test';
import { markdown, median, ratio, shown, type Table } from '../../bench/tables.js';

const table: Table = {
  title: 'a',
  text: 'b',
  command: 'c',
  unit: 's',
  rows: [
    { name: 'ours', values: [1, 4, 3] },
    { name: 'theirs', values: [2, 2, 12] },
    { name: 'once', values: [1234] },
  ],
  over: ['theirs', 'a peer that is not there'],
  versions: {},
};

test('a ratio is the median of those of the rounds: a slow round slows both', () => {
  const [ours, theirs, once] = table.rows as [Table['rows'][0], Table['rows'][0], Table['rows'][0]];
  assert.equal(ratio(ours, theirs), 0.5);
  assert.equal(ratio(once, theirs), 617, 'rounds of other numbers: of the medians');
  assert.equal(median([3, 1, 2]), 2);
});

test('a table of a bench has its medians, least and most, and leaves out peers that are not there', () => {
  assert.deepEqual(markdown(table), [
    '|  | median, s | least to most | ÷ theirs |',
    '|---|---:|---:|---:|',
    '| ours | 3.00 | 1.00 to 4.00 | 0.50 |',
    '| theirs | 2.00 | 2.00 to 12.0 |  |',
    '| once | 1234 |  | 617.00 |',
  ]);
  assert.deepEqual([0.0123, 0.5, 99.96].map(shown), ['0.012', '0.50', '100']);
});
