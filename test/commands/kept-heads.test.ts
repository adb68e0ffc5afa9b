import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { exportHead } from '../../src/commands/export.js';
import { trainPlan } from '../../src/commands/plan.js';
import { type SweepOptions, sweep } from '../../src/commands/sweep.js';
import { type TrainOptions, train } from '../../src/commands/train.js';
import { HeadError } from '../../src/errors.js';
import { loadHead } from '../../src/heads/index.js';
import { permafrost } from '../helpers/cli.js';
import { labelledSet } from '../helpers/labelled-set.js';
import { tinyHead } from '../helpers/saved-head.js';
import { folder } from '../helpers/store.js';

const bytesOf = (dir: string): string =>
  ['head.json', 'head.onnx'].map((name) => readFileSync(path.join(dir, name)).toString('base64')).join(' ');

test('a head of another identity is never written over: it gets a name of its own, or a given one is refused', async (t) => {
  const dir = await folder(t);
  const { cache, data, features, labels } = await labelledSet(dir, 40, 4);
  const common = { cache, data, features, epochs: 2, bootstrap: 0 };
  const p1: TrainOptions = { ...common, labels: labels('binary') };
  const p2: TrainOptions = { ...common, labels: labels('multiclass') };
  const first = await train(p1);
  assert.deepEqual([first.head, first.reused, first.replaced], [path.basename(features), false, null]);
  const bytes = bytesOf(first.dir);
  let epochs = 0;
  const again = await train({ ...p1, onEpoch: () => epochs++ });
  assert.deepEqual([again.dir, again.reused, epochs], [first.dir, true, 0], 'the same head is not trained again');
  const { seconds: _, reused: __, mistakes, ...was } = first;
  const { seconds: ___, reused: ____, mistakes: unknown, ...is } = again;
  assert.deepEqual(is, was);
  assert.ok(mistakes !== null && mistakes.length > 0);
  assert.equal(unknown, null, 'what was not trained again is not measured again');

  const second = await train(p2);
  const { info } = await loadHead(second.dir);
  assert.equal(second.head, `${first.head}-${info.identity?.slice(0, 8)}`);
  assert.deepEqual([second.classes, second.reused], [['high', 'low', 'middle'], false]);
  assert.equal((await train(p2)).reused, true);
  assert.equal(bytesOf(first.dir), bytes, 'the head of the other project is as it was');

  const lost = /holds another head \(binary of no \/ yes, trained on \d+ images\), which would be lost: .*--replace/;
  const refused = (run: Promise<unknown>, message: RegExp) =>
    assert.rejects(run, (error: Error) => error instanceof HeadError && message.test(error.message));
  await train({ ...p1, name: 'mine' });
  await refused(train({ ...p2, name: 'mine' }), lost);
  await refused(train({ ...p2, out: first.dir }), lost);
  assert.equal(bytesOf(first.dir), bytes);
  assert.equal((await train({ ...p1, name: 'mine' })).reused, true);
  const over = await train({ ...p2, name: 'mine', replace: true });
  assert.match(over.replaced ?? '', /another head \(binary/);
  assert.deepEqual((await loadHead(over.dir)).info.classes, ['high', 'low', 'middle']);

  writeFileSync(path.join(over.dir, 'head.onnx'), 'cut');
  await refused(train({ ...p2, name: 'mine' }), /holds a head that is damaged/);
  assert.equal((await train({ ...p2, name: 'mine', replace: true })).reused, false);
});

test('the same head of another version of the software, or another engine, is trained anew in its place', async (t) => {
  const { cache, data, features, labels } = await labelledSet(await folder(t), 40, 4);
  const options = { cache, data, features, labels: labels('binary'), epochs: 2, bootstrap: 0, name: 'h' };
  const { dir } = await train(options);
  const file = path.join(dir, 'head.json');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/"permafrost":"[^"]*"/, '"permafrost":"0.0.1"'));
  const anew = await train(options);
  assert.deepEqual([anew.reused, anew.replaced], [false, null]);
  assert.equal(readFileSync(file, 'utf8'), text);
});

test('a plan replaces the heads that it names, and says so', async (t) => {
  const { cache, data, features, labels } = await labelledSet(await folder(t), 40, 4);
  const plan = (task: 'binary' | 'multiclass') => ({
    heads: [{ name: 'h', labels: labels(task), options: { epochs: 2 }, fit: { bootstrap: 0 } }],
  });
  const run = async (task: 'binary' | 'multiclass') => {
    const [result] = await trainPlan({ cache, data, features, plan: plan(task) });
    return result?.status === 'failed' ? [result.message] : [result?.status, result?.reused, result?.replaced];
  };
  assert.deepEqual(await run('binary'), ['trained', false, null]);
  assert.deepEqual(await run('binary'), ['reused', true, null]);
  const [status, , replaced] = await run('multiclass');
  assert.equal(status, 'trained');
  assert.match(String(replaced), /^another head \(binary of no \/ yes, trained on \d+ images\)$/);
});

test('a sweep takes its own place again, and no other sweep’s or head’s', async (t) => {
  const { cache, data, features, labels } = await labelledSet(await folder(t), 40, 4);
  const common = { cache, data, features, epochs: 2, bootstrap: 0, labels: labels('binary') };
  const [one, two]: SweepOptions[] = [
    { ...common, grid: ['l2=0,1'] },
    { ...common, grid: ['l2=0,2'] },
  ] as const;
  const first = await sweep(one as SweepOptions);
  const bytes = readFileSync(first.results);
  assert.equal((await sweep(one as SweepOptions)).results, first.results);
  const second = await sweep(two as SweepOptions);
  assert.match(second.sweep, new RegExp(`^${first.sweep}-[0-9a-f]{8}$`));
  assert.deepEqual(readFileSync(first.results), bytes);
  assert.equal((await sweep(two as SweepOptions)).results, second.results);
  const lost = /holds another sweep, which would be lost/;
  await sweep({ ...(one as SweepOptions), name: 's' });
  await assert.rejects(sweep({ ...(two as SweepOptions), name: 's' }), lost);
  assert.equal((await sweep({ ...(two as SweepOptions), name: 's', replace: true })).best.replaced, 'another sweep');
  await train({ ...common, name: 'taken' });
  await assert.rejects(sweep({ ...(one as SweepOptions), name: 'taken' }), /holds another head \(binary/);
  assert.ok(!existsSync(path.join(cache, 'sweeps', 'taken')), 'nothing is made of it');
});

test('an export is never written onto another file; the same bytes are said to be there', async (t) => {
  const dir = await folder(t);
  const cache = path.join(dir, 'cache');
  await tinyHead(path.join(cache, 'heads', 'a'), 1);
  await tinyHead(path.join(cache, 'heads', 'b'), 2);
  for (const [format, out] of [
    ['onnx', 'h.onnx'],
    ['keras', 'h.keras'],
    ['h5', 'h.h5'],
    ['tfjs', 'tfjs'],
  ] as const) {
    const to = { cache, format, out: path.join(dir, out) };
    assert.equal((await exportHead({ ...to, head: 'a' })).reused, false);
    assert.equal((await exportHead({ ...to, head: 'a' })).reused, true, format);
    await assert.rejects(exportHead({ ...to, head: 'b' }), {
      name: 'FileError',
      message: /is there already and holds something else, which would be lost: give another --out, or --replace/,
    });
    assert.equal((await exportHead({ ...to, head: 'a' })).reused, true, 'it was left as it was');
    assert.equal((await exportHead({ ...to, head: 'b', replace: true })).reused, false);
    await assert.rejects(exportHead({ ...to, head: 'a' }), { name: 'FileError' });
  }
  await assert.rejects(exportHead({ cache, head: 'a', format: 'keras', out: path.join(dir, 'x.h5') }), {
    name: 'UsageError',
    message: 'out x.h5 ends as files of the format h5 do: give format h5, or another ending',
  });
  assert.ok(!readdirSync(dir).includes('x.h5'));
});

test('a train that fails leaves nothing in a folder that has no cache', async (t) => {
  const dir = await folder(t);
  mkdirSync(path.join(dir, 'pictures', 'a'), { recursive: true });
  mkdirSync(path.join(dir, 'empty'));
  for (const cache of ['none', 'empty']) {
    const { code, stderr } = await permafrost(['train', '--data', 'pictures', '--cache', cache], dir);
    assert.equal(code, 1);
    assert.match(stderr, /there are no features of xception-mini/);
  }
  assert.deepEqual(readdirSync(dir, { recursive: true }).sort(), ['empty', 'pictures', path.join('pictures', 'a')]);
});

test('a set counts as used when a head on it is saved, however long its training took', async (t) => {
  const { cache, data, features, labels } = await labelledSet(await folder(t), 40, 4);
  const used = path.join(features, '_used');
  const long = () => utimesSync(used, 1, 1);
  const common = { cache, data, features, bootstrap: 0, labels: labels('binary') };
  const isFresh = () => statSync(used).mtimeMs > Date.now() - 60_000;
  await train({ ...common, epochs: 2, onEpoch: long });
  assert.ok(isFresh(), 'train');
  await sweep({ ...common, epochs: 2, grid: ['l2=0,1'], onProgress: long });
  assert.ok(isFresh(), 'sweep');
  const heads = [{ name: 'p', labels: labels('binary'), options: { epochs: 2 }, fit: { bootstrap: 0 } }];
  await trainPlan({ cache, data, features, plan: { heads }, onEpoch: long });
  assert.ok(isFresh(), 'plan');
  const told: string[] = [];
  const gone = () => rmSync(features, { recursive: true, force: true });
  await train({ ...common, name: 'late', epochs: 2, onEpoch: gone, onWarning: (line) => told.push(line) });
  assert.match(told.join(), /was taken out of the cache meanwhile: predict will compute its vectors again/);
});
