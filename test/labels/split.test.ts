import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { UsageError } from '../../src/errors.js';
import { dealFolds, fewShots } from '../../src/labels/folds.js';
import type { Example } from '../../src/labels/labels.js';
import { splitExamples } from '../../src/labels/split.js';

const { split } = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/head_fixtures.json', import.meta.url), 'utf8'),
) as { split: { seed: number; val: number; contents: string[]; held: string[]; groups: Record<string, boolean> } };

const sha = (name: string) => createHash('sha256').update(name).digest('hex');
const example = (sha256: string, label = 'a', more: Partial<Example> = {}): Example => ({
  path: `${label}/${sha256.slice(0, 8)}`,
  sha256,
  label,
  ...more,
});
const hashes = (examples: readonly Example[]) => examples.map((one) => one.sha256);

test('the rule is that of the design, computed by another implementation', async () => {
  const sides = await splitExamples(
    split.contents.map((sha256) => example(sha256)),
    split,
  );
  assert.deepEqual(hashes(sides.val), split.held);
  assert.equal(sides.train.length + sides.val.length, split.contents.length);
  const members = Object.keys(split.groups).flatMap((group) =>
    [0, 1].map((i) => example(sha(`${group}${i}`), 'a', { group })),
  );
  const grouped = await splitExamples(members, split);
  for (const one of members) assert.equal(grouped.val.includes(one), split.groups[one.group ?? ''], one.group);
});

test('adding images moves no others, another seed does', async () => {
  const few = split.contents.slice(0, 40).map((sha256) => example(sha256));
  const before = hashes((await splitExamples(few, split)).val);
  const after = hashes(
    (
      await splitExamples(
        split.contents.map((sha256) => example(sha256)),
        split,
      )
    ).val,
  );
  assert.deepEqual(
    after.filter((one) => hashes(few).includes(one)),
    before,
  );
  assert.notDeepEqual(hashes((await splitExamples(few, { seed: 8, val: 0.2 })).val), before);
});

test('identical images, and groups that share one, never lie on both sides', async () => {
  for (let seed = 0; seed < 30; seed++) {
    const examples = split.contents.flatMap((sha256, i) => [
      example(sha256, 'a', { path: `x${i}` }),
      example(sha256, 'a', { path: `y${i}`, ...(i < 8 ? { group: `g${i % 4}` } : {}) }),
      ...(i < 2 ? [example(sha256, 'a', { path: `z${i}`, group: 'bridge' })] : []),
    ]);
    const { train, val } = await splitExamples(examples, { seed, val: 0.3 });
    assert.deepEqual(
      hashes(train).filter((one) => hashes(val).includes(one)),
      [],
    );
    const linked = examples.filter((one) => one.group !== undefined && ['g0', 'g1', 'bridge'].includes(one.group));
    assert.equal(new Set(linked.map((one) => val.includes(one))).size, 1, 'a content in three groups joins them');
  }
});

test('a class of two has one on each side, a class of one trains', async () => {
  for (let seed = 0; seed < 50; seed++) {
    for (const share of [0.02, 0.5, 0.98]) {
      const examples = [...'abcd'].flatMap((label) => [
        example(sha(`${label}1`), label),
        example(sha(`${label}2`), label),
      ]);
      const { train, val } = await splitExamples([...examples, example(sha('lone'), 'e')], { seed, val: share });
      for (const label of 'abcd') {
        assert.equal(train.filter((one) => one.label === label).length, 1);
        assert.equal(val.filter((one) => one.label === label).length, 1);
      }
      assert.equal(train.filter((one) => one.label === 'e').length, 1);
    }
  }
});

test('the image that moves is the nearest', async () => {
  const u = (sha256: string) =>
    Number(BigInt(`0x${createHash('sha256').update('5').update(Buffer.from(sha256, 'hex')).digest('hex')}`)) / 2 ** 256;
  const byU = split.contents.slice(0, 10).sort((a, b) => u(a) - u(b));
  const lowest = await splitExamples(
    byU.map((sha256) => example(sha256)),
    { seed: 5, val: u(byU[0] ?? '') / 2 },
  );
  assert.deepEqual(hashes(lowest.val), [byU[0]]);
  const highest = await splitExamples(
    byU.map((sha256) => example(sha256)),
    { seed: 5, val: (1 + u(byU[9] ?? '')) / 2 },
  );
  assert.deepEqual(hashes(highest.train), [byU[9]]);
});

test('given splits are kept; without a validation side training gives one', async () => {
  const given = split.contents.map((sha256, i) =>
    example(sha256, 'a', i % 3 === 0 ? { split: 'val' } : i % 3 === 1 ? { split: 'test' } : {}),
  );
  const sides = await splitExamples(given, split);
  assert.deepEqual([sides.train.length, sides.val.length, sides.test.length], [20, 20, 20]);
  assert.ok(sides.val.every((one) => one.split === 'val'));
  const open = split.contents.map((sha256, i) => example(sha256, 'a', { split: i % 3 === 0 ? 'test' : 'train' }));
  const divided = await splitExamples(open, split);
  assert.equal(divided.test.length, 20);
  assert.deepEqual(
    hashes(divided.val),
    hashes(open.filter((one) => one.split === 'train' && split.held.includes(one.sha256))),
  );
  const all = await splitExamples(open, { seed: 7, val: 0 });
  assert.equal(all.val.length, 0);
  assert.equal(all.train.length, 40);
});

test('refuses shares and seeds out of range', async () => {
  for (const val of [-0.1, 1, Number.NaN]) await assert.rejects(splitExamples([], { seed: 0, val }), UsageError);
  await assert.rejects(splitExamples([], { seed: 0.5, val: 0.2 }), UsageError);
});

test('folds are alike in size and classes, keep groups and copies together, and do not depend on the order', () => {
  const examples = split.contents.flatMap((sha256, i) => [
    example(sha256, i % 3 === 0 ? 'a' : 'b', i < 6 ? { group: `g${i % 2}` } : {}),
    ...(i % 10 === 0 ? [example(sha256, 'a', { path: `copy${i}` })] : []),
  ]);
  const folds = dealFolds(examples, 5, 3, 'binary');
  for (let fold = 0; fold < 5; fold++) {
    const members = examples.filter((_, i) => folds[i] === fold);
    assert.ok(members.length >= 9 && members.length <= 17, `${members.length} in a fold`);
    assert.ok(members.some(({ label }) => label === 'a') && members.some(({ label }) => label === 'b'));
  }
  const foldOf = new Map(examples.map((one, i) => [one, folds[i]]));
  for (const key of ['sha256', 'group'] as const) {
    for (const value of new Set(examples.map((one) => one[key]).filter(Boolean))) {
      const members = examples.filter((one) => one[key] === value);
      assert.equal(new Set(members.map((one) => foldOf.get(one))).size, 1, `${key} ${value}`);
    }
  }
  const turned = [...examples].reverse();
  assert.deepEqual([...dealFolds(turned, 5, 3, 'binary')].reverse(), [...folds]);
  assert.notDeepEqual([...dealFolds(examples, 5, 4, 'binary')], [...folds]);
  assert.throws(() => dealFolds(examples.slice(0, 3), 5, 0, 'binary'), /5 folds need as many different images/);
});

test('few shots are nested, as many of each class, and depend on the seed', () => {
  const examples = split.contents.map((sha256, i) => example(sha256, i % 3 === 0 ? 'a' : 'b'));
  let before: Example[] = [];
  for (const shots of [1, 2, 4, 8, 100]) {
    const taken = fewShots(examples, shots, 5, 'binary');
    assert.ok(before.every((one) => taken.includes(one)));
    assert.equal(taken.filter(({ label }) => label === 'a').length, Math.min(shots, 20));
    assert.equal(taken.filter(({ label }) => label === 'b').length, Math.min(shots, 40));
    before = taken;
  }
  assert.deepEqual(before, examples);
  assert.notDeepEqual(hashes(fewShots(examples, 4, 6, 'binary')), hashes(fewShots(examples, 4, 5, 'binary')));
  const several = [example(sha('1'), 'a|b'), example(sha('2'), 'a'), example(sha('3'), '')];
  assert.ok(fewShots(several, 1, 0, 'multilabel').length <= 2);
});

test('a multilabel split keeps every label on both sides', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const examples = split.contents.map((sha256, i) => example(sha256, ['a', 'b', 'a|b', 'a', 'c'][i % 5] as string));
    const { train, val } = await splitExamples(examples.slice(0, 12), { seed, val: 0.1, task: 'multilabel' });
    for (const label of 'abc') {
      for (const side of [train, val]) assert.ok(side.some((one) => one.label.split('|').includes(label)));
    }
  }
});
