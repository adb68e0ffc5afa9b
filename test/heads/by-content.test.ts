import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tableFromIPC } from 'apache-arrow';
import { canonicalJson, sha256Hex } from '../../src/canonical.js';
import { inOrderOfTexts } from '../../src/heads/by-content.js';
import { examplesFile } from '../../src/heads/examples.js';
import { identityOf, type Problem } from '../../src/heads/problem.js';
import type { Example } from '../../src/labels/labels.js';
import { Random } from '../../src/random.js';

const random = new Random('by content');
const labels = ['a', 'b|c', 'Ünï', '\u{1F600}', '\uFF21', '"quoted"', ''];
const pick = <T>(all: readonly T[]): T => all[random.below(all.length)] as T;
const contents = Array.from({ length: 40 }, (_, i) => sha256Hex(`${i}`));

/** Contents come back with other labels, groups and none. */
const examples = (count: number): Example[] =>
  Array.from({ length: count }, (_, i) => {
    const group = pick([undefined, 'g', 'h', '']);
    return { path: `${i}`, sha256: pick(contents), label: pick(labels), ...(group === undefined ? {} : { group }) };
  });
const problem: Problem = {
  task: 'multiclass',
  classes: labels,
  train: examples(300),
  val: examples(90),
  test: examples(7),
};

/** By code point: UTF-8 has that order. */
const sorted = (texts: readonly string[]): string[] =>
  [...texts].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

test('texts come by content, and of one content by code point', async () => {
  const textOf = ({ sha256, label, group }: Example): string => JSON.stringify([sha256, label, group ?? null]);
  const found: [string, number][] = [];
  await inOrderOfTexts(problem.train, textOf, (text, place) => found.push([text, place]));
  assert.deepEqual(
    found.map(([text]) => text),
    sorted(problem.train.map(textOf)),
  );
  for (const [text, place] of found) assert.equal(textOf(problem.train[place] as Example), text);
  await inOrderOfTexts([], textOf, () => assert.fail('there is none'));
});

test('the identity of a head is what its sorted lines say', async () => {
  const sides = [problem.train, problem.val, problem.test].map((side) =>
    sha256Hex(
      sorted(side.map(({ sha256, label, group }) => JSON.stringify([sha256, label, group ?? null]))).join('\n'),
    ),
  );
  const { task, classes } = problem;
  const options = { epochs: 2 };
  const expected = sha256Hex(canonicalJson({ task, classes, fingerprints: ['f'], sides, options }));
  assert.equal(await identityOf(problem, ['f'], options), expected);
});

test('the images of a head are sorted, each side of a content once, with their groups', async () => {
  const table = tableFromIPC(await examplesFile(problem));
  const rows = table.toArray().map((row) => {
    const { sha256, split, target, group } = row?.toJSON() ?? {};
    return JSON.stringify([Buffer.from(sha256).toString('hex'), split, target, group]);
  });
  const all = (['train', 'val', 'test'] as const).flatMap((split) =>
    problem[split].map(({ sha256, label, group }) => JSON.stringify([sha256, split, label, group ?? null])),
  );
  assert.deepEqual(rows, sorted([...new Set(all)]));
  assert.equal(table.getChild('group')?.nullCount, rows.filter((row) => row.endsWith(',null]')).length);
  const numbers: Problem = {
    ...problem,
    task: 'regression',
    train: [{ path: '', sha256: sha256Hex('n'), label: '1.5' }],
  };
  assert.equal(tableFromIPC(await examplesFile({ ...numbers, val: [], test: [] })).get(0)?.target, 1.5);
});
