import assert from 'node:assert/strict';
import { test } from 'node:test';
import { surestMistakes } from '../../src/metrics/mistakes.js';

test('the surest mistakes come first, equal ones in order, and no more than asked for', () => {
  const p = Float32Array.of(0.9, 0.1, 0.25, 0.75, 0.25, 0.75, 0.5, 0.5, 0.125, 0.875);
  assert.deepEqual(surestMistakes(p, [0, 0, 0, 1, 0], 2, 0.5, 5), [
    { at: 4, is: 0, said: 1, score: 0.875 },
    { at: 1, is: 0, said: 1, score: 0.75 },
    { at: 2, is: 0, said: 1, score: 0.75 },
    { at: 3, is: 1, said: 0, score: 0.5 },
  ]);
  assert.deepEqual(
    surestMistakes(p, [0, 0, 0, 1, 0], 2, 0.5, 2).map(({ at }) => at),
    [4, 1],
  );
  assert.deepEqual(surestMistakes(p, [0, 1, 1, 1, 1], 2, 0.4, 5), [], 'a lower threshold says the second class of 0.5');
});

test('of several classes the likeliest is said', () => {
  const p = Float32Array.of(0.2, 0.5, 0.3, 0.1, 0.1, 0.8);
  assert.deepEqual(surestMistakes(p, [1, 0], 3, 0.5, 5), [{ at: 1, is: 0, said: 2, score: Math.fround(0.8) }]);
});
