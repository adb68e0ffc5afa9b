import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { needs, needsPython } from './peers.js';

const before = process.env.CI;
after(() => {
  if (before === undefined) delete process.env.CI;
  else process.env.CI = before;
});

test('what is not there is skipped on a desk, and a failure where all must run', () => {
  delete process.env.CI;
  assert.deepEqual(needs(false, 'Keras is not there'), { skip: 'Keras is not there' });
  assert.match(String(needsPython('no_module_of_this_name').skip), /a Python with no_module_of_this_name/);
  process.env.CI = 'true';
  assert.throws(() => needs(false, 'Keras is not there'), /^Error: Keras is not there, and CI runs every test$/);
  assert.deepEqual(needs(true, 'Keras is not there'), { skip: false });
});
