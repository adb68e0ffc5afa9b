import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { UsageError } from '../src/errors.js';
import { type Example, splitExamples } from '../src/heads/index.js';

const { split } = JSON.parse(
  readFileSync(new URL('../../test/fixtures/head_fixtures.json', import.meta.url), 'utf8'),
) as { split: { seed: number; val: number; contents: string[]; held: string[]; groups: Record<string, boolean> } };

const sha = (name: string) => createHash('sha256').update(name).digest('hex');
const example = (sha256: string, label = 'a', more: Partial<Example> = {}): Example => ({
  path: `${label}/${sha256.slice(0, 8)}`,
  sha256,
  label,
  ...more,
});
const hashes = (examples: readonly Example[]) => examples.map((one) => one.sha256);

test('the rule is that of the design, computed by another implementation', () => {
  const sides = splitExamples(
    split.contents.map((sha256) => example(sha256)),
    split,
  );
  assert.deepEqual(hashes(sides.val), split.held);
  assert.equal(sides.train.length + sides.val.length, split.contents.length);
  const members = Object.keys(split.groups).flatMap((group) =>
    [0, 1].map((i) => example(sha(`${group}${i}`), 'a', { group })),
  );
  const grouped = splitExamples(members, split);
  for (const one of members) assert.equal(grouped.val.includes(one), split.groups[one.group ?? ''], one.group);
});

test('adding images moves no others, another seed does', () => {
  const few = split.contents.slice(0, 40).map((sha256) => example(sha256));
  const before = hashes(splitExamples(few, split).val);
  const after = hashes(
    splitExamples(
      split.contents.map((sha256) => example(sha256)),
      split,
    ).val,
  );
  assert.deepEqual(
    after.filter((one) => hashes(few).includes(one)),
    before,
  );
  assert.notDeepEqual(hashes(splitExamples(few, { seed: 8, val: 0.2 }).val), before);
});

test('identical images, and groups that share one, never lie on both sides', () => {
  for (let seed = 0; seed < 30; seed++) {
    const examples = split.contents.flatMap((sha256, i) => [
      example(sha256, 'a', { path: `x${i}` }),
      example(sha256, 'a', { path: `y${i}`, ...(i < 8 ? { group: `g${i % 4}` } : {}) }),
      ...(i < 2 ? [example(sha256, 'a', { path: `z${i}`, group: 'bridge' })] : []),
    ]);
    const { train, val } = splitExamples(examples, { seed, val: 0.3 });
    assert.deepEqual(
      hashes(train).filter((one) => hashes(val).includes(one)),
      [],
    );
    const linked = examples.filter((one) => one.group !== undefined && ['g0', 'g1', 'bridge'].includes(one.group));
    assert.equal(new Set(linked.map((one) => val.includes(one))).size, 1, 'a content in three groups joins them');
  }
});

test('a class of two has one on each side, a class of one trains', () => {
  for (let seed = 0; seed < 50; seed++) {
    for (const share of [0.02, 0.5, 0.98]) {
      const examples = [...'abcd'].flatMap((label) => [
        example(sha(`${label}1`), label),
        example(sha(`${label}2`), label),
      ]);
      const { train, val } = splitExamples([...examples, example(sha('lone'), 'e')], { seed, val: share });
      for (const label of 'abcd') {
        assert.equal(train.filter((one) => one.label === label).length, 1);
        assert.equal(val.filter((one) => one.label === label).length, 1);
      }
      assert.equal(train.filter((one) => one.label === 'e').length, 1);
    }
  }
});

test('the image that moves is the nearest', () => {
  const u = (sha256: string) =>
    Number(BigInt(`0x${createHash('sha256').update('5').update(Buffer.from(sha256, 'hex')).digest('hex')}`)) / 2 ** 256;
  const byU = split.contents.slice(0, 10).sort((a, b) => u(a) - u(b));
  const lowest = splitExamples(
    byU.map((sha256) => example(sha256)),
    { seed: 5, val: u(byU[0] ?? '') / 2 },
  );
  assert.deepEqual(hashes(lowest.val), [byU[0]]);
  const highest = splitExamples(
    byU.map((sha256) => example(sha256)),
    { seed: 5, val: (1 + u(byU[9] ?? '')) / 2 },
  );
  assert.deepEqual(hashes(highest.train), [byU[9]]);
});

test('given splits are kept; without a validation side training gives one', () => {
  const given = split.contents.map((sha256, i) =>
    example(sha256, 'a', i % 3 === 0 ? { split: 'val' } : i % 3 === 1 ? { split: 'test' } : {}),
  );
  const sides = splitExamples(given, split);
  assert.deepEqual([sides.train.length, sides.val.length, sides.test.length], [20, 20, 20]);
  assert.ok(sides.val.every((one) => one.split === 'val'));
  const open = split.contents.map((sha256, i) => example(sha256, 'a', { split: i % 3 === 0 ? 'test' : 'train' }));
  const divided = splitExamples(open, split);
  assert.equal(divided.test.length, 20);
  assert.deepEqual(
    hashes(divided.val),
    hashes(open.filter((one) => one.split === 'train' && split.held.includes(one.sha256))),
  );
  const all = splitExamples(open, { seed: 7, val: 0 });
  assert.equal(all.val.length, 0);
  assert.equal(all.train.length, 40);
});

test('refuses shares and seeds out of range', () => {
  for (const val of [-0.1, 1, Number.NaN]) assert.throws(() => splitExamples([], { seed: 0, val }), UsageError);
  assert.throws(() => splitExamples([], { seed: 0.5, val: 0.2 }), UsageError);
});
