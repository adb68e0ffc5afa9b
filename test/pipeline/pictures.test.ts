import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { trainReport } from '../../pipeline/outcome.js';
import { confusionPicture, curveLines } from '../../pipeline/pictures.js';
import { features, train } from '../../src/index.js';
import { permafrost } from '../helpers/cli.js';
import { fixture } from '../helpers/fixtures.js';
import { pictures } from '../helpers/pictures.js';
import { folder } from '../helpers/store.js';

const square = (n: number, count: (i: number, j: number) => number): number[][] =>
  Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => count(i, j)));
const widest = (lines: readonly string[] | null): number => Math.max(...(lines ?? []).map((line) => line.length));

test('a confusion matrix has the names over its columns where 80 columns hold them, else numbers', () => {
  assert.deepEqual(
    confusionPicture(
      ['ants', 'bees'],
      [
        [12, 3],
        [1, 100],
      ],
    ),
    ['  is \\ said  ants  bees', '  ants         12     3', '  bees          1   100'],
  );
  const long = ['a very long name of a class', 'another very long name', 'b'];
  const some = confusionPicture(
    long,
    square(3, () => 5),
  );
  assert.ok(widest(some) <= 80 && some?.[0]?.includes('a very long name of'), some?.join('\n'));
  const alike = Array.from({ length: 10 }, (_, i) => `species number ${i}`);
  const numbered = confusionPicture(
    alike,
    square(10, (i, j) => 10 * i + j),
  );
  assert.ok(widest(numbered) <= 80, numbered?.join('\n'));
  assert.match(numbered?.[0] ?? '', /^ {2}is \\ said +1 +2 +3 .* 10$/);
  assert.match(numbered?.[10] ?? '', /^ {2}10 species number 9 +90 +91/);
  assert.equal(
    confusionPicture(
      alike,
      square(10, () => 12_345_678),
    ),
    null,
  );
});

const record = (epoch: number, loss: number, valLoss: number | null) => ({ epoch, loss, valLoss, valAccuracy: null });

test('losses are drawn on one scale, in so many columns as fit', () => {
  const lines = curveLines([record(1, 0.8, 0.8), record(2, 0.4, 0.5), record(3, 0.1, 0.6)]);
  assert.deepEqual(lines, ['  loss       0.800 █▄▁ 0.100', '  validation 0.800 █▅▆ 0.600, least 0.500 at epoch 2']);
  const many = Array.from({ length: 1000 }, (_, i) => record(i + 1, 1 / (i + 1), null));
  assert.equal(curveLines(many).length, 1);
  assert.ok(widest(curveLines(many)) <= 80);
  assert.match(curveLines(many)[0] ?? '', / [▁▂▃▄▅▆▇█]{26} /);
  const judged = Array.from({ length: 1000 }, (_, i) => record(i + 1, 1 / (i + 1), 0.123456));
  assert.ok(widest(curveLines(judged)) <= 80, curveLines(judged).join('\n'));
  assert.deepEqual(curveLines([1, 2, 3].map((epoch) => record(epoch, 0.5, null)))[0]?.includes('▁▁▁'), true);
  assert.deepEqual(curveLines([record(1, 0.8, 0.8), record(2, 0.4, 0.5)]), [], 'two epochs are no curve');
  assert.deepEqual(curveLines([1, 2, 3].map((epoch) => record(epoch, Number.NaN, null))), []);
});

test('train shows its losses, each class, and the surest mistakes by the names of their files', async (t) => {
  const data = await pictures(t, 40);
  const cache = await folder(t);
  const base = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;
  await features({ ...base, data, cache });
  // Every fifth picture is labelled as what it is not.
  const labels = join(cache, 'labels.csv');
  const rows = Array.from({ length: 40 }, (_, i) => {
    const is = i % 2 ? 'dark' : 'light';
    return `${is}/${i}.png,${i % 5 === 0 ? (i % 2 ? 'light' : 'dark') : is},${i < 20 ? 'train' : 'val'}`;
  });
  await writeFile(labels, `path,label,split\n${rows.join('\n')}\n`);
  const options = { ...base, data, cache, labels, epochs: 40, learningRate: 0.05, name: 'h' };
  const result = await train(options);
  assert.ok(result.mistakes !== null && result.mistakes.length > 0);
  const wrong = result.mistakes.map(({ path, is, label, score }) => ({ path, differs: is !== label, sure: score }));
  assert.ok(wrong.every(({ path, differs }) => /^(dark|light)\/(2|3)\d\.png$/.test(path) && differs));
  assert.deepEqual(
    wrong.map(({ sure }) => sure),
    wrong.map(({ sure }) => sure).sort((a, b) => b - a),
  );
  const text = trainReport(result).join('\n');
  assert.match(text, /class +images +recall +precision +F1\n +dark/);
  assert.ok(text.includes(`surest mistakes:\n  file`) && text.includes(wrong[0]?.path ?? '?'));
  assert.equal((await train(options)).mistakes, null, 'a head that was there is not measured again');
  const flags = ['--data', data, '--cache', cache, '--labels', labels, '--epochs', '5', '--name', 'g'];
  const { code, stderr } = await permafrost(
    ['train', '--base', base.base, '--layer', 'maps', '--preprocess', 'tf', ...flags],
    cache,
  );
  assert.equal(code, 0, stderr);
  assert.match(stderr, / {2}loss +[\d.]+ [▁▂▃▄▅▆▇█]{5} [\d.]+\n {2}validation /);
});
