import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { tableFromIPC } from 'apache-arrow';
import { evaluate } from '../../src/commands/evaluate.js';
import { compareHeads, listHeads, removeHead } from '../../src/commands/heads.js';
import { train } from '../../src/commands/train.js';
import { features } from '../../src/index.js';
import { permafrost } from '../helpers/cli.js';
import { fixture } from '../helpers/fixtures.js';
import { pictures } from '../helpers/pictures.js';
import { folder } from '../helpers/store.js';

const BASE = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;

test('sets of classes: trained with, predicted, measured', async (t) => {
  const data = await pictures(t, 40);
  const work = await folder(t);
  const cache = path.join(work, 'cache');
  await features({ ...BASE, data, cache, threads: 1 });
  const head = await train({
    ...BASE,
    data,
    cache,
    optimizer: 'ridge',
    val: 0.5,
    coverage: 0.8,
    bootstrap: 0,
    name: 'sets',
  });
  assert.equal(head.coverage?.level, 0.8);
  assert.equal(head.coverage?.images, head.val);
  const { coverage } = await evaluate({ path: data, head: 'sets', cache, bootstrap: 0 });
  const given = await permafrost(['predict', data, '--head', 'sets', '--cache', cache, '--json', '--quiet'], work);
  const rows = given.stdout
    .trim()
    .split('\n')
    .map(
      (line) =>
        JSON.parse(line) as { path: string; scores: { label: string; score: number }[]; set: string[]; error?: string },
    )
    .filter(({ error }) => error === undefined);
  let [held, size] = [0, 0];
  for (const { path: name, scores, set } of rows) {
    const likely = scores.filter(({ score }) => 1 - score <= (head.coverage?.threshold ?? 0));
    assert.deepEqual(
      set,
      likely.map(({ label }) => label),
    );
    if (set.includes(path.basename(path.dirname(name)))) held += 1;
    size += set.length;
  }
  assert.deepEqual([coverage?.found, coverage?.meanSize], [held / 40, size / 40]);
  const table = path.join(work, 'sets.arrow');
  await permafrost(['predict', data, '--head', 'sets', '--cache', cache, '--out', table, '--quiet'], work);
  const column = tableFromIPC(readFileSync(table)).getChild('set');
  assert.deepEqual(
    [...(column ?? [])].filter((set) => set !== null),
    rows.map(({ set }) => set.join('|')),
  );
});

test('images of one class only are measured, as the head knows its classes; others are not', async (t) => {
  const data = await pictures(t, 20);
  const cache = await folder(t);
  await features({ ...BASE, data, cache, threads: 1 });
  await train({ ...BASE, data, cache, name: 'both', bootstrap: 0, epochs: 5 });
  const one = await folder(t);
  cpSync(path.join(data, 'light'), path.join(one, 'light'), { recursive: true });
  const found = await evaluate({ path: one, head: 'both', cache, bootstrap: 0 });
  assert.equal(found.images, 10);
  assert.ok('auc' in found.metrics && found.metrics.auc === null, 'one class has no AUC');
  const labels = path.join(one, 'labels.csv');
  writeFileSync(labels, 'path,label\nlight/0.png,light\n');
  assert.equal((await evaluate({ path: one, head: 'both', cache, bootstrap: 0, labels })).images, 1);
  await assert.rejects(train({ ...BASE, data: one, cache, labels, name: 'one' }), /one class only, light/);
  renameSync(path.join(one, 'light'), path.join(one, 'grey'));
  await assert.rejects(evaluate({ path: one, head: 'both', cache, bootstrap: 0 }), /grey is no class of this head/);
});

test('heads are measured, compared, listed and removed, from stored vectors alone', async (t) => {
  const data = await pictures(t, 40);
  const work = await folder(t);
  const cache = path.join(work, 'cache');
  const { set } = await features({ ...BASE, data, cache, threads: 1 });
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
  assert.deepEqual([found.trainedOn, found.chosenOn], [0, 20]);
  const whole = await evaluate({ path: data, head: 'poor', cache, bootstrap: 0 });
  assert.equal(whole.images, 40, 'labels from folder names');
  assert.deepEqual([whole.trainedOn, whole.chosenOn], [20, 20]);
  const accuracy = 'accuracy' in whole.metrics ? whole.metrics.accuracy : Number.NaN;
  assert.equal(whole.wrong.length, Math.round(40 * (1 - accuracy)));
  for (const { is, label } of whole.wrong) assert.notEqual(is, label);
  assert.equal(
    whole.confusion?.flat().reduce((sum, count) => sum + count),
    40,
  );

  const same = await compareHeads({ heads: ['good', 'good'], data, cache, bootstrap: 100 });
  assert.deepEqual(same.pairs, [{ a: 'good', b: 'good', of: 'accuracy', difference: 0, interval: [0, 0], p: 1 }]);
  assert.deepEqual(
    same.heads,
    ['good', 'good'].map((head) => ({ head, trainedOn: 20, chosenOn: 20 })),
  );
  const onVal = await permafrost(
    ['heads', 'compare', 'good', 'poor', '--data', data, '--cache', cache, '--labels', val],
    work,
  );
  assert.match(
    onVal.stderr,
    /^on 20 images\nnote: good was chosen on 20 of these 20 images, so.*\nnote: poor was chosen/m,
  );
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
    'trainedOn',
    'chosenOn',
    'metrics',
    'intervals',
    'confusion',
  ]);
  const own = JSON.parse(said.stdout).metrics;
  assert.ok('accuracy' in own && !('intervals' in own) && !('confusion' in own), 'they stand beside it');
  assert.match(said.stderr, /poor on 40 images: accuracy/);
  assert.match(
    said.stderr,
    /note: the head was trained on 20 and chosen on 20 of these 40 images, so expect less on new ones\n/,
  );
  assert.match(said.stderr, / {2}class {2}images {2}recall +precision +F1\n {2}dark +20 +\d/);
  const lines = readFileSync(errors, 'utf8').trim().split('\n');
  assert.equal(lines[0], 'path,is,label,score,dark,light');
  assert.equal(lines.length, whole.wrong.length + 1);
  const table = path.join(work, 'wrong.arrow');
  await permafrost(['evaluate', data, '--head', 'poor', '--cache', cache, '--errors', table, '--quiet'], work);
  assert.deepEqual(
    [...(tableFromIPC(readFileSync(table)).getChild('path') ?? [])],
    whole.wrong.map((one) => one.path),
  );

  assert.deepEqual(
    (await listHeads(cache)).map(({ head, task, train: images, sets }) => [head, task, images, ...sets]),
    [
      ['good', 'binary', 20, set],
      ['poor', 'binary', 20, set],
    ],
  );
  const listed = await permafrost(['heads', 'ls', '--cache', cache], work);
  assert.match(
    listed.stderr,
    new RegExp(`^head +task +classes +train +validation +vectors +saved\\ngood .* ${set} +20`),
  );
  writeFileSync(path.join(cache, set, '_set.json'), '{');
  assert.deepEqual(
    (await listHeads(cache, () => assert.fail('the heads are whole'))).map(({ head, sets }) => [head, ...sets]),
    ['good', 'poor'].map((head) => [head, set.slice(-12)]),
    'a damaged set leaves its heads as they are',
  );
  await removeHead('poor', cache);
  assert.ok(!existsSync(path.join(cache, 'heads', 'poor')));
  await assert.rejects(removeHead('poor', cache), { name: 'HeadError' });
});

test('a head says which images it has seen: sorted by content, the same bytes each time, and never those of another', async (t) => {
  const data = await pictures(t, 20);
  const work = await folder(t);
  const cache = path.join(work, 'cache');
  await features({ ...BASE, data, cache, threads: 1 });
  const labels = path.join(work, 'labels.csv');
  const rows = Array.from({ length: 20 }, (_, i) => {
    const name = i % 2 ? 'dark' : 'light';
    return `${name}/${i}.png,${name},${['train', 'train', 'val', 'test'][(i >> 1) & 3]},g${i >> 2}`;
  });
  writeFileSync(labels, `path,label,split,group\n${rows.join('\n')}\n`);
  const common = { ...BASE, data, cache, labels, bootstrap: 0, epochs: 3 };
  const { dir } = await train({ ...common, name: 'h' });
  const file = path.join(dir, 'examples.arrow');
  const table = tableFromIPC(readFileSync(file));
  assert.deepEqual(
    table.schema.fields.map(({ name, type, nullable }) => `${name}: ${type}${nullable ? ' or null' : ''}`),
    ['sha256: FixedSizeBinary[32]', 'target: Utf8', 'split: Utf8', 'group: Utf8 or null'],
  );
  const found = Array.from({ length: table.numRows }, (_, i) =>
    ['sha256', 'target', 'split', 'group'].map((name) => {
      const value = table.getChild(name)?.get(i);
      return name === 'sha256' ? Buffer.from(value).toString('hex') : value;
    }),
  );
  const expected = rows.map((row) => {
    const [name = '', ...rest] = row.split(',');
    return [
      createHash('sha256')
        .update(readFileSync(path.join(data, name)))
        .digest('hex'),
      ...rest,
    ];
  });
  assert.deepEqual(found, expected.sort());
  const { dir: other } = await train({ ...common, name: 'again' });
  assert.deepEqual(readFileSync(path.join(other, 'examples.arrow')), readFileSync(file));

  const measured = async (head: string) => {
    const { trainedOn, chosenOn } = await evaluate({ path: data, labels, head, cache, bootstrap: 0 });
    return [trainedOn, chosenOn];
  };
  assert.deepEqual(await measured('h'), [12, 4]);
  await train({ ...common, name: 'refit', refit: true });
  assert.deepEqual(await measured('refit'), [16, 0], 'validation trained the weights that were kept');
  await train({ ...common, name: 'folds', folds: 4 });
  assert.deepEqual(await measured('folds'), [16, 0]);
  await train({ ...common, name: 'nothing', optimizer: 'lbfgs', epochs: 50, threshold: 0.5, l2: 0.1 });
  assert.deepEqual(await measured('nothing'), [12, 0], 'validation chose nothing');
  await train({ ...common, name: 'ages', labels: agesOf(labels), task: 'regression' });
  assert.equal(
    String(tableFromIPC(readFileSync(path.join(cache, 'heads/ages/examples.arrow'))).schema.fields[1]?.type),
    'Float64',
  );
  const numbers = ['evaluate', data, '--head', 'ages', '--cache', cache, '--labels', agesOf(labels)];
  const refused = await permafrost([...numbers, '--errors', 'x.csv'], work);
  assert.deepEqual(
    [refused.code, refused.stderr],
    [2, 'permafrost: --errors lists wrong classes, and this head says numbers: leave it out\n'],
  );

  writeFileSync(file, readFileSync(path.join(cache, 'heads/ages/examples.arrow')));
  await assert.rejects(measured('h'), { name: 'HeadError', message: /is not the file that head\.json was saved with/ });
  rmSync(file);
  await assert.rejects(measured('h'), {
    name: 'HeadError',
    message: /examples\.arrow does not exist: put it back, or/,
  });
  const json = path.join(dir, 'head.json');
  writeFileSync(json, readFileSync(json, 'utf8').replace(/,\n {2}"examples": "[0-9a-f]{64}"/, ''));
  assert.deepEqual(await measured('h'), [null, null], 'a head of an earlier version');
  const { reused } = await train({ ...common, name: 'h' });
  assert.equal(reused, false, 'which the same training makes whole');
  assert.deepEqual(await measured('h'), [12, 4]);
});

/** The same images with numbers. */
function agesOf(labels: string): string {
  const [header, ...rows] = readFileSync(labels, 'utf8').trim().split('\n');
  const file = labels.replace('labels', 'ages');
  const text = rows.map((row, i) => row.replace(/,(dark|light),/, `,${i + 0.5},`));
  writeFileSync(file, `${[header, ...text].join('\n')}\n`);
  return file;
}
