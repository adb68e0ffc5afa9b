import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose, assertRelativelyClose } from './close.js';

const fails = (message: RegExp, run: () => void): void =>
  assert.throws(run, (error: Error) => error instanceof assert.AssertionError && message.test(error.message));

test('numbers that are close enough pass, and the largest difference comes back', () => {
  assert.equal(assertClose([1, 2.5, -3], Float32Array.of(1, 2, -3), 0.5), 0.5);
  assert.equal(assertClose([0], [0], 0), 0);
  assert.equal(assertRelativelyClose([9, 100], [10, 100], 0.01), 0.01);
  assertClose([Number.NaN, Number.POSITIVE_INFINITY], [Number.NaN, Number.POSITIVE_INFINITY], 0);
});

test('the worst number is named, with its place', () => {
  fails(/^weights: number 2 of 3 is 7, expected 3: they differ by 4, allowed 0\.5$/, () =>
    assertClose([1, 2.7, 7], [1, 2, 3], 0.5, 'weights'),
  );
  fails(/number 1 of 2/, () => assertRelativelyClose([10, 101], [10, 100], 0.001));
});

test('what cannot be compared fails, and does not pass by', () => {
  fails(/nothing is expected/, () => assertClose([], [], 1));
  fails(/nothing is expected/, () => assertRelativelyClose([], [], 1));
  fails(/2 numbers, expected 3/, () => assertClose([1, 2], [1, 2, 3], 1));
  fails(/4 numbers, expected 3/, () => assertClose([1, 2, 3, 4], [1, 2, 3], 1));
  for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    fails(/number 1 of 3/, () => assertClose([1, odd, 3], [1, 2, 3], Number.POSITIVE_INFINITY));
    fails(/number 1 of 3/, () => assertClose([1, 2, 4], [1, odd, 3], 5));
  }
  fails(/all expected numbers are 0/, () => assertRelativelyClose([0, 1], [0, 0], 1));
});
