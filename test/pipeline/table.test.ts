import assert from 'node:assert/strict';
import { test } from 'node:test';
import { table } from '../../pipeline/table.js';

test('a table: text to the left, numbers with their units to the right, cut only where a terminal is', () => {
  const rows = [{ cells: ['xception', '91 MB', '–'] }, { cells: ['b0', '5.3 MB', '12'] }];
  assert.deepEqual(table(['base', 'weights', 'n'], rows), [
    'base      weights   n',
    'xception    91 MB   –',
    'b0         5.3 MB  12',
  ]);
  const [head = '', , first = ''] = table(['base', 'weights', 'n'], rows, 16);
  assert.equal(head, '\u001b[1mbase      weig…\u001b[0m');
  assert.equal(first, 'xception    91…');
  const [spared = '', , row = ''] = table(['base', 'weights', 'n'], rows, 16, [2, 1]);
  assert.deepEqual([spared, row], ['\u001b[1mbase\u001b[0m', 'xception'], 'spare columns go before any is cut');
  assert.equal(table(['base', 'weights', 'n'], rows, 16, [1, 0])[2], 'xception   –');
});
