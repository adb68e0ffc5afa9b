import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { evaluate } from '../../src/commands/evaluate.js';
import { compareHeads, listHeads, removeHead } from '../../src/commands/heads.js';
import { train } from '../../src/commands/train.js';
import { features } from '../../src/index.js';
import { permafrost } from '../helpers/cli.js';
import { fixture } from '../helpers/fixtures.js';
import { pictures } from '../helpers/pictures.js';
import { folder } from '../helpers/store.js';

const BASE = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;

test('heads are measured, compared, listed and removed, from stored vectors alone', async (t) => {
  const data = await pictures(t, 40);
  const work = await folder(t);
  const cache = path.join(work, 'cache');
  await features({ ...BASE, data, cache, threads: 1 });
  const labels = path.join(work, 'all-val.csv');
  const rows = Array.from({ length: 40 }, (_, i) => {
    const name = i % 2 ? 'dark' : 'light';
    return `${name}/${i}.png,${name},${i < 20 ? 'train' : 'val'}`;
  });
  writeFileSync(labels, `path,label,split\n${rows.join('\n')}\n`);
  const common = { ...BASE, data, cache, labels, bootstrap: 100 };
  const good = await train({ ...common, name: 'good', epochs: 30, learningRate: 0.05 });
  await train({ ...common, name: 'poor', epochs: 1, learningRate: 1e-6, seed: 5 });
  rmSync(path.join(cache, 'bases'), { recursive: true });

  const val = path.join(work, 'val.csv');
  writeFileSync(
    val,
    `path,label\n${rows
      .slice(20)
      .map((row) => row.replace(/,val$/, ''))
      .join('\n')}\n`,
  );
  const found = await evaluate({ path: data, head: 'good', cache, labels: val, bootstrap: 100 });
  assert.equal(found.images, 20);
  assert.deepEqual(found.metrics, good.metrics, 'on the same images the numbers are those of training');
  const whole = await evaluate({ path: data, head: 'poor', cache, bootstrap: 0 });
  assert.equal(whole.images, 40, 'labels from folder names');
  const accuracy = 'accuracy' in whole.metrics ? whole.metrics.accuracy : Number.NaN;
  assert.equal(whole.wrong.length, Math.round(40 * (1 - accuracy)));
  for (const { is, label } of whole.wrong) assert.notEqual(is, label);
  assert.equal(
    whole.confusion?.flat().reduce((sum, count) => sum + count),
    40,
  );

  const same = await compareHeads({ heads: ['good', 'good'], data, cache, bootstrap: 100 });
  assert.deepEqual(same.pairs, [{ a: 'good', b: 'good', of: 'accuracy', difference: 0, interval: [0, 0], p: 1 }]);
  const { pairs, images } = await compareHeads({ heads: ['good', 'poor'], data, cache, bootstrap: 100 });
  const best = await evaluate({ path: data, head: 'good', cache, bootstrap: 0 });
  const other = 'accuracy' in best.metrics ? best.metrics.accuracy : Number.NaN;
  assert.equal(images, 40);
  assert.ok(Math.abs((pairs[0]?.difference ?? Number.NaN) - (other - accuracy)) < 1e-12);

  writeFileSync(val, 'path,label\ndark/1.png,black\nlight/0.png,light\n');
  await assert.rejects(evaluate({ path: data, head: 'good', cache, labels: val }), {
    name: 'LabelError',
    message: /^black is no class of this head, which says dark, light: /,
  });
  await assert.rejects(compareHeads({ heads: ['good'], data, cache }), { name: 'UsageError' });

  const errors = path.join(work, 'wrong.csv');
  const said = await permafrost(
    ['evaluate', data, '--head', 'poor', '--cache', cache, '--errors', errors, '--json', '--bootstrap', '50'],
    work,
  );
  assert.equal(said.code, 0, said.stderr);
  assert.deepEqual(Object.keys(JSON.parse(said.stdout)), [
    'head',
    'task',
    'classes',
    'images',
    'metrics',
    'intervals',
    'confusion',
  ]);
  assert.match(said.stderr, /poor on 40 images: accuracy/);
  const lines = readFileSync(errors, 'utf8').trim().split('\n');
  assert.equal(lines[0], 'path,is,label,score,dark,light');
  assert.equal(lines.length, whole.wrong.length + 1);

  assert.deepEqual(
    (await listHeads(cache)).map(({ head, task, train: images }) => [head, task, images]),
    [
      ['good', 'binary', 20],
      ['poor', 'binary', 20],
    ],
  );
  await removeHead('poor', cache);
  assert.ok(!existsSync(path.join(cache, 'heads', 'poor')));
  await assert.rejects(removeHead('poor', cache), { name: 'HeadError' });
});
